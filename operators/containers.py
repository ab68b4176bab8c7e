"""What the first bytes and the structure of a file tell, without decoding a pixel.

Pillow is only ever asked to try the one format named here. That keeps document formats (PostScript, PDF, WMF, which
run or emulate other programs), rarely used codecs and ambiguous headers away from hostile input.
"""

import struct

from manifests.errors import MediaError

MAX_FRAMES = 10_000
"""Frames and pages are counted up to this number, so that a file of empty frames costs milliseconds, not minutes."""

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"BM", "BMP"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"qoif", "QOI"),
    *((b"P%d" % n, "PPM") for n in range(1, 7)),
)

_AVIF_BRANDS = (b"avif", b"avis")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"%!", "a PostScript document"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript document"),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
    (b"8BPS", "a Photoshop document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\xff\x0a", "a JPEG XL picture (not supported; convert it first)"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture (not supported; convert it first)"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"version https://git-lfs", "a Git LFS pointer (fetch the real file first)"),
)


def sniff(data: bytes) -> str:
    """Pillow's name of the container ("JPEG", "PNG", "HEIF", ...). Raises `MediaError` that says what it is instead."""
    if not data:
        raise MediaError("the file is empty (0 bytes)")
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return _sniff_ftyp(data)
    for magic, what in _FOREIGN:
        if data.startswith(magic):
            raise MediaError(f"not an image this reads: looks like {what}")
    raise MediaError(_describe_unknown(data))


def _sniff_ftyp(data: bytes) -> str:
    end = min(max(int.from_bytes(data[:4], "big"), 16), 256)
    brands = [data[8:12], *(data[i : i + 4] for i in range(16, end, 4))]
    if any(brand in _AVIF_BRANDS for brand in brands):
        return "AVIF"
    if any(brand in _HEIF_BRANDS for brand in brands):
        return "HEIF"
    raise MediaError("not an image this reads: looks like an MP4 or QuickTime video")


def _describe_unknown(data: bytes) -> str:
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    text = data[:1024].decode(encoding, "replace").rstrip("\ufffd")  # the end may lie within a letter
    head = text.lstrip("\ufeff \t\r\n").lower()
    if head.startswith("<svg") or (head.startswith(("<?xml", "<!doctype svg")) and ("<svg" in head or "doctype svg" in head)):
        return "not an image this reads: looks like an SVG drawing"
    if head.startswith("<?xml"):
        return "looks like XML, not an image"
    if head.startswith(("<!doctype", "<html", "<head", "<body", "<script", "<!--")):
        return "looks like HTML, not an image"
    if not data.strip(b"\x00"):
        return f"not an image: {len(data)} bytes, all zero"
    if head and all(letter != "\ufffd" and (letter.isprintable() or letter in "\t\r\n") for letter in head):
        return "looks like text, not an image"
    return f"not an image of a known format (starts with {data[:8].hex(' ')})"


def gif_frames(data: bytes) -> int:
    """Number of frames of a GIF (GIF89a specification, appendix A), at least 1, at most `MAX_FRAMES`.

    Walks at most a million data blocks (a 250 MB file of full ones), then the frames so far count.
    """
    flags = data[10] if len(data) > 10 else 0
    at = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    frames, blocks = 0, 0
    while at < len(data) and frames < MAX_FRAMES and blocks < 1_000_000:
        kind = data[at]
        if kind == 0x2C and at + 9 < len(data):  # image descriptor, optional colour table, code size, data
            frames += 1
            flags = data[at + 9]
            at += 11 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
        elif kind == 0x21:  # extension: label, data
            at += 2
        else:  # trailer, or garbage
            break
        while at < len(data) and data[at] and blocks < 1_000_000:  # data sub-blocks, each with its length in front
            at += data[at] + 1
            blocks += 1
        at += 1
    return max(frames, 1)


def tiff_pages(data: bytes) -> int:
    """Number of pages (image file directories) of a TIFF or BigTIFF, at least 1, at most `MAX_FRAMES`; loops end it."""
    order = "<" if data[:2] == b"II" else ">"
    big = len(data) > 3 and 43 in data[2:4]
    count_format, entry_size, offset_format = (f"{order}Q", 20, f"{order}Q") if big else (f"{order}H", 12, f"{order}L")
    seen: set[int] = set()
    try:
        (at,) = struct.unpack_from(offset_format, data, 8 if big else 4)
        while at and at not in seen and len(seen) < MAX_FRAMES:
            (entries,) = struct.unpack_from(count_format, data, at)
            next_at = at + struct.calcsize(count_format) + entries * entry_size
            seen.add(at)
            (at,) = struct.unpack_from(offset_format, data, next_at)
    except struct.error:  # an offset beyond the end: the pages so far count
        pass
    return max(len(seen), 1)
