"""Metadata chunks of a WebP file: EXIF, XMP and C2PA, inside the length that the RIFF header states.

Source: RFC 9649 (WebP), C2PA 2.x.
"""

from collections.abc import Iterator

from operators.provenance.pieces import MAX_BLOCKS, MAX_PIECE, MAX_STORE, Piece


def walk(data: bytes) -> Iterator[Piece]:
    at, end = 12, min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    for _ in range(MAX_BLOCKS):
        start, kind, length = at + 8, data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        at = start + length + length % 2
        if start + length > end:
            return
        if kind == b"EXIF":
            yield Piece("exif", "WebP EXIF", data[start : start + min(length, MAX_PIECE)].removeprefix(b"Exif\0\0"))
        elif kind == b"XMP ":
            yield Piece("xmp", "WebP XMP", data[start : start + min(length, MAX_PIECE)])
        elif kind == b"C2PA":
            yield Piece("c2pa", "WebP C2PA", data[start : start + min(length, MAX_STORE + 1)])
