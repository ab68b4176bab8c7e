"""When two pictures are copies of each other: the rule of `near_duplicates`, and what is measured of a pair."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.hamming import Hashes

Index = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Float32 = npt.NDArray[np.float32]

STEP = 1 << 16
"""Pairs compared at a time."""


def taken(array: Any, rows: Index) -> Any:
    """Some rows of an Arrow array."""
    return array.take(pa.array(rows, pa.int64()))


@dataclass(frozen=True)
class Rule:
    """Limits: bits of ``phash`` and ``dhash``, and agreeing points of a signature (0: signatures are not compared)."""

    radius: int
    check_radius: int
    points: int = 0


@dataclass(frozen=True)
class Rows:
    """What is compared of n pictures. ``turned``: (n, 7, 2) hashes of their other orientations. Absent: not asked for."""

    phash: Hashes
    dhash: Hashes
    turned: npt.NDArray[np.uint64] | None = None
    signatures: pa.Array | None = None

    def __len__(self) -> int:
        return len(self.phash)

    def take(self, rows: Index) -> "Rows":
        return Rows(
            self.phash[rows],
            self.dhash[rows],
            None if self.turned is None else self.turned[rows],
            None if self.signatures is None else taken(self.signatures, rows),
        )

    @cached_property
    def _points(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint64], Index]:
        from operators.signature_match import unpack

        return unpack(self.signatures)

    def distances(self, left: Index, right: Index) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Bits of ``phash`` and ``dhash`` between pairs, of the orientation in which they are nearest if there are any."""
        bits = np.bitwise_count(self.phash[left] ^ self.phash[right])
        checks = np.bitwise_count(self.dhash[left] ^ self.dhash[right])
        if self.turned is not None:
            for one, other in ((left, right), (right, left)):
                for way in range(self.turned.shape[1]):
                    turned = np.bitwise_count(self.turned[one, way, 0] ^ self.phash[other])
                    check = np.bitwise_count(self.turned[one, way, 1] ^ self.dhash[other])
                    nearer = turned.astype(np.int16) + check < bits.astype(np.int16) + checks
                    bits, checks = np.where(nearer, turned, bits), np.where(nearer, check, checks)
        return bits, checks

    def points(self, left: Index, right: Index) -> npt.NDArray[np.int64]:
        """Agreeing points of the signatures of pairs, 0 to 24."""
        from operators.signature_match import agreeing

        found = np.zeros(len(left), np.int64)
        agreeing(*self._points, left, right, found)
        return found

    def linked(self, left: Index, right: Index, rule: Rule) -> Mask:
        """Which pairs of rows are copies by the rule: both hashes agree, or enough points of the signatures do."""
        found = np.zeros(len(left), np.bool_)
        for start in range(0, len(left), STEP):
            part = slice(start, start + STEP)
            bits, checks = self.distances(left[part], right[part])
            near = (bits <= rule.radius) & (checks <= rule.check_radius)
            if rule.points and self.signatures is not None:
                unsure = np.flatnonzero(~near)
                near[unsure] = self.points(left[part][unsure], right[part][unsure]) >= rule.points
            found[part] = near
        return found


def nodes(phash: Hashes, dhash: Hashes) -> tuple[Index, Index]:
    """(node of each row, best row of each node): rows with equal hashes, which have the same neighbours, are one node. Nodes are
    numbered by their best row, best first."""
    order = np.lexsort((dhash, phash))  # stable: the first of equal ones is the best
    starts = np.ones(len(order), np.bool_)
    starts[1:] = (phash[order][1:] != phash[order][:-1]) | (dhash[order][1:] != dhash[order][:-1])
    best = order[starts]
    by_rank = np.argsort(best)
    rank = np.empty(len(best), np.int64)
    rank[by_rank] = np.arange(len(best))
    node = np.empty(len(order), np.int64)
    node[order] = rank[np.cumsum(starts) - 1]
    return node, best[by_rank]
