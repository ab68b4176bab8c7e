"""Cuts one clip out of its video, as an MP4 in memory: by copying packets where that is exact, else by one re-encode.

Deterministic for a version of ffmpeg and x264 (see `pipelines.clip_encoder`). What was cut is described by a hash over its decoded
frames, so that anybody can check it with any decoder of the format.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

from manifests.errors import MediaError
from operators.base import Frames
from operators.video.media import VideoMedia
from operators.video.source import VideoFile
from operators.video.walk import LIMITS, Deadline, Walk
from pipelines.clip_encoder import encoded
from pipelines.clip_packets import copied

Method = Literal["encode", "copy"]
JPEG_QUALITY = 95
BYTES_A_SECOND = 500_000
"""Of a clip, before it is cut: 4 Mbit/s."""


@dataclass(frozen=True)
class CutSettings:
    """``method``: ``copy`` copies packets where the clip begins with a key frame and ends with a whole group; ``encode`` never.

    ``crf``: x264's quality of a re-encode (18: hardly visible). ``min_side``: longest allowed shorter side, in pixels; None: as it is.
    ``frames``: so many stills beside the clip.
    """

    method: Method = "encode"
    crf: int = 18
    min_side: int | None = None
    frames: int = 0


@dataclass(frozen=True)
class Cut:
    """``data``: an MP4. ``facts``: how it was made and what it holds. ``stills``: JPEG files."""

    data: bytes
    facts: dict[str, Any]
    stills: tuple[bytes, ...] = ()
    extension: str = field(default="mp4")


def cut_clip(file: VideoFile, span: tuple[float, float], settings: CutSettings) -> Cut:
    """The frames of ``span`` (seconds of the file's clock, end excluded) with their sound. Raises `MediaError`."""
    media = VideoMedia(file, span)
    info = media.info
    data, method, count, hashed = None, "copy", 0, ""
    if settings.method == "copy" and not (info.rotation or settings.min_side or info.hdr):
        data = copied(file, info, span)
    if data is not None:
        count, hashed = frame_hash(data)
    if data is None or count != sum(1 for _ in Walk(file, info, span, Deadline(LIMITS, span[1] - span[0]), 1)):
        data, method = encoded(file, info, span, settings.crf, settings.min_side), "encode"
        count, hashed = frame_hash(data)
    if not count:
        raise MediaError("the clip has no frames")
    facts = {
        "method": method,
        "start_s": span[0],
        "end_s": span[1],
        "frames": count,
        "frame_hash": hashed,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return Cut(data, facts, _stills(media, settings.frames))


def frame_hash(data: bytes) -> tuple[int, str]:
    """Number of frames of a video, and the first 128 bits (hex) of the SHA-256 over the planes of all of them, as decoded."""
    file = VideoFile("clip", data=data)
    info = VideoMedia(file).info
    hashed, count = hashlib.sha256(), 0
    walk = Walk(file, info, None, Deadline(LIMITS, info.duration_s), 1)
    for frame, _ in walk:
        hashed.update(frame.to_ndarray().tobytes())
        count += 1
    return count, hashed.hexdigest()[:32]


def _stills(media: VideoMedia, count: int) -> tuple[bytes, ...]:
    if not count:
        return ()
    import cv2

    cv2.setNumThreads(1)
    made = []
    for pixels in media.view(Frames(count, 0)).pixels:
        made.append(cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes())
    return tuple(made)
