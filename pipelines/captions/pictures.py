"""Pictures of a request as data URLs at a stated size, and frames of a video with their times."""

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from PIL import Image

from operators.base import Frames
from operators.video.media import VideoMedia
from pipelines.reader import Reader
from pipelines.thumbnails import encoded, shorter_side, thumbnail

JPEG_QUALITY = 85


@dataclass(frozen=True)
class PictureRef:
    """Where a sample's bytes are, and how it is shown: ``side``: longer side in pixels; ``frames``: of a video, else 0."""

    uri: str
    byte_offset: int | None
    byte_length: int | None
    side: int
    frames: int = 0
    start_s: float | None = None
    end_s: float | None = None


async def with_pictures(body: Mapping[str, Any], refs: tuple[PictureRef, ...]) -> dict[str, Any]:
    """The body with the pictures behind the text of its last message. Raises what reading and decoding raise."""
    if not refs:
        return dict(body)
    parts = [part for ref in refs for part in await asyncio.to_thread(_parts, ref)]
    *before, last = body["messages"]
    return {**body, "messages": [*before, {**last, "content": [{"type": "text", "text": last["content"]}, *parts]}]}


def _parts(ref: PictureRef) -> list[dict[str, Any]]:
    if ref.frames:
        parts: list[dict[str, Any]] = []
        for seconds, jpeg in frames(ref):
            parts += [{"type": "text", "text": f"{seconds:.1f} s"}, _image(jpeg)]
        return parts
    return [_image(shrunk(_reader().read(ref.uri, ref.byte_offset, ref.byte_length), ref.side))]


def _image(jpeg: bytes) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")}}


def shrunk(data: bytes, side: int) -> bytes:
    """The picture upright, in sRGB, as JPEG, its longer side at most ``side``; metadata stays behind. Raises `MediaError`."""
    made = thumbnail(data, side, "JPEG", quality=JPEG_QUALITY).data
    assert made is not None
    return made


def frames(ref: PictureRef) -> list[tuple[float, bytes]]:
    """So many frames at even distances, each with its time in seconds from the clip's beginning. Raises `MediaError`."""
    span = (ref.start_s, ref.end_s) if ref.start_s is not None and ref.end_s is not None else None
    media = VideoMedia(_reader().video(ref.uri, ref.byte_offset, ref.byte_length), span)
    shown = media.view(Frames(ref.frames, shorter_side(media.info.width, media.info.height, ref.side)))
    begin = span[0] if span else media.info.start_s
    return [
        (at - begin, encoded(Image.fromarray(pixels), ref.side, "JPEG", JPEG_QUALITY))
        for at, pixels in zip(shown.times, shown.pixels, strict=True)
    ]


@lru_cache(maxsize=1)
def _reader() -> Reader:
    return Reader()
