"""Pictures of a request as data URLs at a stated size, and frames of a video with their times."""

import asyncio
import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from manifests.errors import MediaError
from pipelines.reader import Reader

JPEG_QUALITY = 85
MOST_PIXELS = 100_000_000


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
    """The picture upright as JPEG, its longer side at most ``side``; metadata stays behind. Raises `MediaError`."""
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise MediaError(f"{image.width} x {image.height} pixels are too many")
            image.draft("RGB", (side, side))
            upright = ImageOps.exif_transpose(image)
            upright.thumbnail((side, side), Image.Resampling.LANCZOS)
            out = io.BytesIO()
            upright.convert("RGB").save(out, "JPEG", quality=JPEG_QUALITY)
            return out.getvalue()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise MediaError(f"it cannot be decoded: {error}") from error


def frames(ref: PictureRef) -> list[tuple[float, bytes]]:
    """So many frames at even distances, each with its time in seconds from the clip's beginning. Raises `MediaError`."""
    import cv2

    if ref.byte_offset is not None:
        raise MediaError("frames can only be taken from a video in a file of its own")
    video = cv2.VideoCapture(ref.uri)
    try:
        fps, count = video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)
        if not video.isOpened() or fps <= 0 or count <= 0:
            raise MediaError("the video cannot be opened")
        start, end = ref.start_s or 0.0, min(ref.end_s or count / fps, count / fps)
        found = []
        for i in range(ref.frames):
            at = start + (end - start) * (i + 0.5) / ref.frames
            video.set(cv2.CAP_PROP_POS_FRAMES, int(at * fps))
            good, pixels = video.read()
            if not good:
                continue
            scale = ref.side / max(pixels.shape[:2])
            small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else pixels
            found.append((at - start, cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()))
        if not found:
            raise MediaError("no frame of the video can be decoded")
        return found
    finally:
        video.release()


@lru_cache(maxsize=1)
def _reader() -> Reader:
    return Reader()
