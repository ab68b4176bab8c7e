"""Defects planted on photographs at three strengths, and changes that are no defects; used by benchmarks/aigc.py. Seeded by names.

Every function takes and returns RGB pixels, uint8 (height, width, 3).
"""

import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks.common import DATA
from manifests.errors import MediaError
from operators.base import Pixels
from operators.media import Media

STRENGTHS = (1, 2, 3)
BLANK = 4  # levels of deviation: on a picture of one colour nothing can be planted
UInt8 = np.ndarray


def photographs(more: Path | None = None) -> Iterator[tuple[str, UInt8]]:
    """(name, native pixels) of real photographs: the evaluation data, what packages carry, and a folder of your own."""
    paths = [p for folder in ("photos", "aigc/matched/real", "quality") for p in sorted((DATA / folder).iterdir())]
    paths += [p for p in sorted(more.rglob("*")) if p.is_file()] if more else []
    for path in paths:
        try:
            pixels = np.asarray(Media(path.read_bytes()).view(Pixels()))
        except MediaError:
            continue
        # The screenshots of the matched set were resampled.
        if min(pixels.shape[:2]) >= 128 and pixels.std() >= BLANK and "screenshot" not in path.name:
            yield str(path.relative_to(DATA) if path.is_relative_to(DATA) else path.relative_to(more or path)), middle(pixels)
    yield from packaged()


def middle(pixels: UInt8, side: int = 1024) -> UInt8:
    """At most ``side`` x ``side`` native pixels."""
    top, left = max(pixels.shape[0] - side, 0) // 2, max(pixels.shape[1] - side, 0) // 2
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


def packaged() -> Iterator[tuple[str, UInt8]]:
    import skimage.data
    from sklearn.datasets import load_sample_images

    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        yield f"skimage/{name}", np.ascontiguousarray(getattr(skimage.data, name)())
    for name, pixels in zip(("china", "flower"), load_sample_images().images, strict=True):
        yield f"sklearn/{name}", np.ascontiguousarray(pixels)


def chance(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def first_half(name: str) -> bool:
    """Thresholds are chosen on these, figures reported on the others."""
    return zlib.crc32(name.encode()) % 2 == 0


def smoothing(pixels: UInt8, strength: int, random: np.random.Generator) -> UInt8:
    """Edges kept, all else smoothed, as beauty filters do: a bilateral or a guided filter."""
    if random.random() < 0.5:
        return cv2.bilateralFilter(pixels, 9, (20, 50, 100)[strength - 1], (3, 4, 6)[strength - 1])
    return guided(pixels, (3, 4, 6)[strength - 1], (12, 30, 60)[strength - 1])


def guided(pixels: UInt8, radius: int, deviation: float) -> UInt8:
    """He, Sun and Tang 2010, each channel its own guide."""
    x, size = pixels.astype(np.float32), (2 * radius + 1, 2 * radius + 1)
    mean = cv2.blur(x, size)
    variance = cv2.blur(x * x, size) - mean * mean
    share = variance / (variance + deviation**2)
    return np.clip(cv2.blur(share, size) * x + cv2.blur((1 - share) * mean, size) + 0.5, 0, 255).astype(np.uint8)


def detail_removal(pixels: UInt8, strength: int, random: np.random.Generator) -> UInt8:
    """Fine detail gone: a median filter, or reduced and enlarged again."""
    if random.random() < 0.5:
        return cv2.medianBlur(pixels, (3, 5, 7)[strength - 1])
    scale = (0.7, 0.5, 0.35)[strength - 1]
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, pixels.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def moire(pixels: UInt8, strength: int, random: np.random.Generator) -> UInt8:
    """Photographed from a screen: stripes of red, green and blue with dark gaps, three fine pixels a screen pixel, seen slightly turned."""
    height, width = pixels.shape[:2]
    side = int(3 * 1.3 * max(height, width)) // 3 * 3
    screen = np.zeros((side, side, 3), np.float32)
    for channel in range(3):
        screen[:, channel::3, channel] = 1
    screen[::3] *= 0.25
    angle, scale = np.deg2rad(random.uniform(1, 8)), 3 * random.uniform(0.75, 1.2)
    turn = np.array([[np.cos(angle), -np.sin(angle), 5], [np.sin(angle), np.cos(angle), 5]], np.float32)
    turn[:, :2] *= scale
    turn[0, 2] += height * scale * np.sin(angle)
    seen = cv2.warpAffine(
        cv2.GaussianBlur(screen, (0, 0), 0.9),
        turn,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_WRAP,
    )
    pattern = seen / seen.mean(axis=(0, 1))
    share = (0.15, 0.3, 0.6)[strength - 1]
    return np.clip(pixels * (1 + share * (pattern - 1)) + 0.5, 0, 255).astype(np.uint8)


def upsampling(pixels: UInt8, strength: int, random: np.random.Generator) -> UInt8:
    """Half the size and doubled again, nearest or bilinear, mixed with the original."""
    way = cv2.INTER_NEAREST if random.random() < 0.5 else cv2.INTER_LINEAR
    even = pixels[: pixels.shape[0] & ~1, : pixels.shape[1] & ~1]
    doubled = cv2.resize(cv2.resize(even, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), even.shape[1::-1], interpolation=way)
    share = (0.4, 0.7, 1.0)[strength - 1]
    return cv2.addWeighted(doubled, share, even, 1 - share, 0)


def banding(pixels: UInt8, strength: int, random: np.random.Generator) -> UInt8:
    """Fewer levels a channel."""
    step = (8, 12, 20)[strength - 1]
    return np.clip(pixels // step * step + step // 2, 0, 255).astype(np.uint8)


def halo(pixels: UInt8, strength: int, random: np.random.Generator) -> UInt8:
    """Unsharp mask of radius 2."""
    amount = (1.0, 2.0, 4.0)[strength - 1]
    soft = cv2.GaussianBlur(pixels, (0, 0), 2.0)
    return cv2.addWeighted(pixels, 1 + amount, soft, -amount, 0)


Change = Callable[[UInt8, int, np.random.Generator], UInt8]
DEFECTS: dict[str, Change] = {
    "over_smooth": smoothing,
    "texture_loss": detail_removal,
    "moire": moire,
    "upsampling_grid": upsampling,
    "banding": banding,
    "oversharpen_halo": halo,
}
"""The operator that should find it -> how it is planted."""


def bokeh(pixels: UInt8, random: np.random.Generator) -> UInt8:
    """All but an ellipse in the middle out of focus."""
    height, width = pixels.shape[:2]
    radius = max(4, min(height, width) // 60)
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = (x * x + y * y <= radius * radius).astype(np.float32)
    mask = np.zeros((height, width), np.float32)
    cv2.ellipse(mask, (width // 2, height // 2), (width // 4, height // 3), 0, 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), radius)[..., None]
    return np.clip(pixels * mask + cv2.filter2D(pixels, -1, disc / disc.sum()) * (1 - mask) + 0.5, 0, 255).astype(np.uint8)


def night(pixels: UInt8, random: np.random.Generator) -> UInt8:
    return np.clip((pixels / 255.0) ** 1.6 * 90 + random.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)


def fog(pixels: UInt8, random: np.random.Generator) -> UInt8:
    thickness = np.linspace(0.75, 0.35, pixels.shape[0])[:, None, None]
    return np.clip(pixels * (1 - thickness) + 200 * thickness + 0.5, 0, 255).astype(np.uint8)


def jpeg50(pixels: UInt8, random: np.random.Generator) -> UInt8:
    return saved(pixels, 50)


def resized(pixels: UInt8, random: np.random.Generator) -> UInt8:
    return cv2.resize(pixels, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)


def denoised(pixels: UInt8, random: np.random.Generator) -> UInt8:
    return cv2.fastNlMeansDenoisingColored(pixels, None, 3, 3, 5, 11)


HARMLESS: dict[str, Callable[[UInt8, np.random.Generator], UInt8]] = {
    "bokeh": bokeh,
    "night": night,
    "fog": fog,
    "jpeg q50": jpeg50,
    "resize": resized,
    "denoise": denoised,
}


def saved(pixels: UInt8, quality: int, full_colour: bool | None = None) -> UInt8:
    """Through a JPEG file; ``full_colour``: whether colour is not halved, by default above quality 90."""
    buffer = io.BytesIO()
    full_colour = quality > 90 if full_colour is None else full_colour
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0 if full_colour else 2)
    return np.asarray(Image.open(buffer).convert("RGB"))
