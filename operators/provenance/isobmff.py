"""Metadata boxes of AVIF, HEIC, MP4 and QuickTime files: items (EXIF, XMP), uuid boxes (XMP, C2PA), user data and its strings.

Sources: ISO/IEC 14496-12 (boxes, items), 23008-12 (HEIF), XMP part 3, C2PA 2.x, Apple QuickTime file format (keys, ilst, ©-atoms).
"""

import struct
from collections.abc import Iterator

from operators.provenance.pieces import MAX_BLOCKS, MAX_PIECE, MAX_STORE, Data, Piece

_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_KNOWN = {
    b"\xa9too": "software", b"\xa9swr": "software", b"\xa9enc": "software", b"\xa9cmt": "comment", b"desc": "description",
    b"\xa9des": "description", b"ldes": "description", b"\xa9mak": "make", b"\xa9mod": "model", b"\xa9xyz": "location", b"\xa9nam": "title",
}  # fmt: skip
MAX_ITEMS, MAX_EXTENTS = 10_000, 64

Box = tuple[bytes, int, int]
"""Type, start of the content, end."""


def walk(data: Data) -> Iterator[Piece]:
    name = (
        "HEIF"
        if data[8:12] in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
        else "AVIF"
        if data[8:12] in (b"avif", b"avis")
        else "MP4"
    )
    for kind, start, end in boxes(data, 0, len(data)):
        if kind == b"uuid":
            yield from _uuid(data, start, end, name)
        elif kind == b"meta":
            yield from _items(data, start + 4, end, name)
        elif kind == b"moov":
            yield from _movie(data, start, end, name)


def boxes(data: Data, start: int, end: int) -> Iterator[Box]:
    """The boxes side by side in ``data[start:end]``; never goes into one, so nesting costs nothing."""
    for _ in range(MAX_BLOCKS):
        if start + 8 > end:
            return
        size, kind, head = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        elif size == 0:
            size = end - start
        if size < head or start + size > end:
            return
        yield kind, start + head, start + size
        start += size


def _uuid(data: Data, start: int, end: int, name: str) -> Iterator[Piece]:
    if data.startswith(_XMP, start):
        yield Piece("xmp", f"{name} uuid XMP", data[start + 16 : min(end, start + 16 + MAX_PIECE)])
    elif data.startswith(_C2PA, start):
        purpose, _, rest = data[start + 20 : start + 64].partition(b"\0")  # version and flags, purpose, offset, store
        if purpose == b"manifest" and len(rest) > 8:
            first = start + 20 + len(purpose) + 1 + 8
            yield Piece("c2pa", f"{name} uuid C2PA", data[first : min(end, first + MAX_STORE + 1)])


def _items(data: Data, start: int, end: int, name: str) -> Iterator[Piece]:
    """EXIF and XMP items of a ``meta`` box."""
    found = {kind: (a, b) for kind, a, b in boxes(data, start, end)}
    if b"iinf" not in found or b"iloc" not in found:
        return
    wanted: dict[int, str] = {}
    a, b = found[b"iinf"]
    for kind, at, stop in boxes(data, a + (6 if data[a : a + 1] == b"\0" else 8), b):
        version = int.from_bytes(data[at : min(at + 1, stop)])
        if kind != b"infe" or version not in (2, 3):
            continue
        wide = 4 if version == 3 else 2
        item, type_at = int.from_bytes(data[at + 4 : at + 4 + wide], "big"), at + 4 + wide + 2
        item_type = data[type_at : type_at + 4]
        if item_type == b"Exif":
            wanted[item] = "exif"
        elif item_type == b"mime" and b"application/rdf+xml" in data[type_at + 4 : min(stop, type_at + 300)]:
            wanted[item] = "xmp"
    if not wanted:
        return
    try:
        places = list(_locations(data, *found[b"iloc"], found.get(b"idat", (0, 0)), set(wanted)))
    except (struct.error, IndexError):  # the table ends in the middle
        return
    for item, content in places:
        if wanted[item] == "xmp":
            yield Piece("xmp", f"{name} item XMP", content)
        else:
            skip = int.from_bytes(content[:4], "big")
            yield Piece("exif", f"{name} item EXIF", content[4 + skip :].removeprefix(b"Exif\0\0"))


def _locations(data: Data, at: int, end: int, idat: tuple[int, int], wanted: set[int]) -> Iterator[tuple[int, bytes]]:
    """Contents of the items ``wanted`` (``iloc`` of version 0 to 2; in the file or in ``idat``)."""
    version = int.from_bytes(data[at : at + 1])
    sizes = int.from_bytes(data[at + 4 : at + 6], "big")
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    at += 6

    def number(size: int) -> int:
        nonlocal at
        if at + size > end:
            raise struct.error("beyond the box")
        at += size
        return int.from_bytes(data[at - size : at], "big")

    wide = 4 if version == 2 else 2
    for _ in range(min(number(wide), MAX_ITEMS)):
        item = number(wide)
        method = number(2) & 15 if version else 0
        number(2)  # which file; others than this one are not read
        base, content = number(base_size), b""
        for _ in range(min(number(2), MAX_EXTENTS)):
            number(index_size)
            start, length = base + number(offset_size), number(length_size)
            first, last = (idat[0], idat[1]) if method == 1 else (0, len(data))
            if item in wanted and length and first + start + length <= last and len(content) < MAX_PIECE:
                content += data[first + start : first + start + min(length, MAX_PIECE)]
        if item in wanted:
            yield item, content


def _movie(data: Data, start: int, end: int, name: str) -> Iterator[Piece]:
    for kind, a, b in boxes(data, start, end):
        if kind == b"meta":
            yield from _strings(data, a, b, name)
        elif kind == b"udta":
            for inner, c, d in boxes(data, a, b):
                if inner == b"meta":
                    yield from _strings(data, c, d, name)
                elif inner == b"XMP_":
                    yield Piece("xmp", f"{name} udta XMP", data[c : min(d, c + MAX_PIECE)])
                elif inner in _KNOWN and d - c > 4:  # QuickTime: length, language, text
                    yield Piece("text", f"{name} udta {_KNOWN[inner]}", data[c + 4 : min(d, c + MAX_PIECE)], _KNOWN[inner])


def _strings(data: Data, start: int, end: int, name: str) -> Iterator[Piece]:
    """Values of ``ilst``, under their four letters or the names that ``keys`` gives them."""
    if data[start + 4 : start + 8] != b"hdlr":  # a full box in MP4, a plain one in QuickTime
        start += 4
    found = {kind: (a, b) for kind, a, b in boxes(data, start, end)}
    names: list[str] = []
    if b"keys" in found:
        a, b = found[b"keys"]
        names = [data[c : min(d, c + 100)].decode("latin-1") for _, c, d in boxes(data, a + 8, b)]
    for kind, a, b in boxes(data, *found.get(b"ilst", (0, 0))):
        index = int.from_bytes(kind, "big")
        inside = {k: data[c : min(d, c + MAX_PIECE)] for k, c, d in boxes(data, a, b) if k in (b"data", b"name")}
        key = names[index - 1] if 0 < index <= len(names) else _KNOWN.get(kind, "")
        if kind == b"----":
            key = inside.get(b"name", b"")[4:104].decode("latin-1")
        if key and b"data" in inside:
            key = key.removeprefix("com.apple.quicktime.").removeprefix("com.android.")
            yield Piece("text", f"{name} ilst {key[:60]}", inside[b"data"][8:], key)
