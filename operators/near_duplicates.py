"""Near copies: the same picture re-encoded, resized, recoloured, lightly cropped or written over."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from operators.base import Batch, BatchFn, Columns, Reads, Scope, field
from operators.edited_copies import regroup
from operators.encoders.vectors import matrix
from operators.exact_duplicates import KEEP_LARGEST, copy_columns, storage
from operators.hamming import MAX_RADIUS, Hashes, pair_blocks
from operators.near_rule import Rows, Rule, nodes, taken
from operators.near_update import updated

MIN_BITS = 16
"""Half of a hash's bits are set when its 64 coefficients differ. Fewer: many are equal, the picture is blank or a plain gradient."""

Index = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Group = Callable[[Hashes, Hashes, int, int], Index]
"""phash, dhash, radius, check_radius -> the kept row of every row, best first."""


@dataclass(frozen=True)
class NearDuplicates:
    """Groups pictures whose perceptual hashes nearly agree and says which one of each group is kept.

    Samples are taken best first by ``keep`` (SQL over ``wide``, as in `exact_duplicates`). One that is not in a group yet is
    kept, and every ungrouped sample within ``radius`` bits of its ``phash`` *and* within ``check_radius`` bits of its
    ``dhash`` joins it. So each member was compared with its kept copy: chains of look-alikes never join unlike pictures.

    Exact duplicates are left to `exact_duplicates` and get nulls here, as do samples without hashes. A picture with so
    little detail that fewer than 16 bits of its ``phash`` are set (blank, plain gradient) is never a near duplicate.

    Why 10 and 12: among 4,837 photographs and 500 independent re-encodes of some of them at another size and aspect, these find all 500
    and no other pair, where 10 bits of ``phash`` alone also join 10 pairs of unlike photographs (docs/duplicates.md).

    With ``strong``, copies that hashes miss are looked for among the kept ones: cropped, framed, written over, strongly
    compressed. Candidates (``phash`` within 14 bits; the 16 nearest by embedding) are copies when ``points`` or more key points
    of their `copy_signature` agree on one placement.
    With ``turned``, mirrored and turned copies count as near ones (`turned_hashes`). A member that was linked with a
    picture that is itself dropped then stays only with a new kept picture that it is linked with; else it is kept.
    """

    radius: int = 10
    check_radius: int = 12
    keep: str = KEEP_LARGEST
    strong: bool = False
    points: int = 9
    turned: bool = False

    name, version, gpus = "near_duplicates", "2", 0.0
    scope: ClassVar[Scope] = "corpus"
    adds = pa.schema(
        [
            field("near_duplicate", pa.bool_(), "a nearly equal picture is kept instead of this one; null: exact duplicate or no hash"),
            field("near_duplicate_of", pa.uuid(), "the kept picture; null for a kept or unique sample", "sample_id"),
            field("near_group", pa.uuid(), "the kept picture, for every member of a group; null for a unique sample", "sample_id"),
            field("near_distance", pa.int16(), "differing bits of phash between this and the kept picture", "bits"),
            field("near_check", pa.int16(), "differing bits of dhash between this and the kept picture", "bits"),
            field("near_points", pa.int16(), "key points that agree with the kept picture (counted up to 24); null: not compared", "count"),
        ]
    )

    def __post_init__(self) -> None:
        if not 0 <= self.radius <= MAX_RADIUS:
            raise ValueError(f"radius must be 0 to {MAX_RADIUS} bits")
        if not 0 <= self.check_radius <= 64:
            raise ValueError("check_radius must be 0 to 64 bits")
        if self.points < 5:
            raise ValueError("points must be 5 or more: unlike pictures often have fewer that agree")

    @property
    def reads(self) -> Reads:
        strong = ("copy_signature", "image_embedding") if self.strong else ()
        turned = ("phash_turned", "dhash_turned") if self.turned else ()
        return Reads(columns=("sample_id", "exact_duplicate", "phash", "dhash", *strong, *turned), order_by=self.keep)

    def open(self) -> BatchFn:
        return self.mark

    def mark(self, batch: Batch, group: Group | None = None) -> Columns:
        """Rows must come best first. ``group`` stands in for `kept_rows`: the same answer, worked out in another place."""
        known, rows, at = self.compared(batch)
        leader = (group or in_memory)(rows.phash, rows.dhash, self.radius, self.check_radius)
        if self.strong or self.turned:
            embeddings = None
            if self.strong:
                vectors, places = matrix(batch.table["image_embedding"])
                mine = np.isin(places, at)
                embeddings = vectors[mine], np.searchsorted(at, places[mine])
            leader = regroup(leader, rows, self.rule, embeddings)
        return self.columns(storage(batch.table["sample_id"]), known, rows, at, leader)

    def update(self, batch: Batch, before: Columns, known: Mask) -> Columns | None:
        """The same from an earlier answer; the strong path and turned copies are always looked for anew."""
        if self.strong or self.turned:
            return None
        judged, rows, at = self.compared(batch)
        ids = storage(batch.table["sample_id"])
        place = pc.index_in(storage(pa.chunked_array([before["near_duplicate_of"]])), ids).fill_null(-1).to_numpy(False)
        kept = np.where(place >= 0, place, np.arange(len(ids)))
        leader = updated(np.searchsorted(at, kept[at]), known[at], rows, self.rule)
        return self.columns(ids, judged, rows, at, leader)

    @property
    def rule(self) -> Rule:
        return Rule(self.radius, self.check_radius, self.points if self.strong else 0)

    def compared(self, batch: Batch) -> tuple[Mask, Rows, Index]:
        """Which samples are judged at all, and what is compared of those with enough detail, with their places."""
        hashes, checks, copies = (storage(batch.table[name]) for name in ("phash", "dhash", "exact_duplicate"))
        known = (hashes.is_valid().to_numpy(False) & checks.is_valid().to_numpy(False)) & ~copies.fill_null(False).to_numpy(False)
        phash, dhash = (column.fill_null(0).to_numpy(False).astype(np.uint64) for column in (hashes, checks))
        at = np.flatnonzero(known & (np.bitwise_count(phash) >= MIN_BITS))
        turned = turned_hashes(batch.table, at) if self.turned else None
        signatures = taken(storage(batch.table["copy_signature"]), at) if self.strong else None
        return known, Rows(phash[at], dhash[at], turned, signatures), at

    def columns(self, ids: pa.Array, known: Mask, rows: Rows, at: Index, leader: Index) -> Columns:
        """The columns for all samples, given the kept row of each row that was compared."""
        kept = np.arange(len(known))
        kept[at] = at[leader]
        members = np.flatnonzero(leader != np.arange(len(leader)))
        bits, checks = rows.distances(members, leader[members])
        evidence: dict[str, npt.NDArray] = {"near_distance": bits, "near_check": checks}
        if rows.signatures is not None:
            evidence["near_points"] = rows.points(members, leader[members])
        return {
            **copy_columns("near", ids, kept, known),
            **{name: spread(evidence.get(name), at[members], len(known)) for name in ("near_distance", "near_check", "near_points")},
        }


def spread(values: npt.NDArray | None, places: Index, count: int) -> pa.Array:
    """Small numbers at some places of a column, null elsewhere."""
    if values is None:
        return pa.nulls(count, pa.int16())
    full, missing = np.zeros(count, np.int16), np.ones(count, np.bool_)
    full[places], missing[places] = values, False
    return pa.array(full, mask=missing)


def turned_hashes(table: pa.Table, at: Index) -> npt.NDArray[np.uint64]:
    """(n, 7, 2) of both hashes for some rows; a row without them keeps its own hashes, which adds nothing."""
    made = np.empty((len(at), 7, 2), np.uint64)
    for k, (name, plain) in enumerate((("phash_turned", "phash"), ("dhash_turned", "dhash"))):
        column, own = taken(storage(table[name]), at), taken(storage(table[plain]), at)
        made[:, :, k] = own.to_numpy(False).astype(np.uint64)[:, None]
        valid = np.flatnonzero(column.is_valid().to_numpy(False))
        made[valid, :, k] = column.drop_null().flatten().to_numpy(False).reshape(-1, 7)
    return made


def in_memory(phash: Hashes, dhash: Hashes, radius: int, check_radius: int) -> Index:
    return kept_rows(phash, dhash, radius, check_radius)[0]


def kept_rows(phash: Hashes, dhash: Hashes, radius: int, check_radius: int) -> tuple[Index, npt.NDArray[np.int16]]:
    """For every row (best first) the row kept in its stead, itself if kept, and the distance in bits.

    Equal pairs of hashes are one node: their rows have the same neighbours, so they are taken together, and a million
    equal pictures cost no more than one.
    """
    node, row_of_node = nodes(phash, dhash)
    leader, bits = np.arange(len(row_of_node)), np.zeros(len(row_of_node), np.int16)
    taken = np.zeros(len(row_of_node), np.bool_)
    for left, right, distance in pair_blocks(phash[row_of_node], radius, dhash[row_of_node], check_radius, skip=taken):
        for i, begin, count in zip(*(a.tolist() for a in np.unique(left, return_index=True, return_counts=True)), strict=True):
            if not taken[i]:  # no better row took it, so it is kept and takes what is left around it
                near = slice(begin, begin + count)
                free = ~taken[right[near]]
                members = right[near][free]
                leader[members], bits[members], taken[members] = i, distance[near][free], True
    return row_of_node[leader[node]], bits[node]
