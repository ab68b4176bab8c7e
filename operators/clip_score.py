"""How well a picture and its captions match: the cosine of their embeddings."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from manifests.errors import UsageError
from operators.base import Batch, BatchFn, Columns, Reads, Scope, field
from operators.encoders.vectors import Float32, matrix


@dataclass(frozen=True)
class ClipScore:
    """Cosine of the picture's and the caption's embedding (CLIPScore without its factor 2.5; Hessel et al. 2021).

    The scale is the encoder's: with OpenAI's ViT-B/32 a match has about 0.3, with `starter` and `clip_b16` see their model cards;
    thresholds do not carry over from one encoder to another, and with these two mean something for English captions only. Where a
    sample has several captions, also the best, the mean and which one is best.
    """

    name, version, gpus = "clip_score", "1", 0.0
    scope: ClassVar[Scope] = "batch"
    reads = Reads(columns=("image_embedding", "text_embedding", "caption_embeddings"))
    adds = pa.schema(
        [
            field("clip_score", pa.float32(), "cosine of picture and caption", "-1 to 1, scale of the encoder"),
            field("clip_score_best", pa.float32(), "of the best of the sample's captions", "-1 to 1, scale of the encoder"),
            field("clip_score_mean", pa.float32(), "mean over the sample's captions", "-1 to 1, scale of the encoder"),
            field("clip_best_caption", pa.int32(), "place of the best caption in `captions`, from 0", "index"),
        ]
    )

    def open(self) -> BatchFn:
        return run


def run(batch: Batch) -> Columns:
    count = len(batch)
    pictures, at = matrix(batch.table["image_embedding"])
    places = np.full(count, -1, np.int64)
    places[at] = np.arange(len(at))
    main, has_main = matrix(batch.table["text_embedding"])
    score = np.full(count, np.nan, np.float32)
    both = places[has_main] >= 0
    score[has_main[both]] = cosines(pictures, places[has_main[both]], main, np.flatnonzero(both))

    best, mean, chosen = score.copy(), score.copy(), np.where(np.isnan(score), -1, 0).astype(np.int32)
    several: Any = batch.table["caption_embeddings"].combine_chunks()
    several = several.combine_chunks() if isinstance(several, pa.ChunkedArray) else several
    owner = np.repeat(np.arange(count), np.nan_to_num(several.value_lengths().to_numpy(zero_copy_only=False)).astype(np.int64))
    if len(owner):
        first = np.searchsorted(owner, owner)  # where the owner's captions begin
        vectors, there = matrix(several.flatten())
        usable = places[owner[there]] >= 0
        there, rows = there[usable], np.flatnonzero(usable)
        each = cosines(pictures, places[owner[there]], vectors, rows)
        owners, starts, sizes = np.unique(owner[there], return_index=True, return_counts=True)
        if len(owners):
            best[owners] = np.maximum.reduceat(each, starts)
            mean[owners] = np.add.reduceat(each, starts) / sizes
            is_best = np.flatnonzero(each == np.repeat(best[owners], sizes))
            winners, earliest = np.unique(owner[there[is_best]], return_index=True)
            chosen[winners] = (there - first[there])[is_best[earliest]]
    columns = {"clip_score": score, "clip_score_best": best, "clip_score_mean": mean}
    made = {name: pa.array(values, mask=np.isnan(values)) for name, values in columns.items()}
    return {**made, "clip_best_caption": pa.array(chosen, mask=chosen < 0)}


def cosines(pictures: Float32, which: np.ndarray, texts: Float32, rows: np.ndarray) -> Float32:
    """Cosines of ``pictures[which]`` with ``texts[rows]``, all of length 1. Raises `UsageError` for different encoders."""
    if not len(rows):
        return np.zeros(0, np.float32)
    if pictures.shape[1] != texts.shape[1]:
        raise UsageError(
            f"Pictures have embeddings of {pictures.shape[1]} numbers and captions of {texts.shape[1]}: they come from different "
            "encoders. Give image_embedding and text_embedding the same `encoder`."
        )
    left = pictures if len(which) == len(pictures) and np.array_equal(which, np.arange(len(pictures))) else pictures[which]
    right = texts if len(rows) == len(texts) else texts[rows]
    found: Float32 = np.einsum("ij,ij->i", left, right, dtype=np.float32)
    return found


__all__ = ["ClipScore"]
