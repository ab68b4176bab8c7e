"""Exact search for pairs of 64-bit hashes within a Hamming radius, by multi-index hashing.

Norouzi, Punjani and Fleet, "Fast Exact Search in Hamming Space with Multi-Index Hashing" (2014, arXiv:1307.2982): cut the
hash into four bands of 16 bits. If two hashes differ in at most ``r`` bits, then some band ``b`` differs in at most ``t[b]``
bits, for any ``t`` with ``sum(t + 1) = r + 1``. So only buckets within ``t[b]`` flips of each other are compared, and
every pair met there is compared in full. Nothing is approximate.

Hashes lie sorted by bucket, so the loop compares one run of memory with another (`operators.hamming_search`).
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BANDS, BUCKETS = 4, 65_536
MAX_RADIUS = 20  # more would compare so many buckets that comparing all pairs is cheaper
ROWS_A_STEP = 524_288
PAIRS_A_STEP = 4_000_000
FEW = 4_096  # comparing all pairs of so many takes less time than loading the compiled search

Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
Pairs = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class Index:
    """Some rows by bucket of each band: ``rows`` (bands, n) ascending within a bucket, ``lines`` their hashes in that order,
    ``keys`` (bands, n) the bucket of each row in the order of rows, ``starts`` (bands, 65,537)."""

    rows: npt.NDArray[np.int32]
    lines: Hashes
    keys: npt.NDArray[np.uint16]
    starts: npt.NDArray[np.int64]

    def span(self, first: int, last: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(begin, end) in each bucket, (bands, 65,536), of the ``first`` to ``last`` row of the index: they lie side by side there."""
        begin, end = (self.starts[:, :-1] + counts(self.keys[:, :row]) for row in (first, last))
        return begin, end


def build_index(hashes: Hashes, rows: Rows) -> Index:
    keys = np.stack([(hashes[rows] >> np.uint64(16 * band)).astype(np.uint16) for band in range(BANDS)])
    order = np.stack([rows[np.argsort(key, kind="stable")] for key in keys]).astype(np.int32)  # stable: rows ascend within a bucket
    starts = np.zeros((BANDS, BUCKETS + 1), np.int64)
    starts[:, 1:] = np.cumsum(counts(keys), axis=1)
    return Index(order, hashes[order], keys, starts)


def counts(keys: npt.NDArray[np.uint16]) -> npt.NDArray[np.int64]:
    """(bands, 65,536): rows of each bucket."""
    return np.stack([np.bincount(key, minlength=BUCKETS) for key in keys])


def band_flips(radius: int) -> list[int]:
    """``t`` of each band; -1: the others suffice without this one."""
    return [(radius + 1) // BANDS - 1 + (band < (radius + 1) % BANDS) for band in range(BANDS)]


def band_masks(flips: int) -> npt.NDArray[np.int64]:
    """All patterns of at most ``flips`` of 16 bits."""
    patterns = [bits for count in range(flips + 1) for bits in itertools.combinations(range(16), count)]
    return np.array([sum(1 << bit for bit in bits) for bits in patterns], np.int64)


def pair_blocks(
    hashes: Hashes,
    radius: int,
    checks: Hashes | None = None,
    check_radius: int = 64,
    skip: Mask | None = None,
    threads: int | None = None,
) -> Iterator[Pairs]:
    """Every pair ``i < j`` with ``popcount(hashes[i] ^ hashes[j]) <= radius``, once, in blocks, ``i`` ascending.

    With ``checks`` (a second hash a row) the pair must also be within ``check_radius`` by that one. Rows marked in ``skip``
    are left out; the caller may mark more between two blocks, and rows not yet reached then cost nothing.
    A block is (i, j, distance by ``hashes``) and holds at most max(4 million, 2 n) pairs a thread, so memory stays bounded
    however many pairs there are. Equal hashes are pairs like any other: collapse them first if there may be many.

    Raises ValueError for a radius outside 0 to 20.
    """
    yield from _Search(hashes, radius, checks, check_radius, skip, threads).blocks(None)


def neighbour_blocks(
    hashes: Hashes, radius: int, queries: Mask, checks: Hashes | None = None, check_radius: int = 64, threads: int | None = None
) -> Iterator[Pairs]:
    """As `pair_blocks`, but every pair (i, j), ``i != j``, with ``queries[i]``: a pair of two queries comes twice."""
    yield from _Search(hashes, radius, checks, check_radius, None, threads).blocks(queries)


def cross_blocks(
    left: Hashes,
    right: Hashes,
    radius: int,
    left_checks: Hashes,
    right_checks: Hashes,
    check_radius: int = 64,
    threads: int | None = None,
) -> Iterator[Pairs]:
    """Every pair of a row of ``left`` and one of ``right`` within the radii, in blocks, the left row ascending."""
    both, checks = np.concatenate([left, right]), np.concatenate([left_checks, right_checks])
    ours = np.arange(len(both)) < len(left)
    for i, j, distance in neighbour_blocks(both, radius, ours, checks, check_radius, threads):
        other = ~ours[j]
        yield i[other], j[other] - np.int32(len(left)), distance[other]


class _Search:
    """A search over some hashes: its arguments, and the ways to go through them."""

    def __init__(
        self, hashes: Hashes, radius: int, checks: Hashes | None, check_radius: int, skip: Mask | None, threads: int | None
    ) -> None:
        if not 0 <= radius <= MAX_RADIUS:
            raise ValueError(f"radius must be 0 to {MAX_RADIUS} bits, not {radius}")
        n = len(hashes)
        self.hashes, self.radius, self.check_radius = np.ascontiguousarray(hashes, np.uint64), radius, check_radius
        self.checks = np.zeros(n, np.uint64) if checks is None else checks
        self.skip = np.zeros(n, np.bool_) if skip is None else skip
        self.threads = threads or os.cpu_count() or 1

    def blocks(self, queries: Mask | None) -> Iterator[Pairs]:
        n = len(self.hashes)
        rows = np.arange(n) if queries is None else np.flatnonzero(queries)
        if n <= FEW or not len(rows):
            yield from self.all_pairs(rows, queries is not None)
            return
        from operators.hamming_search import search  # compiles, so only when needed

        index = build_index(self.hashes, np.arange(n))
        asked = index if queries is None else build_index(self.hashes, rows)
        flips = np.array(band_flips(self.radius))
        masks = [band_masks(t) for t in flips.tolist()]
        capacity = max(PAIRS_A_STEP, 2 * n)  # one row has fewer than n partners, so every call gets on by a row or more
        buffers = [(np.empty(capacity, np.int32), np.empty(capacity, np.int32), np.empty(capacity, np.uint8)) for _ in range(self.threads)]

        def part(number: int, spans: tuple[Rows, ...]) -> int:
            """Every ``threads``-th bucket: the pairs found, in the buffer of that number; -1: too many for it."""
            count = 0
            for band in range(BANDS):
                sides = (asked.rows[band], asked.lines[band], index.rows[band], index.lines[band], *(span[band] for span in spans))
                limits = (self.radius, self.check_radius, flips, band, queries is not None, number, self.threads)
                count = int(search(self.checks, self.skip, masks[band], *sides, *limits, count, *buffers[number]))
                if count < 0:
                    break
            return count

        def steps(first: int, last: int) -> Iterator[Pairs]:
            """The pairs of some queries; in smaller steps where they are too many, so that rows marked meanwhile are left out."""
            # Rows ascend within a bucket, so those behind the first query are a range there, too.
            behind = index.span(first, n) if queries is None else (index.starts[:, :-1], index.starts[:, 1:])
            found = list(pool.map(part, range(self.threads), itertools.repeat((*asked.span(first, last), *behind))))
            if min(found) >= 0:
                yield joined([(i[:count], j[:count], d[:count]) for (i, j, d), count in zip(buffers, found, strict=True)])
            else:
                middle = (first + last) // 2
                yield from steps(first, middle)
                yield from steps(middle, last)

        with ThreadPoolExecutor(self.threads) as pool:
            for start in range(0, len(rows), ROWS_A_STEP):
                yield from steps(start, min(start + ROWS_A_STEP, len(rows)))

    def all_pairs(self, rows: Rows, both: bool) -> Iterator[Pairs]:
        """The same pairs by comparing everything, a few hundred rows at a time."""
        everything = np.arange(len(self.hashes))
        for start in range(0, len(rows), 256):
            own = rows[start : start + 256]
            distance = np.bitwise_count(self.hashes[own, None] ^ self.hashes[None])
            near = (distance <= self.radius) & (np.bitwise_count(self.checks[own, None] ^ self.checks[None]) <= self.check_radius)
            near &= (own[:, None] != everything) if both else (own[:, None] < everything)
            near &= ~self.skip[own, None] & ~self.skip[None]
            i, j = np.nonzero(near)
            yield own[i].astype(np.int32), j.astype(np.int32), distance[i, j]


def joined(parts: Sequence[Pairs]) -> Pairs:
    """One block of several, ordered by (i, j)."""
    left, right, distances = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.argsort((left.astype(np.int64) << 32) | right)
    return left[order], right[order], distances[order]
