"""Captions that say the same: equal once normalised, or nearly so."""

import unicodedata
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.base import Batch, BatchFn, Columns, Reads, Scope, field
from operators.exact_duplicates import KEEP_LARGEST, copy_columns, first_of_group, storage

SHINGLE = 5
BANDS, ROWS = 24, 4
"""A pair of Jaccard similarity 0.8 shares a band with probability 0.999997, one of 0.5 with 0.79."""
MOST_TRIED = 64
"""Kept captions of one band that a caption is compared with, the best ones first."""
SEED = 0x9E3779B97F4A7C15

UInt64 = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class CaptionDuplicates:
    """Groups captions that are equal after normalisation or nearly equal, and says which sample's is kept.

    Normalised: Unicode NFKC, case folded, only letters, marks and digits, single spaces. Near: the sets of runs of five
    characters of two captions have a Jaccard similarity of ``min_similarity`` or more; pairs are found by MinHash (Broder 1997,
    24 bands of 4 hashes) and then compared in full. Samples are taken best first by ``keep``; every member was compared with its kept one.

    It speaks of captions, not of pictures: ``is_duplicate`` does not look at it. Use it in a rule of its own, for
    example to limit boilerplate: ``not caption_duplicate``. Samples without caption get nulls.
    """

    min_similarity: float = 0.8
    keep: str = KEEP_LARGEST

    name, version, gpus = "caption_duplicates", "1", 0.0
    scope: ClassVar[Scope] = "corpus"
    adds = pa.schema(
        [
            field("caption_duplicate", pa.bool_(), "another sample's caption that says the same is kept; null: no caption"),
            field("caption_duplicate_of", pa.uuid(), "the sample whose caption is kept; null for a kept or unique one", "sample_id"),
            field("caption_group", pa.uuid(), "the sample whose caption is kept, for every member; null for a unique one", "sample_id"),
            field("caption_similarity", pa.float32(), "Jaccard similarity with the kept caption; 1: equal after normalisation", "0-1"),
        ]
    )

    def __post_init__(self) -> None:
        if not 0.5 <= self.min_similarity <= 1:
            raise ValueError("min_similarity must be 0.5 to 1: less is not found reliably")

    @property
    def reads(self) -> Reads:
        return Reads(columns=("sample_id", "caption"), order_by=self.keep)

    def open(self) -> BatchFn:
        return self.mark

    def mark(self, batch: Batch) -> Columns:
        """Rows must come best first."""
        ids, texts = storage(batch.table["sample_id"]), [normalised(text) for text in batch.table["caption"].to_pylist()]
        column = pa.array([text or None for text in texts], pa.string())
        code = column.dictionary_encode().indices.fill_null(-1).to_numpy(False)
        known = code >= 0
        kept = first_of_group(code)
        firsts = np.flatnonzero(known & (kept == np.arange(len(kept))))
        leader, similarity = near_groups([texts[i] for i in firsts.tolist()], self.min_similarity)
        of_first = np.arange(len(kept))
        of_first[firsts] = firsts[leader]
        likeness = np.ones(len(kept), np.float32)
        likeness[firsts] = similarity
        final = of_first[kept]
        return {
            **copy_columns("caption", ids, final, known),
            "caption_similarity": pa.array(likeness[kept], mask=~known | (final == np.arange(len(final)))),
        }


def normalised(text: str | None) -> str:
    """Letters, marks and digits in one case, with single spaces."""
    folded = unicodedata.normalize("NFKC", text or "").casefold()
    return " ".join("".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in folded).split())


def shingles(text: str) -> UInt64:
    """Hashes of all runs of five characters, ascending, each once; of the whole text when it is shorter."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    width = min(SHINGLE, len(codes))
    runs = np.zeros(len(codes) - width + 1, np.uint64)
    for k in range(width):
        runs = mixed(runs + codes[k : len(codes) - width + 1 + k])
    return np.unique(runs)


def mixed(values: UInt64) -> UInt64:
    """A bijection of 64-bit numbers that leaves nothing of their order (SplitMix64)."""
    values = values + np.uint64(SEED)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


SALTS = mixed(np.arange(1, BANDS * ROWS + 1, dtype=np.uint64))


def band_hashes(runs: UInt64) -> list[int]:
    """One number a band: equal when the smallest hash of each of its four orders is."""
    least = mixed(runs[None, :] ^ SALTS[:, None]).min(axis=1).reshape(BANDS, ROWS)
    found = least[:, 0]
    for k in range(1, ROWS):
        found = mixed(found ^ least[:, k])
    return [int(value) for value in found]


def near_groups(texts: list[str], least: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The kept text of each of some distinct texts, best first, and the Jaccard similarity with it."""
    leader, similarity = np.arange(len(texts)), np.ones(len(texts), np.float32)
    if least == 1:
        return leader, similarity
    kept_runs: dict[int, UInt64] = {}
    tables: list[dict[int, list[int]]] = [{} for _ in range(BANDS)]
    for row, text in enumerate(texts):
        runs = shingles(text)
        bands = band_hashes(runs)
        for other in sorted({other for table, band in zip(tables, bands, strict=True) for other in table.get(band, ())}):
            likeness = jaccard(runs, kept_runs[other])
            if likeness >= least:
                leader[row], similarity[row] = other, likeness
                break
        else:
            kept_runs[row] = runs
            for table, band in zip(tables, bands, strict=True):
                inside = table.setdefault(band, [])
                if len(inside) < MOST_TRIED:
                    inside.append(row)
    return leader, similarity


def jaccard(one: UInt64, two: UInt64) -> float:
    both = np.intersect1d(one, two, assume_unique=True).size
    return both / (one.size + two.size - both)
