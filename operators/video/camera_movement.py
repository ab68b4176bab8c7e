"""How the camera moves in a clip."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from operators.base import BatchFn, Reads, Row, Scope, field, per_row
from operators.video.global_motion import Floats, GlobalMotion, MotionTrack

VIEW = GlobalMotion()
SMOOTH_S = 0.8
"""Slower changes than this are a move, faster ones shake."""
REACH = 0.29
"""Mean distance of a picture's points from its middle, in widths: what a zoom or roll of 1 moves them by."""


@dataclass(frozen=True)
class CameraMovement:
    """The move of the camera: static, pan_left, pan_right, tilt_up, tilt_down, zoom_in, zoom_out, roll, handheld or complex.

    From the share of the motion that all of the picture has in common, so that what moves by itself does not count. Speeds are means over
    the clip. A move slower than ``still`` (widths a second) is none; two moves of which the second is at least ``mixed`` of the first
    are complex, and so is a move that turns back. Without a move the camera is static, or handheld when its shake exceeds ``shake``
    (widths). A dolly looks like a zoom, and a truck like a pan: parallax is not told apart.
    """

    still: float = 0.012
    mixed: float = 0.5
    shake: float = 0.004

    name, version = "camera_movement", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(VIEW,))
    adds = pa.schema(
        [
            field(
                "camera_movement",
                pa.string(),
                "static, pan_left, pan_right, tilt_up, tilt_down, zoom_in, zoom_out, roll, handheld, complex",
            ),
            field("camera_pan", pa.float32(), "speed of the view to the right", "widths/s"),
            field("camera_tilt", pa.float32(), "speed of the view upwards", "heights/s"),
            field("camera_zoom", pa.float32(), "growth of the picture; negative: it shrinks", "ln/s"),
            field("camera_roll", pa.float32(), "turn of the camera, clockwise", "degrees/s"),
            field("camera_shake", pa.float32(), "how far the view strays from a smooth path (RMS)", "widths"),
            field("camera_confidence", pa.float32(), "share of the tracked points that agree with the camera's move", "0-1"),
        ]
    )

    def open(self) -> BatchFn:
        return per_row(self.adds, self._measure)

    def _measure(self, row: Row) -> dict[str, Any]:
        track: MotionTrack = row.view(VIEW)
        known = track.inliers > 0
        total = track.steps[known].sum()
        if not total:
            return {"camera_confidence": 0.0} if len(known) else {}
        moves = np.stack([-track.dx, track.dy, track.scale, -track.turn])[:, known]
        steps = track.steps[known]
        mean = moves.sum(axis=1) / total
        slow = np.stack([smoothed(move / steps, steps) for move in moves])
        reach = np.array([1.0, 1.0, REACH, REACH])
        net = np.abs(mean) * reach
        path = (np.abs(slow) * steps).sum(axis=1) / total * reach
        shake = stray(moves[:2], steps)
        return {
            "camera_movement": self._name(mean, net, path, shake),
            "camera_pan": mean[0],
            "camera_tilt": mean[1] * track.aspect,
            "camera_zoom": mean[2],
            "camera_roll": np.degrees(mean[3]),
            "camera_shake": shake,
            "camera_confidence": (track.inliers * track.steps).sum() / track.steps.sum(),
        }

    def _name(self, mean: Floats, net: Floats, path: Floats, shake: float) -> str:
        order = np.argsort(-path)
        first, second = order[0], order[1]
        if path[first] < max(self.still, 0.5 * shake):
            return "handheld" if shake > self.shake else "static"
        if net[first] < 0.5 * path[first]:  # there and back
            return "handheld" if shake > self.shake else "complex" if path[first] > 2 * self.still else "static"
        if path[second] >= max(self.still, self.mixed * path[first]):
            return "complex"
        names = (("pan_right", "pan_left"), ("tilt_up", "tilt_down"), ("zoom_in", "zoom_out"), ("roll", "roll"))
        return names[first][0 if mean[first] > 0 else 1]


def smoothed(speed: Floats, steps: Floats) -> Floats:
    """A running mean over about `SMOOTH_S` seconds; its ends use what is there."""
    width = max(1, min(len(speed), round(SMOOTH_S / max(float(np.median(steps)), 1e-3))))
    kernel = np.ones(width)
    return np.convolve(speed, kernel, "same") / np.convolve(np.ones(len(speed)), kernel, "same")


def stray(moves: Floats, steps: Floats) -> float:
    """RMS distance of the view from its smoothed path, in widths."""
    slow = np.stack([smoothed(move / steps, steps) * steps for move in moves])
    off = np.cumsum(moves - slow, axis=1)
    off -= np.stack([smoothed(one, steps) for one in off])
    return float(np.sqrt((off**2).sum(axis=0).mean()))
