"""A picture's embedding: what heads such as `clip_score`, `aesthetic` and `concept` read instead of pixels."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from operators.base import ERROR_LENGTH, Batch, BatchFn, Columns, Reads, Scope, attempt, field
from operators.encoders import fill_in, load, setup_of, view_of
from operators.encoders.vectors import EMBEDDING, lists


@dataclass(frozen=True)
class ImageEmbedding:
    """The picture as a vector of length 1, by an image encoder.

    ``encoder``: `starter`, `clip_b16`, `openclip:MODEL/TAG` or `openclip:MODEL/PATH.pt`. ``precision``: auto, fp32, bf16 or fp16; auto
    becomes fp16 on a GPU, bf16 where the processor has instructions for it, else fp32, when the operator is made.
    ``device``: cpu or cuda. ``batch_size``: pictures a call of an open_clip model has. ``scaled_decode``: let an open_clip model
    see a picture scaled while decoding, which is faster for large files; without it the result equals open_clip's own.
    ``weights``: filled in from the weights' file (SHA-256, 16 digits), so that other weights are another fingerprint.
    """

    encoder: str = "starter"
    precision: str = "auto"
    device: str = "cpu"
    batch_size: int = 16
    scaled_decode: bool = False
    weights: str = ""

    name, version = "image_embedding", "1"
    scope: ClassVar[Scope] = "batch"
    adds = pa.schema([field("image_embedding", EMBEDDING, "embedding of the picture; compare with others of the same encoder", "length 1")])

    def __post_init__(self) -> None:
        fill_in(self)

    @property
    def gpus(self) -> float:
        return 1.0 if self.device == "cuda" else 0.0

    @property
    def reads(self) -> Reads:
        return Reads(views=(view_of(setup_of(self), self.scaled_decode),))

    def open(self) -> BatchFn:
        encoder, view, adds = load(setup_of(self)), view_of(setup_of(self), self.scaled_decode), self.adds

        def run(batch: Batch) -> Columns:
            found = [attempt(lambda row: {"pixels": row.view(view)}, row) for row in batch.rows]
            errors = [item[:ERROR_LENGTH] if isinstance(item, str) else None for item in found]
            places = np.array([i for i, item in enumerate(found) if not isinstance(item, str)], np.int64)
            vectors = encoder.encode_images([item["pixels"] for item in found if not isinstance(item, str)])
            return {adds.names[0]: lists(vectors, places, len(batch)), "error": pa.array(errors, pa.string())}

        return run
