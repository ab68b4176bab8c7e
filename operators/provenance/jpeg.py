"""Metadata segments of a JPEG: APP1 (EXIF, XMP), APP11 (C2PA), APP13 (IPTC) and COM, up to the first scan.

Sources: ITU-T T.81 annex B; Exif 2.32; XMP part 3; ISO/IEC 19566-5 (JUMBF in APP11); Adobe Photoshop file formats (image resources).
"""

import struct
from collections.abc import Iterator

from operators.provenance.pieces import MAX_BLOCKS, MAX_PIECE, MAX_PIECES, Piece

_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"


def walk(data: bytes) -> Iterator[Piece]:
    extended: dict[bytes, list[tuple[int, bytes]]] = {}
    yield from _segments(data, extended)
    for parts in extended.values():
        yield Piece("xmp", "JPEG APP1 extended XMP", b"".join(part for _, part in sorted(parts)))


def _segments(data: bytes, extended: dict[bytes, list[tuple[int, bytes]]]) -> Iterator[Piece]:
    """``extended`` gets the parts of XMP that no segment holds whole: under their packet's digest, with their offsets."""
    at, end, has_store = 2, len(data), False
    for _ in range(MAX_BLOCKS):
        while at + 1 < end and data[at] == 0xFF == data[at + 1]:  # fill bytes
            at += 1
        if at + 4 > end or data[at] != 0xFF:
            return
        marker = data[at + 1]
        if marker in (0xDA, 0xD9):  # scan, end
            return
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers without a length
            at += 2
            continue
        start, length = at + 4, int.from_bytes(data[at + 2 : at + 4], "big")
        at += 2 + length
        if length < 2 or at > end:
            return
        if marker == 0xE1 and data.startswith(b"Exif\0", start):
            yield Piece("exif", "JPEG APP1 EXIF", data[start + 6 : at])
        elif marker == 0xE1 and data.startswith(_XMP, start):
            yield Piece("xmp", "JPEG APP1 XMP", data[start + len(_XMP) : at])
        elif marker == 0xE1 and data.startswith(_EXTENSION, start):  # digest, length of the whole, offset
            part = start + len(_EXTENSION)
            offset = int.from_bytes(data[part + 36 : part + 40], "big")
            if offset < MAX_PIECE and len(extended) < MAX_PIECES:
                extended.setdefault(data[part : part + 32], []).append((offset, data[part + 40 : at]))
        elif marker == 0xEB and not has_store and data.startswith(b"JP", start) and data[start + 12 : start + 16] == b"jumb":
            has_store = True
            yield Piece("c2pa", "JPEG APP11 C2PA", data[start + 8 : at])
        elif marker == 0xED and data.startswith(_PHOTOSHOP, start):
            yield from _resources(data[start + len(_PHOTOSHOP) : at])
        elif marker == 0xFE:
            yield Piece("text", "JPEG COM", data[start:at], "COM")


def _resources(data: bytes) -> Iterator[Piece]:
    """IPTC (0x0404) among Photoshop's image resources."""
    at = 0
    while data.startswith(b"8BIM", at) and at + 12 <= len(data):
        kind = int.from_bytes(data[at + 4 : at + 6], "big")
        at += 6 + (1 + data[at + 6] + 1) // 2 * 2  # a name with its length in front, padded
        if at + 4 > len(data):
            return
        (size,) = struct.unpack_from(">I", data, at)
        if kind == 0x0404:
            yield Piece("iptc", "JPEG APP13 IPTC", data[at + 4 : at + 4 + size])
        at += 4 + size + size % 2
