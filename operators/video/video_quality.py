"""Quality of a clip's pictures."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from operators.base import BatchFn, Frames, Reads, Row, Scope, per_row
from operators.image_quality import ImageQuality
from operators.video.over_frames import reduced, reduced_fields, said

MEASURES = ("sharpness", "brightness", "contrast", "entropy", "colourfulness")
PICTURES = ImageQuality()


@dataclass(frozen=True)
class VideoQuality:
    """`image_quality` over ``frames`` frames of a clip: lowest, mean and highest of sharpness, brightness, contrast, entropy, colour.

    The scales are those of pictures; a codec lowers sharpness and entropy.
    """

    frames: int = 8

    name, version = "video_quality", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    adds = pa.schema(reduced_fields("video", PICTURES, MEASURES))

    @property
    def reads(self) -> Reads:
        return Reads(views=(Frames(self.frames, 224),))

    def open(self) -> BatchFn:
        run, view = PICTURES.open(), Frames(self.frames, 224)

        def measure(row: Row) -> dict[str, Any]:
            found = said(run, row.view(view), PICTURES)
            return reduced("video", {name: found[name].to_pylist() for name in MEASURES})

        return per_row(self.adds, measure)
