"""Interference stripes: a screen, a print or a fine weave photographed, or a picture resized without filtering.

Such a pattern runs through the whole picture at one frequency, so it stands as a narrow peak in the spectrum averaged over tiles,
while what the picture shows differs from tile to tile and averages out (Welch 1967). Natural pictures hardly have periodic colour, so
the difference of two colour channels tells more than luma does: the stripes of a screen are red, green and blue in turn.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.base import BatchFn, Pixels, Reads, Row, Scope, field, per_row
from operators.tiles import boxes

PIXELS = Pixels()
LOW, HIGH = 0.06, 0.5  # cycles a pixel: slower waves are shading
SIDE = 128  # of the square in the middle of a tile: enough to tell stripes, a quarter of the work
CROSS = 2  # bins beside the axes, where borders of blocks and straight edges lie
LUMA_DISCOUNT = 6.0  # decibels: fences, fabrics and tiles are periodic in luma too
FLOOR = 0.05  # power a pixel that counts as none: quantisation

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Moire:
    """Height of the sharpest peak in the picture's averaged spectrum above what surrounds it, in decibels.

    Photographs have 5 to 12; screens photographed at an angle 14 to 35. Luma counts 6 dB less than colour.
    Periodic things (blinds, fabrics, brick walls) may reach 15. 0 for pictures with a shorter side below 64. How often it is wrong:
    docs/aigc.md.
    """

    name, version = "moire", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(PIXELS,))
    adds = pa.schema([field("moire", pa.float32(), "sharpest spectral peak over what surrounds it; photographs 5 to 12", "dB")])

    def open(self) -> BatchFn:
        import cv2

        cv2.setNumThreads(1)  # rows run in parallel already
        return per_row(self.adds, measure)


def measure(row: Row) -> dict[str, Any]:
    pixels = row.view(PIXELS)
    if not boxes(*pixels.shape[:2]):
        return {"moire": 0.0}
    luma, colour = peak(spectrum(pixels, False)), peak(spectrum(pixels, True))
    return {"moire": max(luma - LUMA_DISCOUNT, colour, 0.0)}


def spectrum(pixels: npt.NDArray[np.uint8], colour: bool) -> Float32:
    """Mean log power over the middles of the tiles, natural log, (side, side // 2 + 1), of luma or (``colour``) R - B."""
    import cv2
    from scipy.fft import rfft2

    places = boxes(*pixels.shape[:2])
    side = min(SIDE, *places[0][2:])
    window = np.hanning(side).astype(np.float32)
    window = window[:, None] * window[None]
    total = np.zeros((side, side // 2 + 1), np.float32)
    for top, left, height, width in places:
        y, x = top + (height - side) // 2, left + (width - side) // 2
        tile = pixels[y : y + side, x : x + side]
        if colour:
            values = cv2.subtract(tile[..., 0], tile[..., 2], dtype=cv2.CV_32F)
        else:
            values = cv2.cvtColor(tile, cv2.COLOR_RGB2GRAY).astype(np.float32)
        found = rfft2((values - values.mean()) * window)
        total += cv2.log(found.real**2 + found.imag**2 + np.float32(FLOOR * side * side))
    return np.asarray(np.fft.fftshift(total, axes=0) / len(places), np.float32)


def peak(log_power: Float32) -> float:
    """Highest value above the local median (15 x 15 bins), in decibels, outside slow waves and the axes."""
    import cv2

    side = log_power.shape[0]
    low, high = float(log_power.min()), float(log_power.max())
    levels = ((log_power - low) * (255 / max(high - low, 1e-6))).astype(np.uint8)
    around = cv2.medianBlur(levels, 15).astype(np.float32) * ((high - low) / 255) + low
    rows, columns = np.arange(side)[:, None] - side // 2, np.arange(log_power.shape[1])[None]
    radius = np.hypot(rows, columns) / side
    inside = (radius > LOW) & (radius < HIGH) & (np.abs(rows) > CROSS) & (columns > CROSS)
    return float((log_power - around)[inside].max()) * 10 / float(np.log(10))
