"""Exact search for pairs of 64-bit hashes within a Hamming radius, by multi-index hashing.

Norouzi, Punjani and Fleet, "Fast Exact Search in Hamming Space with Multi-Index Hashing" (2014, arXiv:1307.2982): cut the
hash into four bands of 16 bits. If two hashes differ in at most ``r`` bits, then some band ``b`` differs in at most ``t[b]``
bits, for any ``t`` with ``sum(t + 1) = r + 1``. So only the buckets within ``t[b]`` flips of a hash's own band are read, and
every hash met there is compared in full. Nothing is approximate.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

BANDS = 4
MAX_RADIUS = 20  # more would read so many buckets that comparing all pairs is cheaper
ROWS_A_STEP = 524_288
PAIRS_A_STEP = 4_000_000
FEW = 4_096  # comparing all pairs of so many takes less time than loading the compiled search

Hashes = npt.NDArray[np.uint64]
Pairs = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.uint8]]


def pair_blocks(
    hashes: Hashes,
    radius: int,
    checks: Hashes | None = None,
    check_radius: int = 64,
    skip: npt.NDArray[np.bool_] | None = None,
    threads: int | None = None,
) -> Iterator[Pairs]:
    """Every pair ``i < j`` with ``popcount(hashes[i] ^ hashes[j]) <= radius``, once, in blocks, ``i`` ascending.

    With ``checks`` (a second hash a row) the pair must also be within ``check_radius`` by that one. Rows marked in ``skip``
    are left out; the caller may mark more between two blocks, and rows not yet reached then cost nothing.
    A block is (i, j, distance by ``hashes``) and holds at most max(4 million, 2 n) pairs a thread, so memory stays bounded
    however many pairs there are. Equal hashes are pairs like any other: collapse them first if there may be many.

    Raises ValueError for a radius outside 0 to 20.
    """
    if not 0 <= radius <= MAX_RADIUS:
        raise ValueError(f"radius must be 0 to {MAX_RADIUS} bits, not {radius}")
    n, threads = len(hashes), threads or os.cpu_count() or 1
    checks = np.zeros(n, np.uint64) if checks is None else checks
    skip = np.zeros(n, np.bool_) if skip is None else skip
    if n <= FEW:
        yield from all_pairs(hashes, radius, checks, check_radius, skip)
        return
    index = build_index(np.ascontiguousarray(hashes, np.uint64), radius)
    from operators.hamming_search import search  # compiles, so only when needed

    capacity = max(PAIRS_A_STEP, 2 * n)  # one row has fewer than n partners, so every call gets on by a row or more
    buffers = [(np.empty(capacity, np.int32), np.empty(capacity, np.int32), np.empty(capacity, np.uint8)) for _ in range(threads)]

    def part(rows: tuple[int, int], buffer: Pairs) -> int:
        return int(search(hashes, checks, skip, *index, radius, check_radius, *rows, *buffer))

    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, n, ROWS_A_STEP):
            edges = np.linspace(start, min(start + ROWS_A_STEP, n), threads + 1).astype(int).tolist()
            parts = list(itertools.pairwise(edges))
            for (first, last), buffer, found in zip(parts, buffers, list(pool.map(part, parts, buffers)), strict=True):
                if found >= 0:
                    yield copied(buffer, found)
                else:  # a dense neighbourhood: in smaller steps, so that rows marked meanwhile are left out
                    yield from smaller(part, first, last, buffer)


def all_pairs(hashes: Hashes, radius: int, checks: Hashes, check_radius: int, skip: npt.NDArray[np.bool_]) -> Iterator[Pairs]:
    """The same pairs by comparing everything, a few hundred rows at a time."""
    step = 256
    for start in range(0, len(hashes), step):
        distance = np.bitwise_count(hashes[start : start + step, None] ^ hashes[None, start:])
        near = np.triu(distance <= radius, 1)
        near &= np.bitwise_count(checks[start : start + step, None] ^ checks[None, start:]) <= check_radius
        near &= ~skip[start : start + step, None] & ~skip[None, start:]
        i, j = np.nonzero(near)
        yield (i + start).astype(np.int32), (j + start).astype(np.int32), distance[i, j]


def smaller(part: Callable[[tuple[int, int], Pairs], int], first: int, last: int, buffer: Pairs) -> Iterator[Pairs]:
    """The pairs of a range that overflowed the buffer, in halves that fit."""
    middle = (first + last) // 2
    for rows in ((first, middle), (middle, last)):
        found = part(rows, buffer)
        if found >= 0:
            yield copied(buffer, found)
        else:
            yield from smaller(part, *rows, buffer)


def copied(buffer: Pairs, count: int) -> Pairs:
    """The filled part of the buffer, ordered by (i, j)."""
    left, right, distances = buffer
    order = np.lexsort((right[:count], left[:count]))
    return left[order], right[order], distances[order]


def build_index(hashes: Hashes, radius: int) -> tuple[Any, ...]:
    """(flips, masks, mask bounds, bucket starts, rows by bucket, hashes by bucket): the last three one line a band."""
    n = len(hashes)
    flips = np.array([(radius + 1) // BANDS - 1 + (band < (radius + 1) % BANDS) for band in range(BANDS)])
    masks = [sum(1 << bit for bit in bits) for count in range(int(flips.max()) + 1) for bits in itertools.combinations(range(16), count)]
    sizes = np.array([sum(int(m).bit_count() <= t for m in masks) for t in flips])  # masks come by number of bits
    starts, rows = np.zeros((BANDS, 65_537), np.int64), np.empty((BANDS, n), np.int32)
    for band in range(BANDS):
        key = (hashes >> np.uint64(16 * band)).astype(np.uint16)
        rows[band] = np.argsort(key, kind="stable")  # stable: rows ascend within a bucket
        starts[band, 1:] = np.cumsum(np.bincount(key, minlength=65_536))
    return flips, np.array(masks, np.int64), sizes, starts, rows, hashes[rows]
