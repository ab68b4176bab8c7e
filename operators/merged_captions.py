"""All captions that copies of one picture carry, gathered at the copy that is kept."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from operators.base import Batch, BatchFn, Columns, Reads, Scope, field
from operators.caption_duplicates import normalised
from operators.exact_duplicates import KEEP_LARGEST, storage

MOST = 64
"""Captions kept of one picture."""


@dataclass(frozen=True)
class MergedCaptions:
    """Gathers the captions of a picture's exact and near copies at the kept one: dropping a copy then loses no caption.

    The kept picture's own captions come first, then those of its copies, best first by ``keep``; what is equal to an earlier one after
    normalisation (see `caption_duplicates`) is left out, and at most 64 stay. Exports carry the list in each sample's ``.json``, as
    they do every column; the ``.txt`` stays the picture's own caption. Null where nothing was added.
    """

    keep: str = KEEP_LARGEST

    name, version, gpus = "merged_captions", "1", 0.0
    scope: ClassVar[Scope] = "corpus"
    adds = pa.schema(
        [
            field("merged_captions", pa.list_(pa.string()), "different captions of the picture and its copies; null: no copy adds one"),
            field("merged_from", pa.int32(), "copies whose captions were looked at; null: none", "count"),
        ]
    )

    @property
    def reads(self) -> Reads:
        columns = ("sample_id", "caption", "captions", "exact_duplicate_of", "near_duplicate_of")
        return Reads(columns=columns, order_by=self.keep)

    def open(self) -> BatchFn:
        return merge


def merge(batch: Batch) -> Columns:
    """Rows must come best first. A near copy is read of ``wide``, where it is one of every exact copy of it, too."""
    ids = storage(batch.table["sample_id"]).to_pylist()
    place = {value: row for row, value in enumerate(ids)}
    exact, near = (storage(batch.table[name]).to_pylist() for name in ("exact_duplicate_of", "near_duplicate_of"))
    copies: dict[int, list[int]] = {}
    for row, kept in enumerate(n if n is not None else e for e, n in zip(exact, near, strict=True)):
        if kept is not None and kept in place:
            copies.setdefault(place[kept], []).append(row)
    merged: list[list[str] | None] = [None] * len(ids)
    counts = np.zeros(len(ids), np.int32)
    for kept, rows in copies.items():
        wanted = batch.table.select(["caption", "captions"]).take(pa.array([kept, *rows])).to_pylist()
        found: dict[str, str] = {}
        own = 0
        for n, sample in enumerate(wanted):
            for text in [sample["caption"], *(sample["captions"] or ())]:
                if text and normalised(text):
                    found.setdefault(normalised(text), text)
            own = len(found) if n == 0 else own
        counts[kept] = len(rows)
        if len(found) > own:
            merged[kept] = list(found.values())[:MOST]
    return {"merged_captions": pa.array(merged, pa.list_(pa.string())), "merged_from": pa.array(counts, mask=counts == 0)}
