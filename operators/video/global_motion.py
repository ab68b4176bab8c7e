"""How the picture moves from one moment to the next: the camera's share (a similarity), and what moves besides.

About ten times a second corners are tracked (Lucas and Kanade 1981, pyramidal) and a similarity is fitted to their paths with RANSAC
(Fischler and Bolles 1981), which leaves out what moves by itself. The amount of motion is dense flow (DIS; Kroeger et al. 2016).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from operators.video.frames import SmallFrame

STEP_S = 0.095
PAIR_S = 0.49
"""Least time between the frames compared, in seconds: for the camera and the flow, and for data-juicer's score."""
CORNERS = 160
FLOW_WIDTH = 160
FARNEBACK_WIDTH = 256
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MotionTrack:
    """A row for each pair of frames compared, ``times`` in seconds of the clip (of the later one), ``steps`` between the two.

    The camera's share of the motion: ``dx``, ``dy``: shift of the picture's middle, as a share of the width, to the right and down;
    ``scale``: natural logarithm of the growth; ``turn``: radians, clockwise; ``inliers``: share of the corners that agree (0: none could
    be tracked, and the four are 0). ``flow``: mean length of the dense flow, as a share of the height; ``own``: the same without the
    camera's share. ``far``: mean length of Farneback's flow over half a second, in pixels of the native size, for each such pair.
    ``aspect``: width over height.
    """

    times: Floats
    steps: Floats
    dx: Floats
    dy: Floats
    scale: Floats
    turn: Floats
    inliers: Floats
    flow: Floats
    own: Floats
    far: Floats
    aspect: float


@dataclass(frozen=True)
class GlobalMotion:
    """The view whose data is a `MotionTrack`."""

    rough: ClassVar[bool] = False

    def start(self, info: Any) -> "_Gathering":
        return _Gathering(info.width, info.height)


class _Gathering:
    def __init__(self, width: int, height: int) -> None:
        cv2 = _opencv()
        self.native_width, self.aspect = width, width / height
        self.before: tuple[Any, float] | None = None
        self.far_before: tuple[Any, float] | None = None
        self.rows: list[tuple[float, ...]] = []
        self.far: list[float] = []
        self.dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def add(self, frame: SmallFrame) -> None:
        if self.before is not None and frame.time_s - self.before[1] < STEP_S:
            return
        gray = frame.gray
        if self.before is not None:
            step = frame.time_s - self.before[1]
            camera = similarity(self.before[0], gray)
            self.rows.append((frame.time_s, step, *camera, *self._flow(self.before[0], gray, camera)))
        self.before = gray, frame.time_s
        if self.far_before is None or frame.time_s - self.far_before[1] >= PAIR_S:
            small = _narrow(gray, FARNEBACK_WIDTH)
            if self.far_before is not None:
                self.far.append(farneback(self.far_before[0], small) * self.native_width / small.shape[1])
            self.far_before = small, frame.time_s

    def _flow(self, before: Any, gray: Any, camera: tuple[float, ...]) -> tuple[float, float]:
        a, b = _narrow(before, FLOW_WIDTH), _narrow(gray, FLOW_WIDTH)
        if min(a.shape) < 16:
            return 0.0, 0.0
        flow = self.dis.calc(a, b, None)
        height, width = a.shape
        y, x = np.mgrid[:height, :width].astype(np.float32)
        x, y = x - (width - 1) / 2, y - (height - 1) / 2
        dx, dy, scale, turn = camera[:4]
        grow, cos, sin = np.exp(scale), np.cos(turn), np.sin(turn)
        fitted = np.stack([dx * width + grow * (cos * x - sin * y) - x, dy * width + grow * (sin * x + cos * y) - y], axis=-1)
        return float(np.hypot(*np.moveaxis(flow, -1, 0)).mean()) / height, float(
            np.hypot(*np.moveaxis(flow - fitted, -1, 0)).mean()
        ) / height

    def finish(self) -> MotionTrack:
        times, steps, dx, dy, scale, turn, inliers, flow, own = np.array(self.rows, np.float64).reshape(-1, 9).T
        return MotionTrack(times, steps, dx, dy, scale, turn, inliers, flow, own, np.array(self.far, np.float64), self.aspect)


def _opencv() -> Any:
    """OpenCV without its stubs, which refuse None where the functions take it."""
    import cv2

    return cv2


def _narrow(gray: Any, width: int) -> Any:
    import cv2

    if gray.shape[1] <= width:
        return gray
    return cv2.resize(gray, (width, max(8, round(gray.shape[0] * width / gray.shape[1]))), interpolation=cv2.INTER_AREA)


def farneback(a: Any, b: Any) -> float:
    """Mean length of Farneback's flow (2003) in pixels, with data-juicer's parameters."""
    cv2 = _opencv()
    flow = cv2.calcOpticalFlowFarneback(a, b, None, 0.5, 3, 15, 3, 5, 1.2, 0)
    return float(np.hypot(*np.moveaxis(flow, -1, 0)).mean())


def similarity(a: Any, b: Any) -> tuple[float, float, float, float, float]:
    """(dx, dy, scale, turn, inliers) from ``a`` to ``b``, as in `MotionTrack`; zeros where nothing can be tracked."""
    cv2 = _opencv()
    corners = cv2.goodFeaturesToTrack(a, CORNERS, 0.01, 9)
    if corners is None or len(corners) < 8:
        return (0.0,) * 5
    moved, found, _ = cv2.calcOpticalFlowPyrLK(a, b, corners, None, winSize=(17, 17), maxLevel=4)
    back, again, _ = cv2.calcOpticalFlowPyrLK(b, a, moved, None, winSize=(17, 17), maxLevel=4)
    sure = (found & again).ravel().astype(bool) & (np.abs(back - corners).reshape(-1, 2).max(axis=1) < 0.7)
    if sure.sum() < 8:
        return (0.0,) * 5
    old, new = corners[sure].reshape(-1, 2), moved[sure].reshape(-1, 2)
    matrix, mask = cv2.estimateAffinePartial2D(old, new, method=cv2.RANSAC, ransacReprojThreshold=0.8, maxIters=500, confidence=0.99)
    if matrix is None:
        return (0.0,) * 5
    height, width = a.shape
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    shift = matrix[:, :2] @ middle + matrix[:, 2] - middle
    scale = float(np.log(max(np.hypot(matrix[0, 0], matrix[1, 0]), 1e-6)))
    turn = float(np.arctan2(matrix[1, 0], matrix[0, 0]))
    return float(shift[0] / width), float(shift[1] / width), scale, turn, float(mask.mean() * sure.mean())
