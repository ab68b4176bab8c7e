"""A caption's embedding, in the same space as the pictures' of the same encoder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from operators.base import Batch, BatchFn, Columns, Reads, Scope, field
from operators.encoders import Float32, fill_in, load, setup_of
from operators.encoders.vectors import EMBEDDING, lists


@dataclass(frozen=True)
class TextEmbedding:
    """The caption as a vector of length 1, by a text encoder; of a sample with several captions, each of them.

    ``encoder``, ``precision``, ``device``, ``batch_size`` and ``weights``: as for `image_embedding`; both must name the same encoder.
    Every distinct text of a batch is encoded once. `starter` and `clip_b16` read English: captions in other languages get embeddings
    that say little, so look at ``caption_language`` of `caption_quality` before you trust a score.
    """

    encoder: str = "starter"
    precision: str = "auto"
    device: str = "cpu"
    batch_size: int = 16
    weights: str = ""

    name, version = "text_embedding", "1"
    scope: ClassVar[Scope] = "batch"
    reads = Reads(columns=("caption", "captions"))
    adds = pa.schema(
        [
            field("text_embedding", EMBEDDING, "embedding of the caption; null without one", "length 1"),
            field("caption_embeddings", pa.list_(EMBEDDING), "of each caption in order, where there are several, else null", "length 1"),
        ]
    )

    def __post_init__(self) -> None:
        fill_in(self)

    @property
    def gpus(self) -> float:
        return 1.0 if self.device == "cuda" else 0.0

    def open(self) -> BatchFn:
        encoder = load(setup_of(self))

        def run(batch: Batch) -> Columns:
            main: list[str | None] = batch.table["caption"].to_pylist()
            several: list[list[str | None] | None] = batch.table["captions"].to_pylist()
            more = [captions if captions and len(captions) > 1 else None for captions in several]
            texts = list(dict.fromkeys(text for captions in [main, *(m for m in more if m)] for text in captions if text and text.strip()))
            vectors = encoder.encode_texts(texts)
            place = {text: i for i, text in enumerate(texts)}
            inner = [text for captions in more if captions for text in captions]
            sizes = np.cumsum([0, *(len(captions) if captions else 0 for captions in more)]).astype(np.int32)
            absent: Any = pa.array([captions is None for captions in more], pa.bool_())
            ends: Any = pa.array(sizes)
            each = pa.ListArray.from_arrays(ends, taken(vectors, place, inner), mask=absent)
            return {"text_embedding": taken(vectors, place, main), "caption_embeddings": each}

        return run


def taken(vectors: Float32, place: Mapping[str, int], texts: Sequence[str | None]) -> pa.Array:
    """The vectors of ``texts`` as a column; null where there is no text."""
    known = np.array([place.get(text or "", -1) for text in texts], np.int64)
    return lists(vectors[known[known >= 0]], np.flatnonzero(known >= 0), len(texts))
