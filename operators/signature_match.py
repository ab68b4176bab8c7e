"""Compares copy signatures, compiled. Import it only where pairs are compared: it loads Numba.

A descriptor of one picture and one of the other match when each is the other's nearest. Two matches that lie apart fix a
scale and a shift for each axis; the answer is the largest number of matches that agree on one such placement.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from operators.copy_signature import BITS, POINT_BYTES, POINTS
from operators.hamming_search import compiled, popcount

MAX_BITS = 32
"""Differing bits of 128 between descriptors that match."""
TOLERANCE = 6.0
"""How far a match may lie from where the placement puts it, in 1/256 of the side."""
APART = 24.0
STRIP, OUTSIDE = 56.0, 3
"""So many agreeing matches must lie outside any strip of a fifth of the height, and of the width: the same line of text or
watermark on unlike pictures agrees with itself, and makes no copies of them."""
ENOUGH = 24
"""So many agreeing matches leave no doubt: counting stops."""

assert BITS == 128


def unpack(signatures: Any) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """(places (n, 96, 2), descriptors (n, 96, 2), points (n,)) of a binary Arrow array; null is a picture without points."""
    places = np.zeros((len(signatures), POINTS, 2), np.uint8)
    bits = np.zeros((len(signatures), POINTS, 2), np.uint64)
    sizes = np.asarray(pc.fill_null(pc.binary_length(signatures), 0)).astype(np.int64)
    counts = np.minimum(sizes // POINT_BYTES, POINTS)
    flat = np.frombuffer(b"".join(signatures.drop_null().to_pylist()), np.uint8)
    starts = np.cumsum(sizes) - sizes
    row = np.repeat(np.arange(len(counts)), counts)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    points = flat[(starts[row] + nth * POINT_BYTES)[:, None] + np.arange(POINT_BYTES)]
    places[row, nth] = points[:, :2]
    bits[row, nth] = np.ascontiguousarray(points[:, 2:]).view(np.uint64)
    return places, bits, counts


def _outside(x: Any, y: Any, some: Any) -> int:
    """How many of some points lie outside the upright or level strip that holds most of them."""
    most = 0
    for i in some:
        level, upright = 0, 0
        for j in some:
            level += y[i] <= y[j] <= y[i] + STRIP
            upright += x[i] <= x[j] <= x[i] + STRIP
        most = max(most, level, upright)
    return len(some) - most


outside = compiled(_outside)


def _agreeing(places: Any, bits: Any, counts: Any, left: Any, right: Any, found: Any) -> None:
    """Writes the number of agreeing matches (0 to 24) of each pair of rows ``left[k]``, ``right[k]`` into ``found``."""
    nearest = np.empty(POINTS, np.int64)
    on = np.empty(POINTS, np.int64)
    x1, y1, x2, y2 = np.empty(POINTS), np.empty(POINTS), np.empty(POINTS), np.empty(POINTS)
    for k in range(len(left)):
        a, b = left[k], right[k]
        back_distance = np.full(POINTS, 129)
        back = np.full(POINTS, -1)
        for i in range(counts[a]):
            best, at = 129, -1
            for j in range(counts[b]):
                d = popcount(bits[a, i, 0] ^ bits[b, j, 0]) + popcount(bits[a, i, 1] ^ bits[b, j, 1])
                if d < best:
                    best, at = d, j
                if d < back_distance[j]:
                    back_distance[j], back[j] = d, i
            nearest[i] = at if best <= MAX_BITS else -1
        m = 0
        for i in range(counts[a]):
            j = nearest[i]
            if j >= 0 and back[j] == i:
                x1[m], y1[m], x2[m], y2[m] = places[a, i, 0], places[a, i, 1], places[b, j, 0], places[b, j, 1]
                m += 1
        most = 0
        for u in range(m):
            for v in range(u + 1, m):
                if abs(x1[v] - x1[u]) < APART or abs(y1[v] - y1[u]) < APART:
                    continue
                sx, sy = (x2[v] - x2[u]) / (x1[v] - x1[u]), (y2[v] - y2[u]) / (y1[v] - y1[u])
                if sx < 0.5 or sy < 0.5 or sx > 2 or sy > 2 or sx > 1.6 * sy or sy > 1.6 * sx:
                    continue
                agree = 0
                for w in range(m):
                    dx, dy = x2[u] + sx * (x1[w] - x1[u]) - x2[w], y2[u] + sy * (y1[w] - y1[u]) - y2[w]
                    if abs(dx) <= TOLERANCE and abs(dy) <= TOLERANCE:
                        on[agree] = w
                        agree += 1
                if agree > most and max(outside(x1, y1, on[:agree]), outside(x2, y2, on[:agree])) >= OUTSIDE:
                    most = agree
                if most >= ENOUGH:
                    break
            if most >= ENOUGH:
                break
        found[k] = min(most, ENOUGH)


agreeing = compiled(_agreeing, nogil=True)
