"""Hard cuts by PySceneDetect's rules (scenedetect >= 0.7.2), from the numbers of a `FrameTrack`."""

from typing import Any, Literal

from operators.video.track import FrameTrack

Detector = Literal["adaptive", "content", "threshold", "hash", "transnetv2"]

DEFAULTS: dict[str, float] = {"adaptive": 3.0, "content": 27.0, "threshold": 12.0, "hash": 0.395, "transnetv2": 0.5}
"""Each detector's own threshold."""


def found_cuts(track: FrameTrack, detector: Detector, threshold: float, min_frames: int, fps: float) -> list[int]:
    """Numbers of the frames with which a new scene begins, as PySceneDetect's detector finds them.

    The detectors are shown one number a frame instead of pixels: the content value they would compute themselves, or the level.
    ``min_frames``: PySceneDetect's ``min_scene_len``.
    """
    import numpy as np
    from scenedetect.common import FrameTimecode
    from scenedetect.detectors import AdaptiveDetector, ContentDetector, ThresholdDetector

    made: Any
    if detector == "threshold":
        made, numbers = ThresholdDetector(threshold=threshold, min_scene_len=min_frames), track.level
    else:
        content = ContentDetector(threshold=threshold, min_scene_len=min_frames)
        made = AdaptiveDetector(adaptive_threshold=threshold, min_scene_len=min_frames) if detector == "adaptive" else content
        made._calculate_frame_score = lambda timecode, value: float(value)
        numbers = track.content
    cuts: list[int] = []
    position = FrameTimecode(0, fps)
    for number, value in enumerate(numbers.tolist()):
        position = FrameTimecode(number, fps)
        cuts += [cut.frame_num for cut in made.process_frame(position, np.float64(value))]
    if len(track):
        cuts += [cut.frame_num for cut in made.post_process(position)]
    return sorted(cut for cut in set(cuts) if 0 < cut < len(track))
