"""Faces in a picture: how many, how large, how sharp. The detector is described in `operators.mtcnn`."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from operators.base import BatchFn, Pixels, Reads, Row, Scope, field, per_row
from operators.image_quality import read_only, sharpness
from operators.mtcnn import Face, UInt8, load_detector

VIEW = Pixels(min_side=736)
FACE_SIDE = 96
"""Faces are compared at this size, in pixels; smaller ones are measured as they are."""


@dataclass(frozen=True)
class Faces:
    """Faces: count, area, confidence and sharpness of the largest, found by MTCNN (Zhang et al. 2016).

    ``min_confidence``: how sure the detector must be (0.9 finds more turned and blurred faces, and things that are none).
    ``min_face``: side of the smallest face looked for, as a share of the shorter side; half of it takes four times as long.
    Of 149 faces found in 330 pictures some 144 were faces, by eye. Those hidden, from behind or in full profile are often
    missed. Needs `pip install 'goldsieve[faces]'`.
    """

    min_confidence: float = 0.97
    min_face: float = 0.06

    name, version = "faces", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(VIEW,))
    adds = pa.schema(
        [
            field("face_count", pa.int32(), "faces found", "count"),
            field("face_area", pa.float32(), "share of the picture that the largest face takes; 0 without faces", "0-1"),
            field("face_confidence", pa.float32(), "the detector's confidence in the largest face; null without faces", "0-1"),
            field(
                "face_sharpness",
                pa.float32(),
                "variance of the Laplacian of the largest face at 96 px (smaller ones as they are, which reads higher); blurred: below 100",
                "levels^2",
            ),
        ]
    )

    def __post_init__(self) -> None:
        check_detector_settings(self.min_confidence, self.min_face)

    def open(self) -> BatchFn:
        from operators import pixel_loops  # noqa: F401  (compiled before threads need it)

        detect = load_detector(self.min_face, self.min_confidence)

        def measure(row: Row) -> dict[str, Any]:
            pixels = row.view(VIEW)
            faces = detect(pixels)
            if not faces:
                return {"face_count": 0, "face_area": 0.0}
            face = cut(pixels, faces[0])
            return {
                "face_count": len(faces),
                "face_area": face.shape[0] * face.shape[1] / (pixels.shape[0] * pixels.shape[1]),
                "face_confidence": faces[0].confidence,
                "face_sharpness": detail(luma(face), FACE_SIDE),
            }

        return per_row(self.adds, measure)


def check_detector_settings(min_confidence: float, min_face: float) -> None:
    """Raises `ValueError` for what the detector cannot work with."""
    if not 0.5 <= min_confidence < 1:
        raise ValueError(f"min_confidence must be from 0.5 to below 1, not {min_confidence}")
    if not 0.01 <= min_face <= 1:
        raise ValueError(f"min_face must be from 0.01 to 1, not {min_face}")


def cut(pixels: UInt8, face: Face) -> UInt8:
    """The part of the picture that the face's box covers; at least one pixel."""
    return crop(pixels, *face.box)


def crop(pixels: UInt8, left: float, top: float, right: float, bottom: float) -> UInt8:
    """``pixels`` inside the rectangle and the picture; at least one pixel."""
    height, width = pixels.shape[:2]
    x0, y0 = (int(np.clip(round(start), 0, size - 1)) for start, size in ((left, width), (top, height)))
    return pixels[y0 : max(round(bottom), y0 + 1), x0 : max(round(right), x0 + 1)]


def luma(rgb: UInt8) -> UInt8:
    """ITU-R 601 luma, (height, width)."""
    import cv2

    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)


def detail(gray: UInt8, side: int) -> float:
    """Variance of the Laplacian at a shorter side of ``side`` pixels; smaller parts as they are, which reads higher."""
    from operators.pixel_loops import halved

    while min(gray.shape) >= 2 * side:
        gray = halved(read_only(gray))
    return sharpness(gray, side)
