"""Metadata chunks of a PNG, up to IEND: tEXt, zTXt, iTXt, eXIf, caBX (C2PA); then what its pixels may hide.

Sources: PNG specification, third edition; C2PA 2.x (caBX); ImageMagick's "Raw profile type" texts.
"""

import binascii
from collections.abc import Iterator

from operators.provenance import stealth
from operators.provenance.pieces import MAX_BLOCKS, MAX_PIECE, MAX_STORE, Kind, Piece, inflate

_RAW: dict[str, tuple[Kind, bytes]] = {
    "exif": ("exif", b"Exif\0\0"),
    "APP1": ("exif", b"Exif\0\0"),
    "xmp": ("xmp", b""),
    "iptc": ("iptc", b""),
}


def walk(data: bytes) -> Iterator[Piece]:
    pixels: list[slice] = []
    for kind, start, length in _chunks(data):
        if kind == b"eXIf":
            yield Piece("exif", "PNG eXIf", data[start : start + min(length, MAX_PIECE)])
        elif kind == b"caBX":
            yield Piece("c2pa", "PNG caBX C2PA", data[start : start + min(length, MAX_STORE + 1)])
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            yield from _text(kind.decode(), data[start : start + min(length, MAX_PIECE + 256)])
        elif kind == b"IDAT":
            pixels.append(slice(start, start + length))
    yield from stealth.walk(data, data[16:29], pixels)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and length of the content, up to IEND."""
    at, end = 8, len(data)
    for _ in range(MAX_BLOCKS):
        start, length, kind = at + 8, int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        at = start + length + 4
        if at > end or kind == b"IEND":
            return
        yield kind, start, length


def _text(kind: str, chunk: bytes) -> Iterator[Piece]:
    keyword, zero, rest = chunk.partition(b"\0")
    if not zero or not 1 <= len(keyword) <= 79:
        return
    key = keyword.decode("latin-1")
    if kind == "zTXt":
        rest = inflate(rest[1:])
    elif kind == "iTXt":
        compressed, (_, _, rest) = rest[:1] == b"\1", _three(rest[2:])
        rest = inflate(rest) if compressed else rest
    if key == "XML:com.adobe.xmp":
        yield Piece("xmp", f"PNG {kind} XMP", rest)
    elif key.startswith("Raw profile type "):
        yield from _raw_profile(key.removeprefix("Raw profile type "), kind, rest)
    else:
        yield Piece("text", f"PNG {kind} {key}", rest[:MAX_PIECE], key)


def _three(rest: bytes) -> tuple[bytes, bytes, bytes]:
    """Language, translated keyword, text."""
    language, _, rest = rest.partition(b"\0")
    translated, _, text = rest.partition(b"\0")
    return language, translated, text


def _raw_profile(name: str, kind: str, text: bytes) -> Iterator[Piece]:
    """A name, a length and hexadecimal digits, each on lines of their own."""
    if name not in _RAW:
        return
    lines = text.split(b"\n", 3)
    try:
        data = binascii.unhexlify(b"".join(lines[3].split())) if len(lines) == 4 else b""
    except binascii.Error:
        return
    as_kind, prefix = _RAW[name]
    if data.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
        as_kind, prefix = "xmp", b"http://ns.adobe.com/xap/1.0/\0"
    yield Piece(as_kind, f"PNG {kind} {as_kind.upper()} (raw profile)", data.removeprefix(prefix))
