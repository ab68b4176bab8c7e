"""Near copies: the same picture re-encoded, resized, recoloured, lightly cropped or written over."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.base import Batch, BatchFn, Columns, Reads, Scope, field
from operators.exact_duplicates import KEEP_LARGEST, storage, uuid_at
from operators.hamming import MAX_RADIUS, Hashes, pair_blocks

MIN_BITS = 16
"""Half of a hash's bits are set when its 64 coefficients differ. Fewer: many are equal, the picture is blank or a plain gradient."""

Index = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class NearDuplicates:
    """Groups pictures whose perceptual hashes nearly agree and says which one of each group is kept.

    Samples are taken best first by ``keep`` (SQL over ``wide``, as in `exact_duplicates`). One that is not in a group yet is
    kept, and every ungrouped sample within ``radius`` bits of its ``phash`` *and* within ``check_radius`` bits of its
    ``dhash`` joins it. So each member was compared with its kept copy: chains of look-alikes never join unlike pictures.

    Exact duplicates are left to `exact_duplicates` and get nulls here, as do samples without hashes. A picture with so
    little detail that fewer than 16 bits of its ``phash`` are set (blank, plain gradient) is never a near duplicate.

    Why 10 and 12: among 4,837 photographs of Flickr8k and 500 independent re-encodes of some of them at another size and
    aspect, these find all 500 and no other pair, where 10 bits of ``phash`` alone also join 10 pairs of unlike photographs. Of 500
    planted copies each: 1.00 of half size, JPEG quality 30, WebP, blur, grey, brightness +25 and 3 % crops, 0.77 of text
    bands, 0.58 of 10 % crops. ``radius=12, check_radius=16`` finds 0.90 and 0.84 of the last two and joins 4 unlike pairs of 11.7 million.
    """

    radius: int = 10
    check_radius: int = 12
    keep: str = KEEP_LARGEST

    name, version, gpus = "near_duplicates", "1", 0.0
    scope: ClassVar[Scope] = "corpus"
    adds = pa.schema(
        [
            field("near_duplicate", pa.bool_(), "a nearly equal picture is kept instead of this one; null: exact duplicate or no hash"),
            field("near_duplicate_of", pa.uuid(), "the kept picture; null for a kept or unique sample", "sample_id"),
            field("near_group", pa.uuid(), "the kept picture, for every member of a group; null for a unique sample", "sample_id"),
            field("near_distance", pa.int16(), "differing bits of phash between this and the kept picture", "bits"),
        ]
    )

    def __post_init__(self) -> None:
        if not 0 <= self.radius <= MAX_RADIUS:
            raise ValueError(f"radius must be 0 to {MAX_RADIUS} bits")
        if not 0 <= self.check_radius <= 64:
            raise ValueError("check_radius must be 0 to 64 bits")

    @property
    def reads(self) -> Reads:
        return Reads(columns=("sample_id", "exact_duplicate", "phash", "dhash"), order_by=self.keep)

    def open(self) -> BatchFn:
        return self.mark

    def mark(self, batch: Batch) -> Columns:
        """Rows must come best first."""
        ids, hashes, checks, copies = (storage(batch.table[name]) for name in ("sample_id", "phash", "dhash", "exact_duplicate"))
        known = (hashes.is_valid().to_numpy(False) & checks.is_valid().to_numpy(False)) & ~copies.fill_null(False).to_numpy(False)
        phash, dhash = (column.fill_null(0).to_numpy(False).astype(np.uint64) for column in (hashes, checks))
        rows = np.flatnonzero(known & (np.bitwise_count(phash) >= MIN_BITS))
        kept, distance = np.arange(len(known)), np.zeros(len(known), np.int16)
        leader, bits = kept_rows(phash[rows], dhash[rows], self.radius, self.check_radius)
        kept[rows], distance[rows] = rows[leader], bits
        duplicate = kept != np.arange(len(kept))
        grouped = duplicate.copy()
        grouped[kept[duplicate]] = True
        return {
            "near_duplicate": pa.array(duplicate, mask=~known),
            "near_duplicate_of": uuid_at(ids, kept, duplicate),
            "near_group": uuid_at(ids, kept, grouped),
            "near_distance": pa.array(distance, mask=~duplicate),
        }


def kept_rows(phash: Hashes, dhash: Hashes, radius: int, check_radius: int) -> tuple[Index, npt.NDArray[np.int16]]:
    """For every row (best first) the row kept in its stead, itself if kept, and the distance in bits.

    Equal pairs of hashes are one node: their rows have the same neighbours, so they are taken together, and a million
    equal pictures cost no more than one.
    """
    order = np.lexsort((dhash, phash))  # stable: the first of equal ones is the best
    starts = np.ones(len(order), np.bool_)
    starts[1:] = (phash[order][1:] != phash[order][:-1]) | (dhash[order][1:] != dhash[order][:-1])
    best = order[starts]
    by_rank = np.argsort(best)
    rank = np.empty(len(best), np.int64)
    rank[by_rank] = np.arange(len(best))
    node = np.empty(len(order), np.int64)
    node[order] = rank[np.cumsum(starts) - 1]
    row_of_node = best[by_rank]

    leader, bits = np.arange(len(best)), np.zeros(len(best), np.int16)
    taken = np.zeros(len(best), np.bool_)
    for left, right, distance in pair_blocks(phash[row_of_node], radius, dhash[row_of_node], check_radius, skip=taken):
        for i, begin, count in zip(*(a.tolist() for a in np.unique(left, return_index=True, return_counts=True)), strict=True):
            if not taken[i]:  # no better row took it, so it is kept and takes what is left around it
                near = slice(begin, begin + count)
                free = ~taken[right[near]]
                members = right[near][free]
                leader[members], bits[members], taken[members] = i, distance[near][free], True
    return row_of_node[leader[node]], bits[node]
