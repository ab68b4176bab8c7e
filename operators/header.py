"""What a file says without decoding pixels: `MediaInfo`, read from a picture Pillow opened and did not load."""

from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image

from manifests.errors import MediaError
from operators.containers import gif_frames, tiff_pages

SHORT_NAMES = {"JPEG2000": "jp2", "MPO": "jpeg", "DIB": "bmp"}
"""Pillow's format names that are not just written in capitals."""

_MAX_TEXT = 120
_BITS = {"1": 1, "I": 32, "F": 32}


@dataclass(frozen=True)
class MediaInfo:
    """What a file says without decoding pixels.

    ``format``: jpeg, png, webp, avif, gif, tiff, bmp, heif, jp2, ico, ppm, qoi. ``width``, ``height``: upright, in
    pixels; ``stored_width``, ``stored_height``: as the pixels lie in the file. ``orientation``: EXIF, 1-8.
    ``mode``: Pillow's pixel mode. ``bits``: per channel. ``frames``: frames or pages. ``quantization``: a JPEG's first
    quantisation table, 64 numbers in natural order. Camera fields: EXIF, cut to 120 characters, None where absent.
    """

    format: str
    width: int
    height: int
    stored_width: int
    stored_height: int
    mode: str
    bits: int = 8
    frames: int = 1
    animated: bool = False
    orientation: int = 1
    has_alpha: bool = False
    has_icc: bool = False
    progressive: bool = False
    quantization: tuple[int, ...] | None = None
    camera_make: str | None = None
    camera_model: str | None = None
    software: str | None = None
    taken_at: str | None = None


def check_budget(width: int, height: int, max_pixels: int) -> None:
    """Raises `MediaError` for an empty picture and for one above the budget."""
    if width < 1 or height < 1:
        raise MediaError(f"the picture is empty: {width} x {height} pixels")
    if width * height > max_pixels:
        raise MediaError(f"{width} x {height} = {width * height / 1e6:.1f} megapixels exceed the budget of {max_pixels / 1e6:g}")


def read_info(image: Image.Image, name: str, data: bytes) -> MediaInfo:
    """`MediaInfo` of a picture Pillow opened and did not load."""
    exif = _read_exif(image)
    orientation = exif.pop("orientation")
    width, height = image.size
    if name == "TIFF" and orientation > 4:  # Pillow reports TIFF sizes upright
        width, height = height, width
    upright = (height, width) if orientation > 4 else (width, height)
    frames = {"GIF": gif_frames, "TIFF": tiff_pages}.get(name, lambda _: int(getattr(image, "n_frames", 1)))(data)
    table = getattr(image, "quantization", {}).get(0) if name == "JPEG" else None
    return MediaInfo(
        format=SHORT_NAMES.get(name, name.lower()),
        width=upright[0],
        height=upright[1],
        stored_width=width,
        stored_height=height,
        mode=image.mode,
        bits=_bits(image, name, data),
        frames=frames,
        animated=frames > 1 and name in ("GIF", "PNG", "WEBP", "AVIF"),
        orientation=orientation,
        has_alpha=image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info,
        has_icc=bool(image.info.get("icc_profile")),
        progressive=bool(image.info.get("progressive")),
        quantization=tuple(table) if table and len(table) == 64 else None,
        **exif,
    )


def _bits(image: Image.Image, name: str, data: bytes) -> int:
    stated: Any = None
    if name == "PNG":
        stated = data[24]
    elif name == "TIFF":
        stated = getattr(image, "tag_v2", {}).get(258)
    elif name in ("JPEG", "HEIF"):
        stated = getattr(image, "bits", None) or image.info.get("bit_depth")
    if isinstance(stated, tuple):
        stated = stated[0] if stated else None
    if isinstance(stated, int) and 0 < stated <= 64:
        return stated
    return 16 if image.mode.startswith("I;16") else _BITS.get(image.mode, 8)


def _read_exif(image: Image.Image) -> dict[str, Any]:
    """Orientation and camera fields; whatever is damaged counts as absent."""
    found: dict[str, Any] = {"orientation": 1}
    base = ExifTags.Base
    if image.format != "TIFF" and not image.info.keys() & {"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"}:
        return found  # asking Pillow would cost more than the rest of the header
    try:
        exif = image.getexif()
        if not exif:
            return found
        orientation = exif.get(base.Orientation)
        if isinstance(orientation, int) and 1 <= orientation <= 8:
            found["orientation"] = orientation
        found["camera_make"], found["camera_model"] = _text(exif.get(base.Make)), _text(exif.get(base.Model))
        found["software"] = _text(exif.get(base.Software))
        found["taken_at"] = _text(exif.get_ifd(ExifTags.IFD.Exif).get(base.DateTimeOriginal))
    except Exception:  # EXIF is arbitrary input to a parser with no single error type, and not worth losing a picture
        pass
    return found


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str):
        return None
    text = "".join(c for c in value[: 4 * _MAX_TEXT] if c.isprintable()).strip()
    return text[:_MAX_TEXT] or None
