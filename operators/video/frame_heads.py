"""What embeddings of frames tell of a clip: looks, match with the caption, style, signs of a generator."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from manifests.errors import UsageError
from operators.aesthetic import Aesthetic
from operators.aigc_score import AigcScore
from operators.base import Batch, BatchFn, Columns, Reads, Row, Scope, field, per_row
from operators.encoders.vectors import EMBEDDING
from operators.style import STYLES, Style
from operators.video.over_frames import reduced, reduced_fields


def as_pictures(vectors: list[list[float]]) -> Batch:
    """A batch in which every frame's embedding is that of a picture."""
    return Batch(pa.table({"image_embedding": pa.array(vectors, EMBEDDING)}), ())


def per_clip(adds: pa.Schema, column: str, run: BatchFn) -> BatchFn:
    """A measure of clips: ``column`` of what ``run`` says of each frame's embedding, lowest, mean and highest."""

    def measure(row: Row) -> dict[str, Any]:
        vectors = row["frame_embeddings"]
        return reduced("video", {column: run(as_pictures(vectors))[column].to_pylist()}) if vectors else {}

    return per_row(adds, measure)


@dataclass(frozen=True)
class VideoAesthetic:
    """`aesthetic` over the frames of a clip: lowest, mean and highest, on a scale of 1 to 10.

    ``encoder``, ``head`` and ``weights``: as for `aesthetic`; `frame_embeddings` must have the same encoder.
    """

    encoder: str = "starter"
    head: str = "auto"
    weights: str = ""

    name, version, gpus = "video_aesthetic", "1", 0.0
    scope: ClassVar[Scope] = "batch"
    reads = Reads(columns=("frame_embeddings",))
    adds = pa.schema(reduced_fields("video", Aesthetic(), ("aesthetic",)))

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", Aesthetic(self.encoder, self.head, self.weights).weights)

    def open(self) -> BatchFn:
        run = Aesthetic(self.encoder, self.head, self.weights).open()
        return per_clip(self.adds, "aesthetic", run)


@dataclass(frozen=True)
class VideoClipScore:
    """Cosine of the caption's embedding with each frame's: lowest, mean and highest. The scale is the encoder's, as for `clip_score`.

    A clip has its video's caption unless it got one of its own: a low score often means that the caption tells of another shot.
    """

    name, version, gpus = "video_clip_score", "1", 0.0
    scope: ClassVar[Scope] = "batch"
    reads = Reads(columns=("frame_embeddings", "text_embedding"))
    adds = pa.schema(
        [
            field(f"video_clip_score_{how}", pa.float32(), f"{what} cosine of frame and caption", "-1 to 1, scale of the encoder")
            for how, what in (("min", "lowest"), ("mean", "mean"), ("max", "highest"))
        ]
    )

    def open(self) -> BatchFn:
        return per_row(self.adds, matched)


def matched(row: Row) -> dict[str, Any]:
    frames, text = row["frame_embeddings"], row["text_embedding"]
    if not frames or not text:
        return {}
    if len(frames[0]) != len(text):
        raise UsageError("frame_embeddings and text_embedding come from different encoders: give both the same `encoder`.")
    return reduced("video", {"clip_score": (np.array(frames, np.float32) @ np.array(text, np.float32)).tolist()})


@dataclass(frozen=True)
class VideoStyle:
    """`style` of most frames of a clip, and the mean share of photograph.

    ``encoder``, ``precision``, ``device``, ``batch_size`` and ``weights``: as for `style`; `frame_embeddings` must have the same encoder.
    """

    encoder: str = "starter"
    precision: str = "auto"
    device: str = "cpu"
    batch_size: int = 16
    weights: str = ""

    name, version = "video_style", "1"
    scope: ClassVar[Scope] = "batch"
    reads = Reads(columns=("frame_embeddings",))
    adds = pa.schema(
        [
            field("video_style", pa.string(), f"the commonest over the frames of {', '.join(STYLES)}"),
            field("video_photo_share", pa.float32(), "mean probability that a frame is a photograph", "0-1"),
        ]
    )

    def __post_init__(self) -> None:
        pictures = self.pictures
        for setting in ("encoder", "precision", "weights"):
            object.__setattr__(self, setting, getattr(pictures, setting))

    @property
    def pictures(self) -> Style:
        return Style(self.encoder, self.precision, self.device, self.batch_size, self.weights)

    @property
    def gpus(self) -> float:
        return self.pictures.gpus

    def open(self) -> BatchFn:
        run = self.pictures.open()

        def measure(row: Row) -> dict[str, Any]:
            vectors = row["frame_embeddings"]
            if not vectors:
                return {}
            found = run(as_pictures(vectors))
            shares: list[Any] = found["photo_share"].to_pylist()
            return {"video_style": Counter(found["style"].to_pylist()).most_common(1)[0][0], "video_photo_share": sum(shares) / len(shares)}

        return per_row(self.adds, measure)


@dataclass(frozen=True)
class VideoAigc:
    """`aigc_score` over the frames of a clip: lowest, mean and highest.

    The score learned from still pictures and was not measured on video: compare clips of one source with each other, and reject
    nothing by it alone.
    ``encoder``, ``head`` and ``weights``: as for `aigc_score`; `frame_embeddings` must have the same encoder.
    """

    encoder: str = "starter"
    head: str = "auto"
    weights: str = ""

    name, version, gpus = "video_aigc", "2", 0.0
    scope: ClassVar[Scope] = "batch"
    reads = Reads(columns=("frame_embeddings",))
    adds = pa.schema(reduced_fields("video", AigcScore(), ("aigc_score",)))

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", AigcScore(self.encoder, self.head, self.weights).weights)

    def open(self) -> BatchFn:
        name_style, judge = Style(self.encoder).open(), AigcScore(self.encoder, self.head, self.weights).open()

        def run(frames: Batch) -> Columns:
            return judge(Batch(frames.table.append_column("style", name_style(frames)["style"]), ()))

        return per_clip(self.adds, "aigc_score", run)
