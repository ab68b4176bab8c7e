"""What EXIF tags say: texts that a generator may have written, and what speaks for a camera."""

from collections.abc import Iterator

from operators.provenance.evidence import Evidence, Found
from operators.provenance.pieces import Place, Text, decode, short
from operators.provenance.tiff import Tags


def texts(tags: Tags, where: str) -> Iterator[Text]:
    """Strings of the tags. Make and Model count as parameters too: ComfyUI's WebP files hold its graph there."""
    values = tags.values
    for name in ("Software", "ImageDescription", "Make", "Model", "Artist"):
        if name in values:
            place: Place = "software" if name == "Software" else "parameters" if name in ("Make", "Model") else "caption"
            yield Text(place, f"{where} {name}", name, decode(values[name]))
    if "UserComment" in values:
        yield Text("parameters", f"{where} UserComment", "UserComment", user_comment(values["UserComment"], tags.order))
    for name in ("XPComment", "XPTitle"):
        if name in values:
            yield Text("caption", f"{where} {name}", name, values[name].decode("utf-16-le", "replace").rstrip("\0"))
    if 0 < len(values.get("MakerNote", b"")) <= 64:
        yield Text("parameters", f"{where} MakerNote", "MakerNote", decode(values["MakerNote"]))


def user_comment(data: bytes, order: str) -> str:
    """A UserComment: eight bytes name the character set. What calls itself Unicode, or nothing, is UTF-16 or UTF-8."""
    head, body = data[:8], data[8:]
    if head.startswith(b"UNICODE") or head == b"\0" * 8:
        zeros = body[:64:2].count(0), body[1:64:2].count(0)
        if head[:1] == b"U" and zeros == (0, 0) and not body[:64].isascii():  # not Latin letters: the order that the file states
            return body.decode("utf-16-be" if order == ">" else "utf-16-le", "replace").rstrip("\0")
        if max(zeros):
            return body.decode("utf-16-be" if zeros[0] > zeros[1] else "utf-16-le", "replace").rstrip("\0")
        return decode(body)
    if head in (b"ASCII\0\0\0", b"JIS\0\0\0\0\0"):
        return decode(body)
    return decode(data)


def camera(tags: Tags, where: str) -> Found | None:
    """Make and model with at least one thing that only a camera's own program writes; all of it can be forged."""
    values = tags.values
    make, model = (decode(values.get(name, b""))[:80].strip() for name in ("Make", "Model"))
    if not (make and model) or "{" in make + model:
        return None
    signs = {"ExposureTime": "exposure", "FNumber": "aperture", "ISO": "ISO", "FocalLength": "focal length", "LensModel": "lens"}
    seen = [word for name, word in signs.items() if name in values]
    if "MakerNote" in values:
        seen.append("maker note")
    width, height = tags.number("PixelXDimension"), tags.number("PixelYDimension")
    if width * height >= 1_000_000:
        seen.append(f"{width} x {height} px")
    if not seen:
        return None
    name = model if model.lower().startswith(make.lower().split(" ")[0]) else f"{make} {model}"
    return Found(Evidence("camera", where, short(f"{name}: {', '.join(seen)}"), "camera"))
