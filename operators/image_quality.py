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
from collections.abc import Callable
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
        from operators.pixel_loops import all_measures

        return per_row(self.adds, lambda row: measure(row, all_measures))


def measure(row: Row, all_measures: Callable[..., Any]) -> dict[str, Any]:
    pixels, gray, table = row.view(PIXELS), row.view(LUMA), row.view(HEADER).quantization
    step, colour_step = sample_step(gray, 2), sample_step(gray, 4)
    luma, whole, half, entropy, flat, opponents = all_measures(gray, pixels, step, colour_step, FLAT)
    brightness, contrast = mean_and_deviation(gray.size, *luma)
    colour, spread = colourfulness(opponents, -(-gray.shape[0] // colour_step) * -(-gray.shape[1] // colour_step))
    height, width = gray.shape
    return {
        "sharpness": interpolated_sharpness(height, width, whole, half, SIDE),
        "brightness": brightness / 255,
        "contrast": contrast / 255,
        "entropy": entropy,
        "colourfulness": colour,
        "jpeg_quality": jpeg_quality(table) if table else None,
        "border_share": border_share(-(-height // step), -(-width // step), *flat),
        "is_uniform": max(contrast, spread) < UNIFORM,
    }


def sample_step(gray: UInt8, step: int) -> int:
    """``step`` where taking every ``step``-th pixel each way leaves 56 or more, else 1: statistics need no more than that."""
    return step if min(gray.shape) >= SIDE // 4 * step else 1


def mean_and_deviation(count: int, total: int, squares: int) -> tuple[float, float]:
    """Mean and standard deviation from the sum of ``count`` values and of their squares."""
    mean = total / count
    return mean, math.sqrt(max(squares / count - mean * mean, 0.0))


def sharpness(gray: UInt8, side: int = SIDE) -> float:
    """Variance of the Laplacian at a shorter side of ``side`` pixels (see the module's text); ``gray``: (height, width)."""
    from operators.pixel_loops import halved, laplacian_sums

    gray = read_only(gray)
    return interpolated_sharpness(gray.shape[0], gray.shape[1], laplacian_sums(gray), laplacian_sums(halved(gray)), side)


def interpolated_sharpness(height: int, width: int, whole: tuple[int, int], half: tuple[int, int], side: int) -> float:
    """``whole``, ``half``: sum and sum of squares of the Laplacian of a picture of that size, and of its half."""
    octaves = math.log2(min(height, width) / side)
    value = mean_and_deviation(height * width, *whole)[1] ** 2
    if octaves <= 0 or value == 0:
        return value
    halved_value = mean_and_deviation((height // 2) * (width // 2), *half)[1] ** 2
    at_whole, at_half = math.log(value + 1e-6), math.log(halved_value + 1e-6)
    return max(math.exp(at_whole + octaves * (at_half - at_whole)) - 1e-6, 0.0)


def colourfulness(sums: tuple[int, int, int, int], count: int) -> tuple[float, float]:
    """(Hasler-Suesstrunk's M(3), the larger deviation of its two opponent channels), in levels.

    ``sums``: what `operators.pixel_loops.opponent_sums` returns for ``count`` pixels.
    """
    rg_sum, rg_squares, yb_sum, yb_squares = sums
    rg_mean, rg_deviation = mean_and_deviation(count, rg_sum, rg_squares)
    yb_mean, yb_deviation = (value / 2 for value in mean_and_deviation(count, yb_sum, yb_squares))
    value = math.hypot(rg_deviation, yb_deviation) + 0.3 * math.hypot(rg_mean, yb_mean)
    return value, max(rg_deviation, yb_deviation)


def border_share(height: int, width: int, top: int, bottom: int, left: int, right: int) -> float:
    """Share of the area outside the smallest box that leaves out uniform bands at the four edges; 1 for a flat picture."""
    if top == height or left == width:
        return 1.0
    return 1 - (height - top - bottom) * (width - left - right) / (height * width)


def read_only(pixels: UInt8) -> UInt8:
    """A contiguous view nobody writes through: what the compiled loops take."""
    view = np.ascontiguousarray(pixels).view()
    view.flags.writeable = False
    return view


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
