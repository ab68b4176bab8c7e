"""The inner loops of the artifact operators, compiled. Import it only where pictures are measured: it loads Numba."""

from typing import Any

import numba
import numpy as np

from operators.jit import compiled

types: Any = numba.types  # untyped functions
_PLANE, _PIXELS = types.Array(types.uint8, 2, "C", readonly=True), types.Array(types.uint8, 3, "C", readonly=True)
_GRID, _LINE = types.Array(types.float32, 2, "C"), types.Array(types.float64, 1, "C")
BLOCK = 8


def _flatness(gray: Any, calm: int) -> Any:
    """(mean luma, share of pixels whose Laplacian is at most ``calm``) of every block of 8 x 8 pixels inside a margin of one."""
    rows, columns = (gray.shape[0] - 2) // BLOCK, (gray.shape[1] - 2) // BLOCK
    means, flat = np.zeros((rows, columns), np.float32), np.zeros((rows, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            total: Any = 0
            count = 0
            for y in range(1 + i * BLOCK, 1 + (i + 1) * BLOCK):
                for x in range(1 + j * BLOCK, 1 + (j + 1) * BLOCK):
                    value = np.int32(gray[y, x])
                    total += value
                    around = np.int32(gray[y - 1, x]) + np.int32(gray[y + 1, x]) + np.int32(gray[y, x - 1]) + np.int32(gray[y, x + 1])
                    count += 1 if abs(around - 4 * value) <= calm else 0
            means[i, j] = total / BLOCK**2
            flat[i, j] = count / BLOCK**2
    return means, flat


flatness = compiled(_flatness, types.UniTuple(_GRID, 2)(_PLANE, types.int64), nogil=True)


def _skin(rgb: Any) -> Any:
    """Share of skin-coloured pixels (Chai and Ngan 1999: Cb 77-127, Cr 133-173) of the blocks that `flatness` looks at."""
    rows, columns = (rgb.shape[0] - 2) // BLOCK, (rgb.shape[1] - 2) // BLOCK
    found = np.zeros((rows, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            count = 0
            for y in range(1 + i * BLOCK, 1 + (i + 1) * BLOCK):
                for x in range(1 + j * BLOCK, 1 + (j + 1) * BLOCK):
                    red, green, blue = np.float32(rgb[y, x, 0]), np.float32(rgb[y, x, 1]), np.float32(rgb[y, x, 2])
                    cb = 128 - 0.168736 * red - 0.331264 * green + 0.5 * blue
                    cr = 128 + 0.5 * red - 0.418688 * green - 0.081312 * blue
                    count += 1 if 77 <= cb <= 127 and 133 <= cr <= 173 else 0
            found[i, j] = count / BLOCK**2
    return found


skin = compiled(_skin, _GRID(_PIXELS), nogil=True)


def _fine_and_coarse(gray: Any) -> Any:
    """Three grids over blocks of 8 x 8 pixels: mean luma, mean of the diagonal Haar detail, mean gradient of 4 x 4 means at distance 4."""
    height, width = gray.shape
    sums = np.zeros((height + 1, width + 1), np.int32)
    for y in range(height):
        line = np.int32(0)
        for x in range(width):
            line += np.int32(gray[y, x])
            sums[y + 1, x + 1] = sums[y, x + 1] + line
    rows, columns = (height - 8) // BLOCK, (width - 8) // BLOCK
    means, fine, coarse = (
        np.zeros((rows, columns), np.float32),
        np.zeros((rows, columns), np.float32),
        np.zeros((rows, columns), np.float32),
    )
    for i in range(rows):
        for j in range(columns):
            total: Any = 0
            detail: Any = 0
            gradient: Any = 0
            for y in range(i * BLOCK, (i + 1) * BLOCK):
                for x in range(j * BLOCK, (j + 1) * BLOCK):
                    here = np.int32(gray[y, x])
                    total += here
                    detail += abs(here - np.int32(gray[y + 1, x]) - np.int32(gray[y, x + 1]) + np.int32(gray[y + 1, x + 1]))
                    own = sums[y + 4, x + 4] - sums[y, x + 4] - sums[y + 4, x] + sums[y, x]
                    down = sums[y + 8, x + 4] - sums[y + 4, x + 4] - sums[y + 8, x] + sums[y + 4, x]
                    right = sums[y + 4, x + 8] - sums[y, x + 8] - sums[y + 4, x + 4] + sums[y, x + 4]
                    gradient += max(abs(down - own), abs(right - own))
            means[i, j], fine[i, j], coarse[i, j] = total / 64, detail / 128, gradient / 1024
    return means, fine, coarse


fine_and_coarse = compiled(_fine_and_coarse, types.UniTuple(_GRID, 3)(_PLANE), nogil=True)


def _phases(gray: Any, across: bool, most: int) -> Any:
    """Mean absolute difference (capped at ``most``) of neighbours, for each of 24 places along a row (or, ``across``, a column)."""
    height, width = gray.shape
    sums, counts = np.zeros(24, np.int64), np.zeros(24, np.int64)
    if across:
        for y in range(height - 1):
            line: Any = np.int64(0)
            for x in range(width):
                step: Any = abs(np.int32(gray[y + 1, x]) - np.int32(gray[y, x]))
                line += step if step < most else most
            sums[y % 24] += line
            counts[y % 24] += width
    else:
        for y in range(height):
            for x in range(width - 1):
                sums[x % 24] += min(abs(np.int32(gray[y, x + 1]) - np.int32(gray[y, x])), most)
                counts[x % 24] += 1
    return sums / np.maximum(counts, 1)


phases = compiled(_phases, _LINE(_PLANE, types.boolean, types.int64), nogil=True)


def _overshoot(gray: Any, least: int) -> Any:
    """(sum, number) of the overshoot beside edges across rows, as a share of the edge's step; steps below ``least`` levels are left out.

    An edge is where the central difference is largest along the row. Its two sides are the means of the pixels 6 to 8 away; the
    overshoot is how far the extreme of the pixels 1 to 3 away lies beyond, averaged over the sides that are not clipped.
    """
    total, count = 0.0, 0
    for y in range(gray.shape[0]):
        line = gray[y]
        before: Any = 0
        here: Any = 0
        for x in range(8, gray.shape[1] - 9):
            after = abs(np.int32(line[x + 2]) - np.int32(line[x]))
            if x == 8:
                before = abs(np.int32(line[x]) - np.int32(line[x - 2]))
                here = abs(np.int32(line[x + 1]) - np.int32(line[x - 1]))
            if here > 24 and here >= before and here > after:
                way = 1 if line[x + 1] > line[x - 1] else -1
                bright = (np.float64(line[x + 6 * way]) + line[x + 7 * way] + line[x + 8 * way]) / 3
                dark = (np.float64(line[x - 6 * way]) + line[x - 7 * way] + line[x - 8 * way]) / 3
                step = bright - dark
                open_bright, open_dark = bright < 235, dark > 20
                if step > least and (open_bright or open_dark):
                    high = max(line[x + way], line[x + 2 * way], line[x + 3 * way])
                    low = min(line[x - way], line[x - 2 * way], line[x - 3 * way])
                    swing = (high - bright if open_bright else 0.0) + (dark - low if open_dark else 0.0)
                    swing /= step * (2 if open_bright and open_dark else 1)
                    total += min(max(swing, -1.0), 2.0)
                    count += 1
            before, here = here, after
    return total, count


overshoot = compiled(_overshoot, types.Tuple((types.float64, types.int64))(_PLANE, types.int64), nogil=True)


def _level_counts(rgb: Any) -> Any:
    """Histograms (3, 256) of the three channels."""
    counts = np.zeros((3, 256), np.int64)
    for y in range(rgb.shape[0]):
        for x in range(rgb.shape[1]):
            for channel in range(3):
                counts[channel, rgb[y, x, channel]] += 1
    return counts


level_counts = compiled(_level_counts, types.Array(types.int64, 2, "C")(_PIXELS), nogil=True)
