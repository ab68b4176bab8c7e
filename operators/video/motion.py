"""How much moves in a clip, and when."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from operators.base import BatchFn, Reads, Row, Scope, field, per_row
from operators.video.global_motion import GlobalMotion

VIEW = GlobalMotion()
OPENING_S = 3.0
CURVE_POINTS = 64


@dataclass(frozen=True)
class Motion:
    """Amount of motion, with and without the camera's share, and its course.

    Mean length of the optical flow (DIS, about ten times a second, on pictures 160 pixels wide), in heights of the picture a second:
    0.01 is nearly still, 0.05 a person who gestures or a slow pan, 0.5 a fast pan. `motion_px` is data-juicer's scale: Farneback's flow
    over half a second in pixels of the native size (its operator compares frames at 2 a second; here they are 256 pixels wide).
    """

    name, version = "motion", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(VIEW,))
    adds = pa.schema(
        [
            field("motion", pa.float32(), "mean length of the optical flow", "heights/s"),
            field("subject_motion", pa.float32(), "the same without the camera's share", "heights/s"),
            field("opening_motion", pa.float32(), "`motion` of the first three seconds", "heights/s"),
            field("motion_px", pa.float32(), "mean length of Farneback's flow over half a second; null below half a second", "px"),
            field("motion_curve", pa.list_(pa.float32()), "`motion` over time in at most 64 equal parts", "heights/s"),
        ]
    )

    def open(self) -> BatchFn:
        return per_row(self.adds, measure)


def measure(row: Row) -> dict[str, Any]:
    track = row.view(VIEW)
    total = track.steps.sum()
    if not total:
        return {"motion": 0.0, "subject_motion": 0.0, "opening_motion": 0.0, "motion_curve": []}
    first = track.times - track.steps < OPENING_S
    speed = track.flow / track.steps
    return {
        "motion": track.flow.sum() / total,
        "subject_motion": track.own.sum() / total,
        "opening_motion": track.flow[first].sum() / track.steps[first].sum(),
        "motion_px": track.far.mean() if len(track.far) else None,
        "motion_curve": [float(part.mean()) for part in np.array_split(speed, min(CURVE_POINTS, len(speed)))],
    }
