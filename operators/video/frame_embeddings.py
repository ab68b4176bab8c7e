"""Embeddings of a clip's frames: what the heads for clips read."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from operators.base import BatchFn, Frames, Pixels, Reads, Row, Scope, field, per_row
from operators.encoders import fill_in, load, setup_of, view_of
from operators.encoders.vectors import EMBEDDING
from operators.video.over_frames import FrameRow


@dataclass(frozen=True)
class FrameEmbeddings:
    """``frames`` frames of a clip as vectors of length 1, by an image encoder.

    ``encoder``, ``precision``, ``device``, ``batch_size`` and ``weights``: as for `image_embedding`. Where captions are compared,
    `text_embedding` must have the same encoder.
    """

    frames: int = 8
    encoder: str = "starter"
    precision: str = "auto"
    device: str = "cpu"
    batch_size: int = 16
    weights: str = ""

    name, version = "frame_embeddings", "1"
    scope: ClassVar[Scope] = "batch"
    adds = pa.schema(
        [
            field("frame_embeddings", pa.list_(EMBEDDING), "embeddings of the frames, in order", "length 1"),
            field("frame_times", pa.list_(pa.float64()), "when they are shown, by the file's clock", "s"),
        ]
    )

    def __post_init__(self) -> None:
        fill_in(self)
        if self.frames < 1:
            raise ValueError(f"frames must be 1 or more, not {self.frames}")

    @property
    def gpus(self) -> float:
        return 1.0 if self.device == "cuda" else 0.0

    @property
    def view(self) -> Frames:
        return Frames(self.frames, view_of(setup_of(self), True).min_side)

    @property
    def reads(self) -> Reads:
        return Reads(views=(self.view,))

    def open(self) -> BatchFn:
        encoder, view = load(setup_of(self)), self.view
        shown = Pixels(min_side=view.min_side)

        def measure(row: Row) -> dict[str, Any]:
            sampled = row.view(view)
            vectors = encoder.encode_images([FrameRow(pixels).view(shown) for pixels in sampled.pixels])
            return {"frame_embeddings": vectors.tolist(), "frame_times": list(sampled.times)}

        return per_row(self.adds, measure)
