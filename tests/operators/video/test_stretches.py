"""Several decoders at once say what one says, or that the file is not for them."""

import threading
from contextlib import closing

import numpy as np
import pytest

from manifests.errors import MediaError
from operators.testing import film, panning
from operators.video import stretches as module
from operators.video.frames import Converter, SmallFrame
from operators.video.media import VideoMedia
from operators.video.source import VideoFile
from operators.video.stretches import NotSplitError, Stretches
from operators.video.track import Track
from operators.video.walk import LIMITS, Deadline, Walk

FPS = 25
X264 = {"g": "12", "bf": "3", "sc_threshold": "0"}


@pytest.fixture(autouse=True)
def _short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STRETCH_FRAMES", 20)
    monkeypatch.setattr(module, "LONGEST_FRAMES", 60)


def made(count: int = 120, **tags: object) -> VideoFile:
    options = {"options": X264, "fps": FPS} | tags
    return VideoFile("test", data=film(panning(count, 96, 64, seed=3), **options))  # type: ignore[arg-type]


def split(file: VideoFile) -> Stretches:
    info = VideoMedia(file).info
    return Stretches(file, info, Deadline(LIMITS, info.duration_s), 2, ("bgr_tiny",))


def walked(file: VideoFile) -> tuple[Walk, list[SmallFrame]]:
    info = VideoMedia(file).info
    walk, converter, frames = Walk(file, info, None, Deadline(LIMITS, info.duration_s), 1, rough=True), Converter(info), []
    for index, (frame, at) in enumerate(walk):
        frames.append(SmallFrame(frame, converter, index, at - info.start_s))
        frames[-1].settle(("bgr_tiny",))
    return walk, frames


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"format": "matroska"},
        {"format": "mov", "codec": "mpeg4", "options": {"g": "12", "bf": "2"}},
        {"format": "webm", "codec": "libvpx-vp9", "options": {"g": "12", "cpu-used": "8", "deadline": "realtime"}},
        {"options": X264 | {"x264-params": "open-gop=1:b-pyramid=normal"}},
        {"codec": "libx265", "options": {"x265-params": "keyint=12:min-keyint=12:open-gop=1:log-level=none"}},
        {"options": {"g": "1"}},
    ],
    ids=["mp4", "mkv", "mpeg4", "vp9", "open groups", "hevc, open groups", "key frames only"],
)
def test_frames_are_those_of_one_decoder(tags: dict[str, object]) -> None:
    file = made(**tags)
    parts = split(file)
    found = list(parts)
    walk, expected = walked(file)
    assert parts.count == walk.count == len(found) == 120
    assert (parts.end_s, parts.damage()) == (walk.end_s, walk.damage())
    for one, other in zip(found, expected, strict=True):
        assert (one.index, one.time_s) == (other.index, other.time_s)
        assert np.array_equal(one.bgr_tiny, other.bgr_tiny)


@pytest.mark.parametrize(
    "tags",
    [
        {"format": "mpegts"},
        {"options": {"g": "1000"}},
        {"options": {"g": "70", "sc_threshold": "0"}},
        {"options": X264 | {"x264-params": "intra-refresh=1:keyint=12"}, "format": "matroska"},
        {"count": 15},
    ],
    ids=["no index", "one key frame", "long stretches", "no picture begins anew", "short"],
)
def test_what_is_not_split(tags: dict[str, object]) -> None:
    with pytest.raises(NotSplitError):
        list(split(made(**tags)))  # type: ignore[arg-type]


def test_a_damaged_file_is_decoded_in_one_go() -> None:
    whole = made().data or b""
    bad = bytearray(whole)
    bad[len(bad) * 6 // 10 : len(bad) * 7 // 10] = bytes(len(bad) * 7 // 10 - len(bad) * 6 // 10)
    mkv = made(format="matroska").data or b""
    for data in (bytes(bad), mkv[: len(mkv) * 7 // 10]):
        file = VideoFile("test", data=data)
        with pytest.raises(NotSplitError):
            list(split(file))
        several, one = (VideoMedia(file, None, (Track(),), threads=n) for n in (2, 1))
        assert several.decoded() == one.decoded()
        assert one.decoded().damage
        assert len(several.view(Track())) == one.decoded().frames


def test_the_track_of_a_video_is_the_same_with_any_number_of_threads() -> None:
    file = made()
    tracks = [VideoMedia(file, None, (Track(),), threads=n).view(Track()) for n in (1, 2, 3)]
    for name in ("times", "content", "level", "thumbs"):
        assert all(np.array_equal(getattr(track, name), getattr(tracks[0], name)) for track in tracks)


def test_decoders_end_with_their_reader_and_at_the_time_limit() -> None:
    parts = split(made())
    with closing(iter(parts)) as frames:
        next(frames)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("stretch")]

    late = split(made())
    late.deadline._total = -1
    with pytest.raises(MediaError, match="time limit"):
        list(late)
