"""What a picture looks like as a signal: sharpness, light, information, colour, compression, margins.

Everything is measured on one view whose shorter side is 224 to 447 pixels (or native, if smaller), so numbers of pictures of
different size compare. Values are descriptions, not verdicts; thresholds belong to recipes.

* ``sharpness``: variance of the Laplacian (Pech-Pacheco et al., ICPR 2000; OpenCV's 4-neighbour kernel) of luma 0-255 at a
  shorter side of 224 pixels. Resizing to exactly 224 would blur some sizes more than others, so the value is interpolated
  (log-variance over log2 of the side) between the view and its exact half: over sides of 225 to 447 pixels one photograph's
  values then spread by 3 % (rms) instead of 45 %. Pictures with a shorter side below 224 are measured as they are.
* ``colourfulness``: M(3) of Hasler and Suesstrunk, "Measuring colourfulness in natural images" (2003).
* ``jpeg_quality``: the IJG quality (libjpeg's jpeg_quality_scaling) whose luma quantisation table is nearest to the file's.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.base import BatchFn, Gray, Header, Pixels, Reads, Row, Scope, field, per_row

SIDE = 224
PIXELS, LUMA, HEADER = Pixels(min_side=SIDE), Gray(min_side=SIDE), Header()
FLAT = 12  # luma levels a margin may vary by: compression noise stays below
UNIFORM = 4.0  # levels of standard deviation below which a picture shows nothing

UInt8 = npt.NDArray[np.uint8]

# Table K.1 of ITU-T T.81, row by row: libjpeg's luma table at quality 50.
_K1 = (
    "16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62 "
    "18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"
)


@dataclass(frozen=True)
class ImageQuality:
    """Sharpness, brightness, contrast, entropy, colourfulness, JPEG quality, margins, uniformity."""

    name, version = "image_quality", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(PIXELS, LUMA, HEADER))
    adds = pa.schema(
        [
            field(
                "sharpness",
                pa.float32(),
                "variance of the Laplacian at a shorter side of 224 px; photographs in focus have some 1000, blurred ones below 100",
                "levels^2",
            ),
            field("brightness", pa.float32(), "mean luma; 0 black, 1 white", "0-1"),
            field("contrast", pa.float32(), "standard deviation of luma (RMS contrast)", "0-0.5"),
            field("entropy", pa.float32(), "Shannon entropy of the 256-bin luma histogram; low: little information", "bits, 0-8"),
            field("colourfulness", pa.float32(), "Hasler and Suesstrunk 2003; 0 grey, 33 moderate, above 80 extreme", "levels"),
            field("jpeg_quality", pa.int16(), "nearest IJG quality of the luma quantisation table; null for other formats", "1-100"),
            field("border_share", pa.float32(), "share of the area in uniform margins: letterbox, frames, plain backgrounds", "0-1"),
            field("is_uniform", pa.bool_(), "nearly one colour all over: nothing to see"),
        ]
    )

    def open(self) -> BatchFn:
        import cv2

        cv2.setNumThreads(1)  # rows run in parallel already
        return per_row(self.adds, measure)


def measure(row: Row) -> dict[str, Any]:
    pixels, gray, table = row.view(PIXELS), row.view(LUMA), row.view(HEADER).quantization
    sample = thinned(gray, 2)
    brightness, contrast = mean_and_deviation(gray)
    colour, spread = colourfulness(thinned(pixels, 4))
    return {
        "sharpness": sharpness(gray),
        "brightness": brightness / 255,
        "contrast": contrast / 255,
        "entropy": entropy(sample),
        "colourfulness": colour,
        "jpeg_quality": jpeg_quality(table) if table else None,
        "border_share": border_share(sample),
        "is_uniform": max(contrast, spread) < UNIFORM,
    }


def thinned(pixels: UInt8, step: int) -> UInt8:
    """Every ``step``-th pixel each way, where at least 56 remain: an unblurred sample for statistics that need no more."""
    import cv2

    height, width = pixels.shape[:2]
    if min(height, width) < SIDE // 4 * step:
        return pixels
    return np.asarray(cv2.resize(pixels, (width // step, height // step), interpolation=cv2.INTER_NEAREST), np.uint8)


def mean_and_deviation(channel: Any) -> tuple[float, float]:
    """Mean and standard deviation, in the channel's levels."""
    import cv2

    mean = float(cv2.mean(channel)[0])
    square = float(cv2.norm(channel, cv2.NORM_L2SQR)) / channel.size
    return mean, math.sqrt(max(square - mean * mean, 0.0))


def sharpness(gray: UInt8) -> float:
    """Variance of the Laplacian at a shorter side of 224 pixels (see the module's text); ``gray``: (height, width)."""
    import cv2

    height, width = gray.shape
    octaves = math.log2(min(height, width) / SIDE)
    value = laplacian_variance(gray)
    if octaves <= 0 or value == 0:
        return value
    half = cv2.resize(gray[: height & ~1, : width & ~1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    whole, halved = (math.log(variance + 1e-6) for variance in (value, laplacian_variance(half)))
    return max(math.exp(whole + octaves * (halved - whole)) - 1e-6, 0.0)


def laplacian_variance(gray: npt.NDArray[Any]) -> float:
    import cv2

    _, deviation = mean_and_deviation(cv2.Laplacian(gray, cv2.CV_16S))
    return deviation * deviation


def entropy(gray: UInt8) -> float:
    """Shannon entropy of the luma histogram, in bits."""
    import cv2

    counts = cv2.calcHist([gray], [0], None, [256], [0, 256])
    shares = counts[counts > 0] / gray.size
    return abs(float((shares * np.log2(shares)).sum()))


def colourfulness(rgb: UInt8) -> tuple[float, float]:
    """(Hasler-Suesstrunk's M(3), the larger deviation of its two opponent channels), in levels; ``rgb``: (h, w, 3)."""
    import cv2

    red, green, blue = cv2.split(rgb)
    rg = cv2.subtract(red, green, dtype=cv2.CV_16S)
    twice_yb = cv2.subtract(cv2.add(red, green, dtype=cv2.CV_16S), cv2.add(blue, blue, dtype=cv2.CV_16S))
    rg_mean, rg_deviation = mean_and_deviation(rg)
    yb_mean, yb_deviation = (value / 2 for value in mean_and_deviation(twice_yb))
    value = math.hypot(rg_deviation, yb_deviation) + 0.3 * math.hypot(rg_mean, yb_mean)
    return value, max(rg_deviation, yb_deviation)


def border_share(gray: UInt8) -> float:
    """Share of the area outside the smallest box that leaves out uniform bands at the four edges; 1 for a flat picture."""
    height, width = gray.shape
    top, left = band(gray), band(gray.T)
    if top == height or left == width:
        return 1.0
    bottom, right = band(gray[::-1]), band(gray.T[::-1])
    return float(1 - (height - top - bottom) * (width - left - right) / (height * width))


def band(lines: UInt8) -> int:
    """How many lines from the start are uniform and of the first line's level."""
    low, high = int(lines[0].min()), int(lines[0].max())
    if high - low > FLAT:  # most pictures end here
        return 0
    flat = (lines.max(axis=1) <= low + FLAT) & (lines.min(axis=1) >= high - FLAT)
    return len(flat) if flat.all() else int(np.argmin(flat))


@lru_cache(maxsize=4096)
def jpeg_quality(table: tuple[int, ...]) -> int:
    """The IJG quality 1-100 whose luma table differs least from ``table`` (64 numbers, natural order)."""
    return int(np.abs(_ijg_tables() - np.array(table)).sum(axis=1).argmin()) + 1


@lru_cache(maxsize=1)
def _ijg_tables() -> npt.NDArray[np.int64]:
    quality = np.arange(1, 101)[:, None]
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    tables: npt.NDArray[np.int64] = np.clip((np.array(_K1.split(), dtype=np.int64) * scale + 50) // 100, 1, 255)
    return tables
