"""Whether a caption says what the captions of look-alike pictures say: finds wrong captions where the encoder knows little."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from operators.base import Batch, BatchFn, Columns, Reads, Scope, field
from operators.cells import SCALE, Int16, nearest_pairs, whole
from operators.encoders.vectors import Float32, matrix, spread
from operators.exact_duplicates import KEEP_LARGEST, are_copies

BLOCK = 65_536


@dataclass(frozen=True)
class CaptionAgreement:
    """Mean cosine of a caption with the captions of the nearest look-alike pictures, all seen from the middle of the lake.

    After the neighbour consistency by which Zhu et al. 2022, "Detecting Corrupted Labels Without Training a Model to Predict"
    (arXiv:2110.06283) find wrong labels. Independent of `clip_score`: pictures are compared with pictures and captions with captions,
    so nothing must have learnt what goes with what. It is strong where a lake has several pictures of a kind and weak where each is
    the only one; then `clip_score` is the better judge. Use both.

    A look-alike has a cosine of ``min_cosine`` or more, seen from the middle of all pictures; at most ``neighbours`` are asked. Null: a
    picture without one, or without a caption; and copies, which would confirm one another. Of more than 16,384 pictures neighbours
    are looked for in the cells of k-means (`semantic_duplicates`).
    """

    neighbours: int = 5
    min_cosine: float = 0.45

    name, version, gpus = "caption_agreement", "1", 0.0
    scope: ClassVar[Scope] = "corpus"
    reads = Reads(columns=("sample_id", "exact_duplicate", "near_duplicate", "image_embedding", "text_embedding"), order_by=KEEP_LARGEST)
    adds = pa.schema(
        [
            field(
                "caption_agreement",
                pa.float32(),
                "mean cosine of the caption with those of look-alike pictures; null: none",
                "-1 to 1",
            )
        ]
    )

    def __post_init__(self) -> None:
        if self.neighbours < 1:
            raise ValueError("neighbours must be at least 1")
        if not -1 <= self.min_cosine < 1:
            raise ValueError("min_cosine must be at least -1 and below 1")

    def open(self) -> BatchFn:
        return self.mark

    def mark(self, batch: Batch) -> Columns:
        """Rows must come in an order that depends on their content alone."""
        pictures, has_picture = matrix(batch.table["image_embedding"])
        captions, has_caption = matrix(batch.table["text_embedding"])
        places, of_picture, of_caption = np.intersect1d(has_picture, has_caption, assume_unique=True, return_indices=True)
        mine = ~are_copies(batch)[places]
        found = agreement(pictures[of_picture[mine]], captions[of_caption[mine]], self.neighbours, self.min_cosine)
        known = np.isfinite(found)
        return {"caption_agreement": spread(found[known], places[mine][known], len(batch), pa.float32())}


def agreement(pictures: Float32, captions: Float32, neighbours: int, min_cosine: float) -> Float32:
    """(n,) mean cosine of each row of ``captions`` (n, e) with those of the nearest ``pictures`` (n, d); NaN without neighbours."""
    if not len(pictures):
        return np.zeros(0, np.float32)
    texts = centred(captions)
    total, count = np.zeros(len(texts)), np.zeros(len(texts))
    for pairs, _ in nearest_pairs(centred(pictures).astype(np.float32), neighbours, min_cosine):
        for start in range(0, len(pairs), BLOCK):
            left, right = pairs[start : start + BLOCK].T
            products = np.einsum("ij,ij->i", texts[left], texts[right], dtype=np.int64)
            total += np.bincount(left, products, len(total))
            count += np.bincount(left, minlength=len(count))
    with np.errstate(invalid="ignore"):
        mean: Float32 = (total / count / (SCALE * SCALE)).astype(np.float32)
    return mean


def centred(vectors: Float32) -> Int16:
    """Whole vectors seen from their middle. Encoders put all of a lake's pictures, or captions, into one narrow cone."""
    rows = whole(vectors)
    middle = rows.sum(axis=0, dtype=np.int64) / len(rows)
    made = np.empty_like(rows)
    for start in range(0, len(rows), BLOCK):
        made[start : start + BLOCK] = whole((rows[start : start + BLOCK] - middle).astype(np.float32))
    return made
