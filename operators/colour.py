"""From whatever a decoder delivers to 8-bit sRGB: one rule a pixel mode.

* embedded ICC profiles (RGB, grey, CMYK, Lab) are converted to sRGB with LittleCMS, perceptual intent;
  a profile that is broken, larger than 4 MiB or does not fit the pixel mode is ignored: the pixels are then taken as sRGB
* CMYK without a profile: the plain complement, as Pillow does it
* 16-bit and 12-bit integers are scaled by their bit depth; 32-bit integers and floats, whose white point no file
  states, by the range their values lie in (0-1, 0-255, 0-65535, else minimum to maximum)
* transparency is composed on white
"""

import io
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

UInt8 = npt.NDArray[np.uint8]

MAX_PROFILE_BYTES = 4 << 20
_ICC_MODES = ("L", "RGB", "CMYK", "LAB")


@lru_cache(maxsize=64)
def srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform from ``profile`` to sRGB, or None when there is nothing (or nothing sane) to do.

    A profile that moves no colour of a 9x9x9 grid by more than two levels is sRGB under another name: None.
    """
    if mode not in _ICC_MODES or len(profile) > MAX_PROFILE_BYTES:
        return None
    try:
        source = ImageCms.getOpenProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, _srgb_profile(), mode, "RGB")
        if mode == "RGB":
            steps = np.linspace(0, 255, 9).astype(np.uint8)
            grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
            moved = np.asarray(ImageCms.applyTransform(Image.fromarray(grid), transform))
            if moved.shape == grid.shape and int(np.abs(moved.astype(int) - grid).max()) <= 2:
                return None
        return transform
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


@lru_cache(maxsize=1)
def _srgb_profile() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@lru_cache(maxsize=1)
def _lab_transform() -> ImageCms.ImageCmsTransform:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    return ImageCms.buildTransform(lab, _srgb_profile(), "LAB", "RGB")


def apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """``image`` in sRGB: converted by its profile where that says something, else unchanged (CMYK stays CMYK then)."""
    transform = srgb_transform(profile, image.mode) if profile else None
    if transform is None:
        return image
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # only with inPlace=True
    return converted


def to_rgb(image: Image.Image, profile: bytes, value_range: tuple[float, float] | None) -> Image.Image:
    """Mode RGB, sRGB, composed on white. ``value_range``: see `value_range`, for modes of more than 8 bits."""
    if value_range is not None:
        image = Image.fromarray(scale_values(np.asarray(image), *value_range))
    mode = image.mode
    if mode in ("1", "I", "F"):
        return image.convert("L").convert("RGB")
    if mode in ("P", "PA", "RGBX"):
        image = image.convert("RGBA" if mode == "PA" or "transparency" in image.info else "RGB")
    elif mode in ("La", "RGBa"):
        image = image.convert("LA" if mode == "La" else "RGBA")
    elif "transparency" in image.info and mode in ("L", "RGB"):
        image = image.convert("LA" if mode == "L" else "RGBA")
    if image.mode in ("LA", "RGBA"):
        alpha = image.getchannel("A")
        opaque = apply_profile(image.convert(image.mode[:-1]), profile).convert("RGB")
        return Image.composite(opaque, Image.new("RGB", image.size, "white"), alpha)
    image = apply_profile(image, profile)
    if image.mode == "LAB":
        image = apply_lab(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def apply_lab(image: Image.Image) -> Image.Image:
    """CIE L*a*b* (D50) to sRGB: Pillow's own convert knows no way."""
    converted = ImageCms.applyTransform(image, _lab_transform())
    assert converted is not None
    return converted


def value_range(image: Image.Image, bits: int) -> tuple[float, float] | None:
    """(black, white) of a decoded picture of more than 8 bits a channel, else None.

    Looks at the values of the whole picture where the file does not state a range, so that strips of it agree.
    """
    if image.mode.startswith("I;16"):
        return 0.0, float(2 ** (bits if 8 < bits < 16 else 16) - 1)
    if image.mode not in ("I", "F"):
        return None
    extremes = []
    for row in np.asarray(image):  # row by row: a mask over the whole picture would double its memory
        finite = row[np.isfinite(row)]
        if finite.size:
            extremes += [float(finite.min()), float(finite.max())]
    low, high = min(extremes, default=0.0), max(extremes, default=0.0)
    if low >= 0:
        whites = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
        for white in whites:
            if high <= white:
                return 0.0, white
    return low, max(high, low + 1.0)


def scale_values(values: npt.NDArray[Any], black: float, white: float) -> UInt8:
    """Numbers of any type to 0-255, rounded; NaN becomes black, infinities the ends."""
    scaled = (values.astype(np.float32) - np.float32(black)) * np.float32(255.0 / (white - black))
    levels: UInt8 = np.rint(np.clip(np.nan_to_num(scaled, nan=0.0), 0, 255)).astype(np.uint8)
    return levels
