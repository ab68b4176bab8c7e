"""The inner loops of the artifact operators, compiled. Import it only where pictures are measured: it loads Numba."""

from typing import Any

import numba
import numpy as np

from operators.jit import compiled

types: Any = numba.types  # untyped functions
_PLANE, _PIXELS = types.Array(types.uint8, 2, "C", readonly=True), types.Array(types.uint8, 3, "C", readonly=True)
_GRID, _LINE = types.Array(types.float32, 2, "C"), types.Array(types.float64, 1, "C")
BLOCK = 8


def _block_numbers(gray: Any) -> Any:
    """(Mean, standard deviation, mean absolute Laplacian: the noise estimate of Immerkaer 1996), in levels, of every block of 8 x 8 pixels
    inside a margin of one; (rows, columns, 3)."""
    rows, columns = (gray.shape[0] - 2) // BLOCK, (gray.shape[1] - 2) // BLOCK
    found = np.zeros((rows, columns, 3), np.float32)
    for i in range(rows):
        for j in range(columns):
            total: Any = 0
            squares: Any = 0
            grain: Any = 0
            for y in range(BLOCK):
                for x in range(BLOCK):
                    v, u = 1 + i * BLOCK + y, 1 + j * BLOCK + x
                    value = np.int32(gray[v, u])
                    around = np.int32(gray[v - 1, u]) + np.int32(gray[v + 1, u]) + np.int32(gray[v, u - 1]) + np.int32(gray[v, u + 1])
                    total += value
                    squares += value * value
                    grain += abs(around - 4 * value)
            mean = total / 64
            found[i, j, 0] = mean
            found[i, j, 1] = np.sqrt(max(squares / 64 - mean * mean, 0.0))
            found[i, j, 2] = grain / 64
    return found


block_numbers = compiled(_block_numbers, types.Array(types.float32, 3, "C")(_PLANE), nogil=True)


def _block_shades(gray: Any) -> Any:
    """The numbers of `operators.missing_grain.Blocks`, in that order; (rows, columns, 5) so that a block is written at once."""
    rows, columns = (gray.shape[0] - 2) // BLOCK, (gray.shape[1] - 2) // BLOCK
    found = np.zeros((rows, columns, 5), np.float32)
    for i in range(rows):
        for j in range(columns):
            total: Any = 0
            grain: Any = 0
            most: Any = 0
            low: Any = 255
            high: Any = 0
            brightest: Any = 0
            darkest: Any = 255 * 16
            for top in range(1 + i * BLOCK, 1 + (i + 1) * BLOCK, 4):
                for left in range(1 + j * BLOCK, 1 + (j + 1) * BLOCK, 4):
                    quarter: Any = 0
                    for v in range(top, top + 4):
                        for u in range(left, left + 4):
                            value = np.int32(gray[v, u])
                            around = (
                                np.int32(gray[v - 1, u]) + np.int32(gray[v + 1, u]) + np.int32(gray[v, u - 1]) + np.int32(gray[v, u + 1])
                            )
                            bend = abs(around - 4 * value)
                            quarter += value
                            grain += bend
                            most = max(most, bend)
                            low, high = min(low, value), max(high, value)
                    total += quarter
                    brightest, darkest = max(brightest, quarter), min(darkest, quarter)
            found[i, j, 0] = total / 64
            found[i, j, 1] = high - low
            found[i, j, 2] = (brightest - darkest) / 16
            found[i, j, 3] = grain / 64
            found[i, j, 4] = most
    return found


block_shades = compiled(_block_shades, types.Array(types.float32, 3, "C")(_PLANE), nogil=True)


def _skin(rgb: Any) -> Any:
    """Share of skin-coloured pixels (Chai and Ngan 1999: Cb 77-127, Cr 133-173) of the blocks that `block_numbers` looks at, by every other
    pixel of every other row."""
    rows, columns = (rgb.shape[0] - 2) // BLOCK, (rgb.shape[1] - 2) // BLOCK
    found = np.zeros((rows, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            count = 0
            for y in range(1 + i * BLOCK, 1 + (i + 1) * BLOCK, 2):
                for x in range(1 + j * BLOCK, 1 + (j + 1) * BLOCK, 2):
                    red, green, blue = np.float32(rgb[y, x, 0]), np.float32(rgb[y, x, 1]), np.float32(rgb[y, x, 2])
                    cb = 128 - 0.168736 * red - 0.331264 * green + 0.5 * blue
                    cr = 128 + 0.5 * red - 0.418688 * green - 0.081312 * blue
                    count += 1 if 77 <= cb <= 127 and 133 <= cr <= 173 else 0
            found[i, j] = count / (BLOCK // 2) ** 2
    return found


skin = compiled(_skin, _GRID(_PIXELS), nogil=True)


def _phases(gray: Any, across: bool, most: int) -> Any:
    """Mean absolute difference (capped at ``most``) of neighbours, for each of 8 places along a row (or, ``across``, a column)."""
    height, width = gray.shape
    sums, counts = np.zeros(BLOCK, np.int64), np.zeros(BLOCK, np.int64)
    if across:
        for y in range(height - 1):
            line: Any = np.int64(0)
            for x in range(width):
                step: Any = abs(np.int32(gray[y + 1, x]) - np.int32(gray[y, x]))
                line += step if step < most else most
            sums[y % BLOCK] += line
            counts[y % BLOCK] += width
    else:
        for y in range(height):
            for x in range(width - 1):
                sums[x % BLOCK] += min(abs(np.int32(gray[y, x + 1]) - np.int32(gray[y, x])), most)
                counts[x % BLOCK] += 1
    return sums / np.maximum(counts, 1)


phases = compiled(_phases, _LINE(_PLANE, types.boolean, types.int64), nogil=True)


def _overshoot(gray: Any, least: int) -> Any:
    """(Overshoot as a share of the edge's step, step) of each side of every edge across rows; steps below ``least`` levels are left out.

    An edge is where the central difference is largest along the row. Its two sides are the means of the pixels 6 to 8 away; the
    overshoot is how far the extreme of the pixels 1 to 4 away lies beyond. A side that is clipped, or still on its way to its level (it is
    no edge, but a slope), says nothing.
    """
    found = np.empty((gray.size, 2), np.float32)
    slope, edge = np.zeros(gray.shape[1], np.int16), np.zeros(gray.shape[1], np.uint8)
    count = 0
    for y in range(gray.shape[0]):
        line = gray[y]
        for x in range(1, gray.shape[1] - 1):  # two loops without branches, which the processor does for many pixels at a time
            slope[x] = abs(np.int16(line[x + 1]) - np.int16(line[x - 1]))
        for x in range(8, gray.shape[1] - 9):
            edge[x] = np.uint8(slope[x] > 16) & np.uint8(slope[x] >= slope[x - 1]) & np.uint8(slope[x] > slope[x + 1])
        for x in range(8, gray.shape[1] - 9):
            if edge[x]:
                way = 1 if line[x + 1] > line[x - 1] else -1
                bright = (np.float64(line[x + 6 * way]) + line[x + 7 * way] + line[x + 8 * way]) / 3
                dark = (np.float64(line[x - 6 * way]) + line[x - 7 * way] + line[x - 8 * way]) / 3
                step = bright - dark
                if step > least:
                    high = max(max(line[x + way], line[x + 2 * way]), max(line[x + 3 * way], line[x + 4 * way])) - bright
                    low = dark - min(min(line[x - way], line[x - 2 * way]), min(line[x - 3 * way], line[x - 4 * way]))
                    if bright < 235 and high >= -0.5:
                        found[count, 0], found[count, 1] = high / step, step
                        count += 1
                    if dark > 20 and low >= -0.5:
                        found[count, 0], found[count, 1] = low / step, step
                        count += 1
    return found[:count]


overshoot = compiled(_overshoot, _GRID(_PLANE, types.int64), nogil=True)


def _level_counts(rgb: Any) -> Any:
    """Histograms (3, 256) of the three channels."""
    counts = np.zeros((3, 256), np.int64)
    for y in range(rgb.shape[0]):
        for x in range(rgb.shape[1]):
            for channel in range(3):
                counts[channel, rgb[y, x, channel]] += 1
    return counts


level_counts = compiled(_level_counts, types.Array(types.int64, 2, "C")(_PIXELS), nogil=True)
