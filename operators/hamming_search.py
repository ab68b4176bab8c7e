"""The inner loop of `operators.hamming`, compiled. Import it only where pairs are searched: it loads Numba.

Compiled, because candidates must be generated and compared without being stored: there are 6.5 billion of them for a
million hashes at radius 10.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Machine code for ``function``, kept on disk where Numba finds a folder it may write to."""
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no such folder: compiled anew in every process
        return numba.njit(**options)(function)


def _popcount(x: Any) -> Any:
    """Number of ones in a uint64 (Warren, Hacker's Delight, 5-1); LLVM makes one instruction of it."""
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


popcount = compiled(_popcount)


def _search(
    hashes: Any,
    checks: Any,
    skip: Any,
    flips: Any,
    masks: Any,
    sizes: Any,
    starts: Any,
    rows: Any,
    by_bucket: Any,
    radius: int,
    check_radius: int,
    first: int,
    last: int,
    left: Any,
    right: Any,
    distances: Any,
) -> int:
    """Writes the pairs of rows ``first`` to ``last`` into the last three arrays; their number, or -1 when they do not fit.

    ``flips`` to ``by_bucket`` are what `operators.hamming.build_index` returns. Releases the interpreter lock.
    """
    count, capacity = 0, len(left)
    wanted = first + np.flatnonzero(~skip[first:last])
    for band in range(4):
        # All of one mask before the next, in the order of the buckets: memory is then read almost in sequence.
        keys = ((hashes[wanted] >> np.uint64(16 * band)) & np.uint64(0xFFFF)).astype(np.int64)
        order = np.argsort(keys)
        keys, queries = keys[order], wanted[order]
        own = hashes[queries]
        for m in range(sizes[band]):
            for q in range(len(queries)):
                bucket = keys[q] ^ masks[m]
                for at in range(starts[band, bucket], starts[band, bucket + 1]):
                    difference = own[q] ^ by_bucket[band, at]
                    if popcount(difference) <= radius:
                        i, j = queries[q], rows[band, at]
                        new = j > i and not skip[j] and popcount(checks[i] ^ checks[j]) <= check_radius
                        for earlier in range(band):  # an earlier band has found this pair already
                            part = (difference >> np.uint64(16 * earlier)) & np.uint64(0xFFFF)
                            new = new and popcount(part) > flips[earlier]
                        if new:
                            if count == capacity:
                                return -1
                            left[count], right[count], distances[count] = i, j, popcount(difference)
                            count += 1
    return count


search = compiled(_search, nogil=True)
