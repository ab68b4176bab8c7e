"""Perceptual hashes: near copies differ in few of 64 bits.

``phash``: C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010), as `imagehash.phash`
does it: luma, 32x32 by Lanczos, two-dimensional DCT-II, lowest 8x8 coefficients, bit set where above their median.
``dhash``: as `imagehash.dhash` does it: luma, 9x8 by Lanczos, bit set where a value exceeds its left neighbour. It looks at
edges where phash looks at frequencies, so the two agree on true copies and rarely on chance pairs.

Bit order is imagehash's: row by row, the first bit is the most significant, so ``format(value, "016x")`` reads like
``str(imagehash.phash(image))``. Against imagehash on the full decode of 593 pictures (73 native-size photographs, 500 of
200 px, 20 edited copies) phash differed in at most 2 bits and dhash in at most 6 (4 for the photographs);
tests/operators/test_phash.py holds them to 4 and 6.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.base import BatchFn, Gray, Reads, Row, Scope, field, per_row

SIDE, LOW = 32, 8
SMALL = 192  # sides of the picture both hashes start from are below this
VIEW = Gray(min_side=224)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class PHash:
    """64-bit DCT hash and 64-bit gradient hash of every picture."""

    name, version = "phash", "2"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(VIEW,))
    adds = pa.schema(
        [
            field("phash", pa.uint64(), "DCT perceptual hash (Zauner 2010); nearly the same picture: Hamming distance <= 10", "64 bits"),
            field("dhash", pa.uint64(), "gradient hash, an independent second opinion on near copies", "64 bits"),
        ]
    )

    def open(self) -> BatchFn:
        from operators.hash_loops import hashes

        def measure(row: Row) -> dict[str, int]:
            gray = row.view(VIEW)
            phash, dhash = hashes(gray, SMALL, *matrices(*gray.shape))
            return {"phash": phash, "dhash": dhash}

        return per_row(self.adds, measure)


@lru_cache(maxsize=4096)
def matrices(height: int, width: int) -> tuple[Floats, Floats, Floats, Floats]:
    """What goes to the left and to the right of a picture of that size, once halved, for phash and for dhash.

    Both hashes start from the picture halved each way until both sides are below 192: halving costs a tenth of Lanczos from the
    full size and leaves enough for it to give the same answer (see above).
    """
    height, width = (halved(side) for side in (height, width))
    right = np.ascontiguousarray(dct_matrix(width).T), np.ascontiguousarray(lanczos_matrix(width, LOW + 1).T)
    return dct_matrix(height), right[0], lanczos_matrix(height, LOW), right[1]


def halved(side: int) -> int:
    while side >= SMALL:
        side //= 2
    return side


@lru_cache(maxsize=SMALL)
def dct_matrix(size: int) -> Floats:
    """(8, size): Lanczos to 32 samples, then the 8 lowest DCT-II coefficients, unnormalised as in `scipy.fftpack.dct`."""
    k, n = np.arange(LOW)[:, None], np.arange(SIDE)[None, :]
    dct = 2 * np.cos(np.pi * k * (2 * n + 1) / (2 * SIDE))
    matrix: Floats = (dct @ lanczos_matrix(size, SIDE).astype(np.float64)).astype(np.float32)
    return matrix


@lru_cache(maxsize=3 * SMALL)
def lanczos_matrix(size: int, samples: int) -> Floats:
    """(samples, size): Lanczos-3 resampling as in Pillow's Resample.c, antialiased when it reduces; rows sum to 1."""
    scale = size / samples
    centre = (np.arange(samples)[:, None] + 0.5) * scale
    x = (np.arange(size)[None, :] + 0.5 - centre) / max(scale, 1.0)
    weights = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)
    matrix: Floats = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return matrix
