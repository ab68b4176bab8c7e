"""Copies: samples whose decoded pictures are the same, pixel for pixel."""

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from operators.base import Batch, BatchFn, Columns, Reads, Scope, field
from operators.exact_duplicates import KEEP_LARGEST, copy_columns, first_of_group, storage


@dataclass(frozen=True)
class PixelDuplicates:
    """Finds pictures that are equal once decoded (same `pixel_hash`), in other files, and says which one is kept.

    ``keep`` is an SQL ordering over ``wide``, best first, as in `exact_duplicates`. Exact duplicates are left to that
    operator and get nulls here.
    """

    keep: str = KEEP_LARGEST

    name, version, gpus = "pixel_duplicates", "1", 0.0
    scope: ClassVar[Scope] = "corpus"
    adds = pa.schema(
        [
            field("pixel_duplicate", pa.bool_(), "a file with the same pixels is kept instead; null: exact duplicate or not decoded"),
            field("pixel_duplicate_of", pa.uuid(), "the kept picture; null for a kept or unique sample", "sample_id"),
            field("pixel_group", pa.uuid(), "the kept picture, for every member of a set; null for a unique sample", "sample_id"),
        ]
    )

    @property
    def reads(self) -> Reads:
        return Reads(columns=("sample_id", "exact_duplicate", "pixel_hash"), order_by=self.keep)

    def open(self) -> BatchFn:
        return mark


def mark(batch: Batch) -> Columns:
    """Rows must come best first; the first of each hash is kept."""
    ids, hashes, copies = (storage(batch.table[name]) for name in ("sample_id", "pixel_hash", "exact_duplicate"))
    code = hashes.dictionary_encode().indices.fill_null(-1).to_numpy(False).copy()
    code[copies.fill_null(False).to_numpy(False)] = -1
    known = code >= 0
    kept = first_of_group(code)
    return copy_columns("pixel", ids, kept, known)
