"""The header of a plain JPEG, read directly: what `operators.header.read_info` tells, for a third of the price of a whole pass's Python.

Plain means: 8 bits, one or three components, baseline or progressive, and no segment that could change what the pixels mean
(EXIF, colour profile, Adobe's colour models, multi-picture files). Everything else, and whatever looks damaged, is Pillow's.
Source: ITU-T T.81, annex B; JFIF 1.02.
"""

import struct

import numpy as np

from operators.header import MediaInfo

_SOF = {0xC0: False, 0xC2: True}  # start of frame: baseline, progressive
_TABLES = (0xC4, 0xDD, 0xFE)  # Huffman tables, restart interval, comment
_MODES = {1: "L", 3: "RGB"}

_diagonals = sorted(((y, x) for y in range(8) for x in range(8)), key=lambda p: (p[0] + p[1], p[0] if (p[0] + p[1]) % 2 else p[1]))
_NATURAL = tuple(int(i) for i in np.argsort([8 * y + x for y, x in _diagonals]))  # where a natural position is in zigzag order


def read_plain_jpeg(data: bytes) -> MediaInfo | None:
    """`MediaInfo`, or None when the file is anything but a plain JPEG."""
    at, size, mode, progressive = 2, (0, 0), "", False
    quantization: tuple[int, ...] | None = None
    try:
        while True:
            start, marker, length = struct.unpack_from(">BBH", data, at)
            if start != 0xFF or length < 2:
                return None
            if marker == 0xDA:
                break
            if marker == 0xDB:
                tables = data[at + 4 : at + 2 + length]
                if len(tables) % 65 or any(head > 3 for head in tables[::65]):  # 16 bits, or damaged
                    return None
                for i in range(0, len(tables), 65):
                    if tables[i] == 0:
                        zigzag = tables[i + 1 : i + 65]
                        quantization = tuple([zigzag[k] for k in _NATURAL])
            elif marker in _SOF and not mode:
                bits, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
                mode, size, progressive = _MODES.get(components, "") if bits == 8 else "", (width, height), _SOF[marker]
                if not (mode and width and height):
                    return None
            elif not (marker in _TABLES or (marker == 0xE0 and data.startswith(b"JFIF\0", at + 4))):
                return None
            at += 2 + length
    except struct.error:  # the header does not end
        return None
    if not mode:
        return None
    width, height = size
    return MediaInfo(
        format="jpeg",
        width=width,
        height=height,
        stored_width=width,
        stored_height=height,
        mode=mode,
        progressive=progressive,
        quantization=quantization,
    )


def stray_bytes(data: bytes) -> bytes:
    """What stands between the segments before the first scan and belongs to none of them."""
    at, stray = 2, bytearray()
    while at + 4 <= len(data):
        if data[at] != 0xFF or data[at + 1] in (0x00, 0xFF):
            stray += data[at : at + 1] if data[at] != 0xFF else b""
            at += 1
            continue
        if data[at + 1] == 0xDA:
            break
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return bytes(stray)
