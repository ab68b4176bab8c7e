"""Per-frame numbers of a whole video, from which shots are found: small enough to keep for hours of video."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from operators.video.frames import SmallFrame

THUMB = (32, 18)
"""Width and height of the stored luma pictures, in pixels: 576 bytes a frame."""


@dataclass(frozen=True)
class FrameTrack:
    """Arrays over the frames of a video. ``times``: seconds from its first frame. ``content``: PySceneDetect's content value (mean change
    of hue, saturation and value since the frame before, 0-255; 0 for the first). ``level``: mean of B, G and R. ``thumbs``: (n, 18, 32)."""

    times: npt.NDArray[np.float64]
    content: npt.NDArray[np.float32]
    level: npt.NDArray[np.float32]
    thumbs: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True)
class Track:
    """The view whose data is a `FrameTrack`."""

    rough: ClassVar[bool] = True
    picture: ClassVar[str] = "bgr_tiny"

    def start(self, info: Any) -> "_Tracking":
        return _Tracking()


class _Tracking:
    def __init__(self) -> None:
        self.times: list[float] = []
        self.content: list[float] = []
        self.level: list[float] = []
        self.thumbs = bytearray()
        self.before: Any = None

    def add(self, frame: SmallFrame) -> None:
        import cv2

        bgr = frame.bgr_tiny
        hsv = cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV)
        # The sum of absolute differences over all three channels at once: their weights are equal.
        self.content.append(0.0 if self.before is None else cv2.norm(hsv, self.before, cv2.NORM_L1) / hsv.size)
        self.before = hsv
        self.times.append(frame.time_s)
        gray = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
        self.level.append(sum(cv2.mean(bgr)[:3]) / 3)
        self.thumbs += cv2.resize(gray, THUMB, interpolation=cv2.INTER_AREA).tobytes()

    def finish(self) -> FrameTrack:
        width, height = THUMB
        return FrameTrack(
            np.array(self.times),
            np.array(self.content, np.float32),
            np.array(self.level, np.float32),
            np.frombuffer(bytes(self.thumbs), np.uint8).reshape(-1, height, width),
        )
