"""The inner loops of `operators.phash`, compiled. Import it only where pictures are hashed: it loads Numba.

Compiled, because some twenty small NumPy and OpenCV calls a picture each give up Python's lock and wait for it again. Sums are
taken in one fixed order, eight columns at a time, so the result does not depend on the processor.
"""

from typing import Any

import numba
import numpy as np

from operators.jit import compiled

types: Any = numba.types  # untyped functions
_PLANE = types.Array(types.uint8, 2, "C", readonly=True)
_MATRIX = types.Array(types.float32, 2, "C")


def _halved(gray: Any, down: int, across: int) -> Any:
    """Rounded averages of ``down`` by ``across`` pixels, 1 or 2 each; an odd last line is left out."""
    out = np.empty((gray.shape[0] // down, gray.shape[1] // across), np.uint8)
    if down == 2 and across == 2:  # the usual case by itself: the compiler makes it six times as fast
        for y in range(out.shape[0]):
            upper, lower = gray[2 * y], gray[2 * y + 1]
            for x in range(out.shape[1]):
                out[y, x] = (np.int32(upper[2 * x]) + upper[2 * x + 1] + lower[2 * x] + lower[2 * x + 1] + 2) >> 2
    else:
        for y in range(out.shape[0]):
            for x in range(out.shape[1]):
                last = gray[down * y + down - 1, across * x + across - 1]
                out[y, x] = (np.int32(gray[down * y, across * x]) + last + 1) >> 1
    return out


halved = compiled(_halved, types.Array(types.uint8, 2, "C")(_PLANE, types.int64, types.int64), nogil=True)


def _small(gray: Any, limit: int) -> Any:
    """The picture halved along each side of ``limit`` or more, again and again, as float32."""
    height, width = gray.shape
    while max(height, width) >= limit:
        gray = halved(gray, 1 + (height >= limit), 1 + (width >= limit))
        height, width = gray.shape
    return gray.astype(np.float32)


small = compiled(_small, _MATRIX(_PLANE, types.int64), nogil=True)


def _projected(picture: Any, rows: Any, columns: Any) -> Any:
    """``rows @ picture @ columns``: (a, height) times (height, width) times (width, b), float32."""
    height, width = picture.shape
    middle, out = np.zeros(width, np.float32), np.zeros((rows.shape[0], columns.shape[1]), np.float32)
    whole = height - height % 4
    for k in range(rows.shape[0]):
        middle[:] = 0
        for y in range(0, whole, 4):  # four lines at a time: the sums are loaded and stored a quarter as often
            a, b, c, d = rows[k, y], rows[k, y + 1], rows[k, y + 2], rows[k, y + 3]
            first, second, third, fourth = picture[y], picture[y + 1], picture[y + 2], picture[y + 3]
            for x in range(width):
                middle[x] += (a * first[x] + b * second[x]) + (c * third[x] + d * fourth[x])
        for y in range(whole, height):
            for x in range(width):
                middle[x] += rows[k, y] * picture[y, x]
        for x in range(width):
            for j in range(columns.shape[1]):
                out[k, j] += middle[x] * columns[x, j]
    return out


projected = compiled(_projected, _MATRIX(_MATRIX, _MATRIX, _MATRIX), nogil=True)


def _small_hashes(picture: Any, dct_rows: Any, dct_columns: Any, lanczos_rows: Any, lanczos_columns: Any) -> Any:
    """(phash, dhash) of what `small` returns; the matrices are those of `operators.phash` for its size."""
    # Whole units are far below the noise of 8-bit pixels; without them float dust would decide the bits of flat pictures.
    low = np.rint(projected(picture, dct_rows, dct_columns))
    edges = np.rint(projected(picture, lanczos_rows, lanczos_columns))
    ordered = np.sort(low.ravel())
    middle = (ordered[31] + ordered[32]) / 2
    phash, dhash = np.uint64(0), np.uint64(0)
    for k in range(8):
        for j in range(8):
            phash = (phash << np.uint64(1)) | np.uint64(low[k, j] > middle)
            dhash = (dhash << np.uint64(1)) | np.uint64(edges[k, j + 1] > edges[k, j])
    return phash, dhash


_BOTH = types.UniTuple(types.uint64, 2)
small_hashes = compiled(_small_hashes, _BOTH(_MATRIX, _MATRIX, _MATRIX, _MATRIX, _MATRIX), nogil=True)


def _hashes(gray: Any, limit: int, dct_rows: Any, dct_columns: Any, lanczos_rows: Any, lanczos_columns: Any) -> Any:
    """(phash, dhash) of a luma picture of any size, in one call."""
    return small_hashes(small(gray, limit), dct_rows, dct_columns, lanczos_rows, lanczos_columns)


hashes = compiled(_hashes, _BOTH(_PLANE, types.int64, _MATRIX, _MATRIX, _MATRIX, _MATRIX), nogil=True)
