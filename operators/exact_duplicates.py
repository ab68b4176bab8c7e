"""Copies: samples whose files are the same byte for byte."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.base import Batch, BatchFn, Columns, Reads, Scope, field

KEEP_LARGEST = "width * height desc, byte_length desc"
"""The default order of preference among copies: most pixels, then most bytes."""


@dataclass(frozen=True)
class ExactDuplicates:
    """Finds files that are equal byte for byte (same SHA-256) and says which copy is kept.

    ``keep`` is an SQL ordering over ``wide``, best first: ``"source = 'licensed' desc, aesthetic desc"``. The first
    sample of each set of copies in that order is the kept one; what is still tied is settled by content hash and id,
    so the order of ingestion never matters. A sample whose bytes could not be read has no hash and gets nulls.
    """

    keep: str = KEEP_LARGEST

    name, version, gpus = "exact_duplicates", "1", 0.0
    scope: ClassVar[Scope] = "corpus"
    adds = pa.schema(
        [
            field("exact_duplicate", pa.bool_(), "another file with the same bytes is kept instead of this one"),
            field("exact_duplicate_of", pa.uuid(), "the kept copy; null for a kept or unique sample", "sample_id"),
            field("exact_group", pa.uuid(), "the kept copy, for every member of a set of copies; null for a unique sample", "sample_id"),
        ]
    )

    @property
    def reads(self) -> Reads:
        return Reads(columns=("sample_id", "media_hash"), order_by=self.keep)

    def open(self) -> BatchFn:
        return mark


def mark(batch: Batch) -> Columns:
    """Rows must come best first; the first of each hash is kept."""
    ids, hashes = storage(batch.table["sample_id"]), storage(batch.table["media_hash"])
    code = hashes.dictionary_encode().indices.fill_null(-1).to_numpy()
    known = code >= 0
    return copy_columns("exact", ids, first_of_group(code), known)


def copy_columns(kind: str, ids: "pa.Array[Any]", kept: np.ndarray, known: np.ndarray) -> dict[str, "pa.Array[Any]"]:
    """``<kind>_duplicate``, ``<kind>_duplicate_of`` and ``<kind>_group`` of rows whose kept row is ``kept`` (their own: kept or unique).

    Null where a row is not ``known``. Rows that others were dropped in favour of belong to the group, too.
    """
    duplicate = known & (kept != np.arange(len(kept)))
    grouped = duplicate.copy()
    grouped[kept[duplicate]] = True
    return {
        f"{kind}_duplicate": pa.array(duplicate, mask=~known),
        f"{kind}_duplicate_of": uuid_at(ids, kept, duplicate),
        f"{kind}_group": uuid_at(ids, kept, grouped),
    }


def are_copies(batch: Batch) -> np.ndarray:
    """Which rows `exact_duplicates` or `near_duplicates` dropped in favour of another."""
    copies = np.zeros(len(batch), np.bool_)
    for name in ("exact_duplicate", "near_duplicate"):
        copies |= storage(batch.table[name]).fill_null(False).to_numpy(False)
    return copies


def first_of_group(code: np.ndarray) -> np.ndarray:
    """For every row the index of the first row with the same code (int64); rows with code -1 get their own index."""
    row = np.arange(len(code))
    first = np.zeros(code.max(initial=-1) + 1, dtype=np.int64)
    known = code >= 0
    first[code[known][::-1]] = row[known][::-1]  # of equal indices the last assignment stays
    kept = row.copy()
    kept[known] = first[code[known]]
    return kept


def storage(column: "pa.ChunkedArray[Any]") -> "pa.Array[Any]":
    """The column as one array of its plain type: ``uuid`` becomes fixed-size binary, which kernels can hash."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # what pyarrow returns for a column without chunks
        array = pa.array([], type=column.type)
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def uuid_at(ids: "pa.Array[Any]", index: np.ndarray, where: np.ndarray) -> "pa.Array[Any]":
    """``ids[index]`` as uuid where the mask is true, null elsewhere."""
    taken = pc.take(ids, pa.array(index, mask=~where))
    return pa.ExtensionArray.from_storage(pa.uuid(), taken.cast(pa.binary(16)))
