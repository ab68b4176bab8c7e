"""Comments, XMP and C2PA of a GIF, up to its trailer. Source: GIF89a specification; XMP part 3; C2PA 2.x."""

from collections.abc import Iterator

from operators.provenance.pieces import MAX_BLOCKS, MAX_PIECE, Piece


def walk(data: bytes) -> Iterator[Piece]:
    flags = data[10] if len(data) > 10 else 0
    at, steps = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0), 0
    while at + 1 < len(data) and steps < MAX_BLOCKS:
        kind, label = data[at], data[at + 1]
        if kind == 0x2C and at + 9 < len(data):  # a picture: descriptor, colour table, code size
            flags = data[at + 9]
            at += 11 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
        elif kind == 0x21:
            at += 2
        else:
            return
        start, wanted = at, kind == 0x21 and label in (0xFE, 0xFF)
        blocks: list[bytes] = []
        while at < len(data) and data[at] and steps < MAX_BLOCKS:
            if wanted and len(blocks) * 255 < MAX_PIECE:
                blocks.append(data[at + 1 : at + 1 + data[at]])
            at, steps = at + data[at] + 1, steps + 1
        at, steps = at + 1, steps + 1
        if wanted and label == 0xFE:
            yield Piece("text", "GIF comment", b"".join(blocks), "comment")  # where the web UI writes its parameters
        elif wanted and blocks[:1] == [b"XMP DataXMP"]:
            yield Piece("xmp", "GIF XMP", data[start + 12 : at][:MAX_PIECE])  # written without sub-blocks, read across them
        elif wanted and blocks[:1] == [b"C2PA_GIF\1\0\0"]:
            yield Piece("c2pa", "GIF C2PA", b"".join(blocks[1:]))
