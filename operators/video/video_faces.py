"""Faces in a clip."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from operators.base import BatchFn, Frames, Reads, Row, Scope, field, per_row
from operators.faces import check_detector_settings
from operators.mtcnn import load_detector

SIDE = 736


@dataclass(frozen=True)
class VideoFaces:
    """Faces in ``frames`` frames of a clip, found as `faces` does: how many, and how high the largest is.

    ``min_confidence``, ``min_face``: as for `faces`. Needs `pip install 'goldsieve[faces]'`.
    """

    frames: int = 3
    min_confidence: float = 0.97
    min_face: float = 0.04

    name, version = "video_faces", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    adds = pa.schema(
        [
            field("video_face_count", pa.int32(), "most faces in one frame", "count"),
            field("video_face_share", pa.float32(), "share of the frames with a face", "0-1"),
            field(
                "video_face_height",
                pa.float32(),
                "height of the largest face over the frame's, median of the frames with one; 0: none",
                "0-1",
            ),
        ]
    )

    def __post_init__(self) -> None:
        check_detector_settings(self.min_confidence, self.min_face)

    @property
    def reads(self) -> Reads:
        return Reads(views=(Frames(self.frames, SIDE),))

    def open(self) -> BatchFn:
        detect, view = load_detector(self.min_face, self.min_confidence), Frames(self.frames, SIDE)

        def measure(row: Row) -> dict[str, Any]:
            counts, heights = [], []
            for pixels in row.view(view).pixels:
                faces = detect(pixels)
                counts.append(len(faces))
                if faces:
                    heights.append((faces[0].box[3] - faces[0].box[1]) / pixels.shape[0])
            return {
                "video_face_count": max(counts),
                "video_face_share": sum(count > 0 for count in counts) / len(counts),
                "video_face_height": float(np.median(heights)) if heights else 0.0,
            }

        return per_row(self.adds, measure)
