"""Copies among clips: the same moving pictures, trimmed, scaled or encoded anew."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.base import Batch, BatchFn, Columns, Reads, Scope, field
from operators.exact_duplicates import copy_columns, storage
from operators.hamming import pair_blocks

KEEP = "width * height desc, duration_s desc, byte_length desc"
SHIFT_S = 0.3
"""Votes for alignments that differ by less are votes for one."""
MAX_CLIPS_A_HASH = 64
"""A hash that more clips have (title cards, logos) says nothing about any two of them."""
MAX_VOTERS = 256
"""Frames with one hash that vote; a still picture has thousands."""

Vote = tuple[float, int, int]
"""Two frames that look alike: by how much the worse clip's is later, and their numbers, the better clip's first."""


@dataclass(frozen=True)
class ClipDuplicates:
    """Finds clips that show the same, and says which one is kept.

    Two clips are copies when at least ``overlap`` of the shorter one's hashes (`clip_hashes`) are met within ``radius`` bits in the other
    at one and the same shift of time, and at least ``least`` of them. So trimmed copies are found, and clips that show the same still
    picture for a while are not copies of each other unless most of them is it. ``keep``: an SQL ordering over ``wide``, best first. The
    first clip of each set of copies in that order is kept; a clip gives way to a kept one only, so chains do not form.
    """

    radius: int = 8
    overlap: float = 0.6
    least: int = 3
    keep: str = KEEP

    name, version, gpus = "clip_duplicates", "1", 0.0
    scope: ClassVar[Scope] = "corpus"
    adds = pa.schema(
        [
            field("clip_duplicate", pa.bool_(), "another clip that shows the same is kept instead of this one"),
            field("clip_duplicate_of", pa.uuid(), "the kept clip; null for a kept or unique one", "sample_id"),
            field("clip_group", pa.uuid(), "the kept clip, for every member of a set of copies; null for a unique one", "sample_id"),
            field(
                "clip_overlap", pa.float32(), "share of the shorter clip's hashes that agree with the kept one; null for a kept one", "0-1"
            ),
        ]
    )

    def __post_init__(self) -> None:
        if not 0 < self.overlap <= 1:
            raise ValueError(f"overlap must be above 0 and at most 1, not {self.overlap}")
        if not 0 <= self.radius <= 20:
            raise ValueError(f"radius must be from 0 to 20, not {self.radius}")
        if self.least < 1:
            raise ValueError(f"least must be 1 or more, not {self.least}")

    @property
    def reads(self) -> Reads:
        return Reads(columns=("sample_id", "clip_hashes", "clip_hash_times"), order_by=self.keep)

    def open(self) -> BatchFn:
        return self._mark

    def _mark(self, batch: Batch) -> Columns:
        """Rows must come best first."""
        ids = storage(batch.table["sample_id"])
        sequences = [np.array(h or (), np.uint64) for h in batch.table["clip_hashes"].to_pylist()]
        times = [np.array(t or (), np.float32) for t in batch.table["clip_hash_times"].to_pylist()]
        known = np.array([len(s) > 0 for s in sequences], np.bool_)
        kept, share = np.arange(len(ids)), np.full(len(ids), np.nan, np.float32)
        for better, worse, agreed in self._copies(sequences, times):
            if kept[worse] == worse and kept[better] == better:
                kept[worse], share[worse] = better, agreed
        return {**copy_columns("clip", ids, kept, known), "clip_overlap": pa.array(share, mask=np.isnan(share))}

    def _copies(self, sequences: list[npt.NDArray[np.uint64]], times: list[npt.NDArray[np.float32]]) -> list[tuple[int, int, float]]:
        """Pairs (better, worse, share that agrees), the better and then the worse in order: what is kept is decided from the top."""
        if not any(len(s) for s in sequences):
            return []
        hashes, place = np.unique(np.concatenate(sequences), return_inverse=True)
        clip = np.repeat(np.arange(len(sequences)), [len(s) for s in sequences])
        time = np.concatenate(times)
        order = np.lexsort((clip, place))
        starts = np.searchsorted(place[order], np.arange(len(hashes) + 1))
        votes: dict[tuple[int, int], list[Vote]] = {}

        def meet(one: int, other: int) -> None:
            mine, theirs = order[starts[one] : starts[one + 1]], order[starts[other] : starts[other + 1]]
            if len(np.unique(clip[mine])) > MAX_CLIPS_A_HASH or len(np.unique(clip[theirs])) > MAX_CLIPS_A_HASH:
                return
            for a in mine[:MAX_VOTERS]:
                for b in theirs[:MAX_VOTERS]:
                    i, j = int(clip[a]), int(clip[b])
                    if i < j:
                        votes.setdefault((i, j), []).append((float(time[b] - time[a]), int(a), int(b)))
                    elif j < i:
                        votes.setdefault((j, i), []).append((float(time[a] - time[b]), int(b), int(a)))

        for value in range(len(hashes)):
            if starts[value + 1] - starts[value] > 1:
                meet(value, value)
        for left, right, _ in pair_blocks(hashes, self.radius, np.zeros(len(hashes), np.uint64), 64):
            for one, other in zip(left.tolist(), right.tolist(), strict=True):
                meet(one, other)
        found = []
        for (i, j), said in sorted(votes.items()):
            shorter = min(len(sequences[i]), len(sequences[j]))
            agreed = best_shift(said, of_better=len(sequences[i]) == shorter)
            if agreed >= self.least and agreed >= self.overlap * shorter:
                found.append((i, j, min(1.0, agreed / shorter)))
        return found


def best_shift(said: list[Vote], of_better: bool) -> int:
    """How many frames agree at the best shift of time, counted in the better clip or in the other."""
    shifts = np.array([shift for shift, _, _ in said])
    frames = np.array([mine if of_better else theirs for _, mine, theirs in said])
    best = 0
    for centre in np.unique(np.round(shifts / SHIFT_S) * SHIFT_S):
        best = max(best, len(np.unique(frames[np.abs(shifts - centre) <= SHIFT_S])))
    return best
