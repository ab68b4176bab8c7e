"""The inner loop of `operators.hamming`, compiled. Import it only where pairs are searched: it loads Numba.

Compiled, because candidates must be generated and compared without being stored: there are 3.3 billion of them for a
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
    checks: Any,
    skip: Any,
    masks: Any,
    rows: Any,
    lines: Any,
    other_rows: Any,
    other_lines: Any,
    first: Any,
    last: Any,
    begin: Any,
    end: Any,
    radius: int,
    check_radius: int,
    flips: Any,
    band: int,
    both: bool,
    part: int,
    parts: int,
    count: int,
    left: Any,
    right: Any,
    distances: Any,
) -> int:
    """Writes the pairs of one band into the last three arrays from ``count`` on; the new count, or -1 when they do not fit.

    The queries ``lines[first[k]:last[k]]`` of each bucket ``k`` are compared with ``other_lines[begin[o]:end[o]]`` of all
    buckets ``o`` that differ from it by one of the ``masks``: a run of memory with another. Of the buckets with queries every
    ``parts``-th is done, from ``part`` on. A pair is (i, j) with j > i, or any j if ``both``. Releases the interpreter lock.
    """
    capacity = len(left)
    asked = np.flatnonzero(last > first)[part::parts]
    for m in range(len(masks)):
        for bucket in asked:
            other = bucket ^ masks[m]
            low, high = begin[other], end[other]
            if low == high:
                continue
            run = other_lines[low:high]  # counted from 0: no index can be negative, and the loop loses the test for it
            for q in range(first[bucket], last[bucket]):
                own = lines[q]
                for at in range(high - low):
                    difference = own ^ run[at]
                    if popcount(difference) <= radius:
                        i, j = rows[q], other_rows[low + at]
                        new = (j > i or (both and j != i)) and not skip[i] and not skip[j]
                        new = new and popcount(checks[i] ^ checks[j]) <= check_radius
                        for earlier in range(band):  # an earlier band has found this pair already
                            bits = (difference >> np.uint64(16 * earlier)) & np.uint64(0xFFFF)
                            new = new and popcount(bits) > flips[earlier]
                        if new:
                            if count == capacity:
                                return -1
                            left[count], right[count], distances[count] = i, j, popcount(difference)
                            count += 1
    return count


search = compiled(_search, nogil=True)
