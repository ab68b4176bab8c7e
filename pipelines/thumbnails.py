"""Small pictures of samples, for people: a bounded job that never fails as a whole.

Bytes come by reference from where they were listed, and are decoded as operators decode them (upright, sRGB, pixel budget
before decoding). A sample that cannot be shown gets a reason in place of a picture.
"""

import io
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from PIL import Image

from manifests.errors import MediaError
from operators.base import Frames, Pixels
from operators.media import Media
from operators.pillow import load_codecs
from operators.video.media import VideoMedia
from pipelines.reader import Reader
from quality.dump import PICTURES

Format = Literal["WEBP", "JPEG"]
MAX_BYTES = 64 << 20
"""Larger files are not read for a small picture."""
WAITING = 16
"""Pictures that are read and decoded, or waiting for it, at one time: bounds memory whatever the job's length."""


@dataclass(frozen=True)
class Picture:
    """``data`` is an encoded picture of ``width`` x ``height`` pixels, or None with the reason in ``why``."""

    data: bytes | None
    width: int = 0
    height: int = 0
    why: str = ""


def thumbnail(data: bytes, side: int, format: Format = "WEBP", crop: bool = False, quality: int | None = None) -> Picture:
    """The picture with its longer side at most ``side`` pixels. ``crop``: instead its middle, pixel for pixel.

    Raises `MediaError` for what cannot be decoded.
    """
    media = Media(data)
    info = media.info
    if min(info.width, info.height) < 1:
        raise MediaError("The picture is empty.")
    if crop:
        pixels = media.view(Pixels(min_side=0))
        top, left = max(0, (info.height - side) // 2), max(0, (info.width - side) // 2)
        image = Image.fromarray(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
    else:
        image = Image.fromarray(media.view(Pixels(min_side=shorter_side(info.width, info.height, side))))
    made = encoded(image, side, format, quality or (84 if crop else 74))
    return Picture(made, image.width, image.height)


def shorter_side(width: int, height: int, side: int) -> int:
    """What is decoded should not be smaller than what is shown: the shorter side when the longer one is ``side``."""
    return max(1, side * min(width, height) // max(width, height))


def encoded(image: Image.Image, side: int, format: Format, quality: int) -> bytes:
    """The image, reduced in place so that neither side is longer than ``side``, as a file."""
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format, quality=quality)
    return buffer.getvalue()


def draw(row: Mapping[str, Any], reader: Reader, side: int, format: Format = "WEBP", crop: bool = False) -> Picture:
    """The small picture of a row of ``wide`` (its uri, byte_offset, byte_length, modality, span and error are read)."""
    if row.get("error"):
        return Picture(None, why=str(row["error"])[:200])
    try:
        if row.get("modality") == "video":
            return still(row, reader, side, format)
        return thumbnail(reader.read(row["uri"], row["byte_offset"], row["byte_length"]), side, format, crop)
    except MediaError as error:
        return Picture(None, why=str(error)[:200])
    except Exception as error:  # whatever a hostile file makes a library raise: the others are drawn all the same
        return Picture(None, why=f"No preview: {type(error).__name__}")


def still(row: Mapping[str, Any], reader: Reader, side: int, format: Format) -> Picture:
    """The frame in the middle of a video or clip. Raises `MediaError`."""
    file = reader.video(row["uri"], row["byte_offset"], row["byte_length"])
    media = VideoMedia(file, (row["span_start_s"], row["span_end_s"]) if row.get("span_start_s") is not None else None)
    image = Image.fromarray(media.view(Frames(1, shorter_side(media.info.width, media.info.height, side))).pixels[0])
    made = encoded(image, side, format, 74)
    return Picture(made, image.width, image.height)


def thumbnails(
    rows: Iterable[Mapping[str, Any]],
    reader: Reader,
    side: int = 208,
    format: Format = "WEBP",
    crop: bool = False,
    threads: int = 2,
    seconds: float = 600.0,
) -> Iterator[tuple[Mapping[str, Any], Picture]]:
    """Every row with its picture, in any order. Rows that are not reached in ``seconds`` get a reason instead."""
    load_codecs()
    deadline = time.monotonic() + seconds
    source = iter(rows)
    waiting: dict[Future[Picture], Mapping[str, Any]] = {}
    with ThreadPoolExecutor(threads, thread_name_prefix="thumbnail") as pool:
        while True:
            while len(waiting) < WAITING and (row := next(source, None)) is not None:
                if time.monotonic() > deadline:
                    yield row, Picture(None, why=f"No preview: the pictures took longer than {seconds:g} s.")
                    continue
                waiting[pool.submit(draw, row, reader, side, format, crop)] = row
            if not waiting:
                return
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield waiting.pop(future), future.result()


def small_reader() -> Reader:
    """A reader that refuses what is too large for a small picture."""
    return Reader(MAX_BYTES)


def small_pictures(side: int) -> Callable[[list[dict[str, Any]]], pa.Table]:
    """For `quality.dump`: rows of ``wide`` -> their small pictures as JPEG."""
    reader = small_reader()

    def drawn(rows: list[dict[str, Any]]) -> pa.Table:
        found = [(row["id"], p.width, p.height, p.data, p.why or None) for row, p in thumbnails(rows, reader, side, "JPEG")]
        return pa.table(
            [pa.array(column, kind) for column, kind in zip(zip(*found, strict=True), PICTURES.types, strict=True)], schema=PICTURES
        )

    return drawn
