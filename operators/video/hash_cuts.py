"""Hard cuts by PySceneDetect's HashDetector, which needs the pictures themselves."""

from dataclasses import dataclass
from typing import Any, ClassVar

from operators.video.frames import SmallFrame


@dataclass(frozen=True)
class HashCuts:
    """The view whose data are the numbers of the frames with which a scene begins. Settings as for `Shots`."""

    threshold: float
    min_frames: int
    rough: ClassVar[bool] = True
    picture: ClassVar[str] = "bgr"

    def start(self, info: Any) -> "_Gathering":
        return _Gathering(self, info.fps or 25.0)


class _Gathering:
    def __init__(self, view: HashCuts, fps: float) -> None:
        from scenedetect import detectors

        made: Any = detectors.HashDetector
        self.detector = made(threshold=view.threshold, min_scene_len=view.min_frames)
        self.fps = fps
        self.cuts: list[int] = []

    def add(self, frame: SmallFrame) -> None:
        from scenedetect.common import FrameTimecode

        position: Any = FrameTimecode(frame.index, self.fps)
        self.cuts += [cut.frame_num for cut in self.detector.process_frame(position, frame.bgr)]

    def finish(self) -> list[int]:
        return [cut for cut in self.cuts if cut > 0]
