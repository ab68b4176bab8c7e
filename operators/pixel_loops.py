"""The inner loops of `operators.image_quality`, compiled. Import it only where pictures are measured: it loads Numba.

Compiled, because some thirty small OpenCV calls a picture each give up Python's lock and wait for it again: with several threads
that costs as much as half the decoding. All sums are exact integers, the same on every machine.
"""

from typing import Any

import numba
import numpy as np

from operators.jit import compiled

types: Any = numba.types  # untyped functions
_PLANE = types.Array(types.uint8, 2, "C", readonly=True)
_PIXELS = types.Array(types.uint8, 3, "C", readonly=True)
_TWO, _FOUR = types.UniTuple(types.int64, 2), types.UniTuple(types.int64, 4)
_COUNTS = types.Array(types.int64, 1, "C")
_ROWS = 1024  # squares of so many Laplacians (at most 1020 each) fit 32 bits


def _laplacian_sums(gray: Any) -> Any:
    """(sum, sum of squares) of the 4-neighbour Laplacian; at the border mirrored, the edge itself not repeated."""
    height, width = gray.shape
    # Sums by column in 32 bits, so that eight columns go at a time; emptied before they could overflow.
    sums, squares = np.zeros(width, np.int32), np.zeros(width, np.int32)
    total, total_squares = np.int64(0), np.int64(0)
    for y in range(height):
        above, line = gray[y - 1 if y else min(1, height - 1)], gray[y]
        below = gray[y + 1 if y + 1 < height else max(height - 2, 0)]
        for x in range(1, width - 1):
            value = np.int32(above[x]) + np.int32(below[x]) + np.int32(line[x - 1]) + np.int32(line[x + 1]) - 4 * np.int32(line[x])
            sums[x] += value
            squares[x] += value * value
        for x in range(0, width, max(width - 1, 1)):
            left, right = line[x - 1 if x else min(1, width - 1)], line[x + 1 if x + 1 < width else max(width - 2, 0)]
            value = np.int32(above[x]) + np.int32(below[x]) + np.int32(left) + np.int32(right) - 4 * np.int32(line[x])
            sums[x] += value
            squares[x] += value * value
        if y % _ROWS == _ROWS - 1 or y == height - 1:
            for x in range(width):
                total += sums[x]
                total_squares += squares[x]
            sums[:] = 0
            squares[:] = 0
    return total, total_squares


laplacian_sums = compiled(_laplacian_sums, _TWO(_PLANE), nogil=True)


def _halved(gray: Any) -> Any:
    """Rounded averages of 2x2 pixels; an odd last line is left out."""
    out = np.empty((gray.shape[0] // 2, gray.shape[1] // 2), np.uint8)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            upper = np.int32(gray[2 * y, 2 * x]) + np.int32(gray[2 * y, 2 * x + 1])
            lower = np.int32(gray[2 * y + 1, 2 * x]) + np.int32(gray[2 * y + 1, 2 * x + 1])
            out[y, x] = (upper + lower + 2) >> 2
    return out


halved = compiled(_halved, types.Array(types.uint8, 2, "C")(_PLANE), nogil=True)


def _luma_sums(gray: Any) -> Any:
    """(sum, sum of squares) of all pixels."""
    total, squares = np.int64(0), np.int64(0)
    for y in range(gray.shape[0]):
        line = gray[y]
        for x in range(gray.shape[1]):
            value = np.int64(line[x])
            total += value
            squares += value * value
    return total, squares


luma_sums = compiled(_luma_sums, _TWO(_PLANE), nogil=True)


def _histogram(gray: Any, step: int) -> Any:
    """Counts of the 256 levels, over every ``step``-th pixel each way."""
    # Four tables in turn: a processor waits where it adds to a number that it has just written, as flat pictures make it do.
    counts = np.zeros((4, 256), np.int32)
    width = -(-gray.shape[1] // step)
    for y in range(0, gray.shape[0], step):
        for i in range(0, width - 3, 4):
            x = i * step
            counts[0, gray[y, x]] += 1
            counts[1, gray[y, x + step]] += 1
            counts[2, gray[y, x + 2 * step]] += 1
            counts[3, gray[y, x + 3 * step]] += 1
        for i in range(width - width % 4, width):
            counts[0, gray[y, i * step]] += 1
    return counts.sum(axis=0)


histogram = compiled(_histogram, _COUNTS(_PLANE, types.int64), nogil=True)


def _entropy(counts: Any) -> Any:
    """Shannon entropy, in bits, of a histogram."""
    total, bits = counts.sum(), 0.0
    for count in counts:
        if count:
            bits -= count / total * np.log2(count / total)
    return max(bits, 0.0)


entropy = compiled(_entropy, types.float64(_COUNTS), nogil=True)


def _opponent_sums(rgb: Any, step: int) -> Any:
    """(sum, sum of squares) of red - green and of red + green - 2 blue, over every ``step``-th pixel each way."""
    rg_sum, rg_squares, yb_sum, yb_squares = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for y in range(0, rgb.shape[0], step):
        for x in range(0, rgb.shape[1], step):
            red, green, blue = np.int64(rgb[y, x, 0]), np.int64(rgb[y, x, 1]), np.int64(rgb[y, x, 2])
            rg, yb = red - green, red + green - 2 * blue
            rg_sum += rg
            rg_squares += rg * rg
            yb_sum += yb
            yb_squares += yb * yb
    return rg_sum, rg_squares, yb_sum, yb_squares


opponent_sums = compiled(_opponent_sums, _FOUR(_PIXELS, types.int64), nogil=True)


def _flat_lines(gray: Any, step: int, noise: int, across: bool, backwards: bool) -> Any:
    """How many lines from one side are of the first line's level, give or take ``noise``; columns if ``across``."""
    lines, length = -(-gray.shape[0] // step), -(-gray.shape[1] // step)
    if across:
        lines, length = length, lines
    low, high = 255, 0
    for i in range(lines):
        line = (lines - 1 - i if backwards else i) * step
        least, most = 255, 0
        for j in range(length):
            value: Any = np.int64(gray[j * step, line] if across else gray[line, j * step])
            least = value if value < least else least
            most = value if value > most else most
        if i == 0:
            low, high = least, most
        if high - low > noise or most > low + noise or least < high - noise:
            return i
    return lines


flat_lines = compiled(_flat_lines, types.int64(_PLANE, types.int64, types.int64, types.boolean, types.boolean))


def _all_measures(gray: Any, rgb: Any, step: int, colour_step: int, noise: int) -> Any:
    """All that `operators.image_quality` wants, in one call: what the functions above return, in their order.

    Laplacian sums come twice, of the picture and of its half; flat lines from the top, bottom, left and right; colour comes last.
    """
    flat = (
        flat_lines(gray, step, noise, False, False),
        flat_lines(gray, step, noise, False, True),
        flat_lines(gray, step, noise, True, False),
        flat_lines(gray, step, noise, True, True),
    )
    whole, half = laplacian_sums(gray), laplacian_sums(halved(gray))
    return luma_sums(gray), whole, half, entropy(histogram(gray, step)), flat, opponent_sums(rgb, colour_step)


all_measures = compiled(
    _all_measures,
    types.Tuple((_TWO, _TWO, _TWO, types.float64, _FOUR, _FOUR))(_PLANE, _PIXELS, types.int64, types.int64, types.int64),
    nogil=True,
)
