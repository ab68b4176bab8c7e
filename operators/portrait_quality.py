"""How well the largest face is photographed: light, sharpness, size, detail about the eyes.

Values are descriptions, not verdicts, and none is learned from ratings: thresholds belong to recipes. All but the size are measured on
a view of 736 to 1471 pixels (or native, if smaller) and at one face size, so pictures of different size compare.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from operators.base import BatchFn, Header, Reads, Row, Scope, field, per_row
from operators.faces import FACE_SIDE, VIEW, check_detector_settings, crop, cut, detail, luma
from operators.mtcnn import Face, UInt8, load_detector

HEADER = Header()
BLACK, WHITE = 8, 247  # luma at and beyond which nothing is drawn any more
EYE = 0.6  # side of the square about an eye, as a share of the distance between the eyes
EYE_SIDE = 24  # pixels of that square at which eyes are compared


@dataclass(frozen=True)
class PortraitQuality:
    """Light, sharpness, size and eye detail of the largest face; all null in pictures without a face.

    ``min_confidence`` and ``min_face`` are those of `faces`. It looks for the face itself: in a recipe give it
    `when: face_area > 0.02`, so that only portraits are looked at again. Needs `pip install 'goldsieve[faces]'`.
    """

    min_confidence: float = 0.97
    min_face: float = 0.06

    name, version = "portrait_quality", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(VIEW, HEADER))
    adds = pa.schema(
        [
            field("portrait_size", pa.float32(), "shorter side of the face in the stored picture", "px"),
            field("portrait_brightness", pa.float32(), "mean luma of the face; 0 black, 1 white", "0-1"),
            field("portrait_contrast", pa.float32(), "standard deviation of luma in the face; flat light and haze are low", "0-0.5"),
            field("portrait_clipped", pa.float32(), "share of the face that is black or burnt out", "0-1"),
            field("portrait_sharpness", pa.float32(), "variance of the Laplacian of the face at 96 px, see face_sharpness", "levels^2"),
            field("portrait_eye_detail", pa.float32(), "variance of the Laplacian about the sharper eye, at the same scale", "levels^2"),
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
            return describe(pixels, faces[0], row.view(HEADER).width / pixels.shape[1]) if faces else {}

        return per_row(self.adds, measure)


def describe(pixels: UInt8, face: Face, scale: float) -> dict[str, Any]:
    """The columns of one face; ``scale``: pixels of the stored picture over those shown."""
    gray = luma(cut(pixels, face))
    left, top, right, bottom = face.box
    return {
        "portrait_size": min(right - left, bottom - top) * scale,
        "portrait_brightness": float(gray.mean()) / 255,
        "portrait_contrast": float(gray.std()) / 255,
        "portrait_clipped": float(((gray <= BLACK) | (gray >= WHITE)).mean()),
        "portrait_sharpness": detail(gray, FACE_SIDE),
        "portrait_eye_detail": eye_detail(pixels, face),
    }


def eye_detail(pixels: UInt8, face: Face) -> float:
    """Detail about the eye that has more of it: the other may be turned away or in shadow."""
    eyes = face.points[:2]
    half = max(EYE / 2 * float(np.hypot(*(eyes[1] - eyes[0]))), 1.0)
    return max(detail(luma(crop(pixels, x - half, y - half, x + half, y + half)), EYE_SIDE) for x, y in eyes.tolist())
