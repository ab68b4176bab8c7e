"""Training pictures that are copies of evaluation pictures: decontamination."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from operators.base import Batch, BatchFn, Columns, Reads, Scope, field
from operators.cells import nearest_pairs
from operators.edited_copies import MIN_COSINE, NEAREST, WIDE_RADIUS
from operators.encoders.vectors import matrix
from operators.exact_duplicates import storage, uuid_at
from operators.hamming import MAX_RADIUS, neighbour_blocks
from operators.near_duplicates import MIN_BITS
from operators.near_rule import Rows, Rule, taken

Pairs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ProtectedCopies:
    """Says which samples are copies of a protected one (`goldsieve protect`): the same file, or a near copy.

    Every sample is compared with every protected one itself, not with a group. Near: within ``radius`` bits of ``phash`` and
    ``check_radius`` bits of ``dhash``, wider than `near_duplicates` has it, because a leak costs more than a lost sample; with
    ``strong`` also by ``points`` or more agreeing key points of `copy_signature`, as there.

    A lake with protected sets adds the rule ``not near_protected and not is_protected`` to every tier of every recipe.
    """

    radius: int = 12
    check_radius: int = 16
    strong: bool = False
    points: int = 9

    name, version, gpus = "protected_copies", "1", 0.0
    scope: ClassVar[Scope] = "corpus"
    adds = pa.schema(
        [
            field("near_protected", pa.bool_(), "a copy of a protected sample; null: not hashed, or protected itself"),
            field("protected_copy_of", pa.uuid(), "the nearest protected sample; null: none is near", "sample_id"),
            field("protected_distance", pa.int16(), "differing bits of phash between the two; 0 for the same file", "bits"),
        ]
    )

    def __post_init__(self) -> None:
        if not 0 <= self.radius <= MAX_RADIUS:
            raise ValueError(f"radius must be 0 to {MAX_RADIUS} bits")

    @property
    def reads(self) -> Reads:
        strong = ("copy_signature", "image_embedding") if self.strong else ()
        return Reads(columns=("sample_id", "media_hash", "is_protected", "phash", "dhash", *strong), order_by="sample_id")

    def open(self) -> BatchFn:
        return self.mark

    def mark(self, batch: Batch) -> Columns:
        ids, media, phash, dhash = (storage(batch.table[name]) for name in ("sample_id", "media_hash", "phash", "dhash"))
        protected = storage(batch.table["is_protected"]).fill_null(False).to_numpy(False)
        hashed = phash.is_valid().to_numpy(False) & dhash.is_valid().to_numpy(False)
        hashes, checks = (column.fill_null(0).to_numpy(False).astype(np.uint64) for column in (phash, dhash))
        of, bits = np.full(len(ids), -1), np.full(len(ids), 65)
        at = np.flatnonzero(hashed & (np.bitwise_count(hashes) >= MIN_BITS))
        if protected.any():
            rows = Rows(hashes[at], checks[at], signatures=taken(storage(batch.table["copy_signature"]), at) if self.strong else None)
            for block in self.candidates(batch, rows, at, protected):
                left, right = (at[block[:, side]] for side in (0, 1))  # protected, other
                near = rows.linked(block[:, 0], block[:, 1], Rule(self.radius, self.check_radius, self.points if self.strong else 0))
                near &= ~protected[right]
                distance = np.bitwise_count(hashes[left] ^ hashes[right]).astype(np.int64)
                order = np.flatnonzero(near)[np.lexsort((left[near], distance[near]))][::-1]
                better = order[distance[order] < bits[right[order]]]
                of[right[better]], bits[right[better]] = left[better], distance[better]  # of several the last, the nearest, stays
            same = pc.index_in(media, pc.drop_null(media.filter(pa.array(protected)))).fill_null(-1).to_numpy(False)
            equal = (same >= 0) & ~protected
            owners = np.flatnonzero(protected & media.is_valid().to_numpy(False))
            of[equal], bits[equal] = owners[same[equal]], 0
        found = of >= 0
        known = (hashed | found) & ~protected
        return {
            "near_protected": pa.array(found, mask=~known),
            "protected_copy_of": uuid_at(ids, np.where(found, of, 0), found),
            "protected_distance": pa.array(bits.astype(np.int16), mask=~found),
        }

    def candidates(self, batch: Batch, rows: Rows, at: npt.NDArray[np.int64], protected: npt.NDArray[np.bool_]) -> Iterator[Pairs]:
        """Pairs (protected, other) of rows."""
        radius = max(WIDE_RADIUS, self.radius) if self.strong else self.radius
        for left, right, _ in neighbour_blocks(rows.phash, radius, protected[at]):
            yield np.stack([left, right], axis=1).astype(np.int64)
        if self.strong:
            vectors, places = matrix(batch.table["image_embedding"])
            mine = np.isin(places, at)
            owner = np.searchsorted(at, places[mine])
            for pairs, _ in nearest_pairs(vectors[mine], NEAREST, MIN_COSINE):
                found = owner[pairs]
                both = np.concatenate([found, found[:, ::-1]])
                yield both[protected[at[both[:, 0]]]]
