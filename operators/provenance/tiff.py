"""Image file directories of TIFF files and of EXIF blocks: the tags that tell where a picture comes from.

Sources: TIFF 6.0; BigTIFF; Exif 2.32.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from operators.provenance.pieces import MAX_PIECE, MAX_STORE, Piece

MAX_ENTRIES = 2000
MAX_TAG = 1 << 18
"""Bytes of one tag that are looked at: many tags may point at the same bytes."""

IMAGE_TAGS = {
    270: "ImageDescription", 271: "Make", 272: "Model", 305: "Software", 315: "Artist", 700: "XMP", 33723: "IPTC", 34665: "Exif",
    37510: "UserComment", 40091: "XPTitle", 40092: "XPComment", 40094: "XPKeywords", 52545: "C2PA",
}  # fmt: skip
EXIF_TAGS = {
    33434: "ExposureTime", 33437: "FNumber", 34855: "ISO", 36867: "DateTimeOriginal", 37386: "FocalLength", 37500: "MakerNote",
    37510: "UserComment", 40962: "PixelXDimension", 40963: "PixelYDimension", 42036: "LensModel",
}  # fmt: skip
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 129: 1}


class Tags(NamedTuple):
    """Raw values by name. ``order``: the byte order, "<" or ">"."""

    order: str
    values: dict[str, bytes]

    def number(self, name: str) -> int:
        """A SHORT or LONG; 0 where absent."""
        return int.from_bytes(self.values.get(name, b"")[:4], "little" if self.order == "<" else "big")


def read_tags(data: bytes) -> Tags | None:
    """The wanted tags of the first directory and of its EXIF directory; None where ``data`` is no TIFF structure."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2], "")
    if not order or len(data) < 8:
        return None
    magic = struct.unpack_from(f"{order}H", data, 2)[0]
    values: dict[str, bytes] = {}
    tags = Tags(order, values)
    try:
        (at,) = struct.unpack_from(f"{order}Q", data, 8) if magic == 43 else struct.unpack_from(f"{order}I", data, 4)
        values |= _directory(data, order, magic == 43, at, IMAGE_TAGS)
        if "Exif" in values:
            values |= _directory(data, order, magic == 43, tags.number("Exif"), EXIF_TAGS)
    except struct.error:  # an offset beyond the end: what was found so far counts
        pass
    return tags


def _directory(data: bytes, order: str, big: bool, at: int, wanted: dict[int, str]) -> dict[str, bytes]:
    head, entry, inline = (f"{order}Q", struct.Struct(f"{order}HHQ"), 8) if big else (f"{order}H", struct.Struct(f"{order}HHI"), 4)
    (count,) = struct.unpack_from(head, data, at)
    at += struct.calcsize(head)
    found: dict[str, bytes] = {}
    for i in range(min(count, MAX_ENTRIES)):
        place = at + i * (entry.size + inline)
        if place + entry.size + inline > len(data):
            break
        tag, kind, number = entry.unpack_from(data, place)
        if tag not in wanted or wanted[tag] in found:
            continue
        size = number * _SIZES.get(kind, 1)
        start = place + entry.size
        if size > inline:
            (start,) = struct.unpack_from(f"{order}Q" if big else f"{order}I", data, start)
        most = (
            MAX_STORE + 1 if tag == 52545 else 1 if tag == 37500 and number > 64 else MAX_PIECE if tag == 700 else MAX_TAG
        )  # of a long maker note only that it is there
        if start + size <= len(data):
            found[wanted[tag]] = data[start : start + min(size, most)]
    return found


def walk(data: bytes) -> Iterator[Piece]:
    """Pieces of a TIFF file: its own tags, and XMP, IPTC and C2PA that tags hold."""
    yield Piece("exif", "TIFF tags", data)
    tags = read_tags(data)
    for name, kind in (("XMP", "xmp"), ("IPTC", "iptc"), ("C2PA", "c2pa")):
        if tags and name in tags.values:
            yield Piece(kind, f"TIFF {name}", tags.values[name])  # type: ignore[arg-type]
