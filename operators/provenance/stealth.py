"""Generators' texts in the lowest bits of a PNG's pixels ("stealth pnginfo"), which outlive sites that strip metadata.

Column by column, the lowest bit of every alpha value, or of red, green and blue: a signature, the number of bits (32, big-endian),
then JSON or a text, gzipped where the signature says so. Written by NovelAI and by an extension of the Stable Diffusion web UI.

The signature lies in the first column, which can be undone without any other: only pictures that have it are decoded.
Sources: NovelAI's novelai-image-metadata; sd_webui_stealth_pnginfo.
"""

import json
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from manifests.errors import MediaError
from operators.provenance.pieces import Piece

MAX_WIDTH, MAX_PIXELS = 1 << 14, 1 << 22
MAX_BODY = 1 << 19


def walk(data: bytes, header: bytes, chunks: Sequence[slice]) -> Iterator[Piece]:
    """The texts of a PNG with this IHDR; ``chunks``: where the contents of its IDAT chunks are in ``data``."""
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    channels = {b"\x08\x02": 3, b"\x08\x06": 4}.get(header[8:10], 0)
    if not channels or header[12:13] != b"\0" or not 0 < width <= MAX_WIDTH or width * height > MAX_PIXELS:
        return
    kind, name = ("alpha", b"stealth_png") if channels == 4 else ("pixels", b"stealth_rgb")
    # A few rows tell the first letter, and nearly all pictures from those that have a signature.
    if _letters(data, chunks, width, channels, 1) == name[:1]:
        signature = _letters(data, chunks, width, channels, len(name) + 4)
        if signature in (name + b"info", name + b"comp"):
            yield from _texts(data, kind, channels, signature.endswith(b"comp"))


def _letters(data: bytes, chunks: Sequence[slice], width: int, channels: int, count: int) -> bytes:
    """The first letters that the first column holds; nothing when it is too short."""
    rows = -(-8 * count // (1 if channels == 4 else 3))
    column = _first_column((data[chunk] for chunk in chunks), 1 + width * channels, channels, rows)
    bits = "".join(str(value & 1) for pixel in column for value in (pixel[3:] if channels == 4 else pixel))
    return int(bits[: 8 * count], 2).to_bytes(count, "big") if len(column) == rows else b""


def _first_column(packed: Iterator[bytes], stride: int, channels: int, rows: int) -> list[bytes]:
    """Its pixels. Left of it every filter sees zeros, so only the pixel above enters."""
    unpacker, raw = zlib.decompressobj(), b""
    try:
        for piece in packed:
            raw += unpacker.decompress(piece, rows * stride - len(raw))
            if len(raw) >= rows * stride:
                break
    except zlib.error:
        return []
    above, column = bytes(channels), []
    for at in range(0, len(raw) - channels, stride):
        values, how = raw[at + 1 : at + 1 + channels], raw[at]
        if how in (2, 4):  # up; Paeth, which then foretells what is above
            values = bytes((value + up) & 255 for value, up in zip(values, above, strict=True))
        elif how == 3:
            values = bytes((value + up // 2) & 255 for value, up in zip(values, above, strict=True))
        column.append(values)
        above = values
    return column


def _texts(data: bytes, kind: str, channels: int, packed: bool) -> Iterator[Piece]:
    import numpy as np

    from operators.pillow import as_media_error, open_image

    try:
        with as_media_error("PNG", "pixels"), open_image(data, "PNG") as image:
            pixels = np.asarray(image)
    except MediaError:
        return
    chosen = pixels[:, :, 3].T if channels == 4 else pixels.transpose(1, 0, 2)
    stream = np.packbits(chosen.reshape(-1) & 1).tobytes()
    length = int.from_bytes(stream[15:19], "big") // 8
    body = stream[19 : 19 + min(length, MAX_BODY)]
    if packed:
        try:
            body = zlib.decompressobj(31).decompress(body, MAX_BODY)
        except zlib.error:
            return
    place = f"PNG {kind}, lowest bits,"
    values = _object(body)
    if values is None:
        yield Piece("text", f"{place} parameters", body, "parameters")
    for key, value in (values or {}).items():
        if isinstance(value, str):
            yield Piece("text", f"{place} {key[:60]}", value.encode("utf-8", "replace"), key)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None
