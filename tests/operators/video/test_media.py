"""Decode rules of videos: times, spans, rotation, damage, errors, limits."""

from pathlib import Path

import numpy as np
import pytest

from manifests.errors import MediaError
from operators.base import Frames, VideoHeader
from operators.testing import encode, film, panning, picture
from operators.video import media as media_module
from operators.video.frames import SmallFrame
from operators.video.hdr import tone_map
from operators.video.light import LightOverTime
from operators.video.media import VideoMedia
from operators.video.source import VideoFile
from operators.video.track import Track
from operators.video.walk import Limits


def video(data: bytes, span: tuple[float, float] | None = None, **options: object) -> VideoMedia:
    return VideoMedia(VideoFile("test", data=data), span, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def pan() -> bytes:
    return film(panning(30, seed=1))


def test_frames_at_the_middles_of_equal_parts(pan: bytes) -> None:
    sampled = video(pan).view(Frames(3, 0))
    assert sampled.times == pytest.approx((0.5, 1.5, 2.5))
    expected = panning(30, seed=1)
    for time, pixels in zip(sampled.times, sampled.pixels, strict=True):
        assert np.abs(pixels.astype(int) - expected[round(time * 10)]).mean() < 8


@pytest.mark.parametrize("count", [1, 4, 100])
def test_seeking_gives_the_frames_that_walking_gives(pan: bytes, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    walked = video(pan).view(Frames(count, 48))
    monkeypatch.setattr(media_module, "SEEK_SECONDS", 0.0)
    sought = video(pan).view(Frames(count, 48))
    assert sought.times == walked.times
    assert len(walked.times) == min(count, 30)
    assert all(np.array_equal(a, b) for a, b in zip(sought.pixels, walked.pixels, strict=True))


def test_spans_are_exact_to_the_frame_and_cover_the_video(pan: bytes) -> None:
    whole = video(pan)
    assert (whole.decoded().frames, whole.decoded().end_s) == (30, pytest.approx(3.0))
    parts = [video(pan, span).decoded() for span in ((0.0, 1.3), (1.3, 2.0), (2.0, 3.0))]
    assert [part.frames for part in parts] == [13, 7, 10]
    second = video(pan, (1.3, 2.0)).view(Frames(100, 0))
    assert second.times == pytest.approx([1.3 + i / 10 for i in range(7)])


@pytest.mark.parametrize("form", ["mpegts", "flv", "avi"])
def test_spans_of_a_container_without_an_index(form: str) -> None:
    whole = film(panning(60, seed=1), fps=25, format=form, gop_size=24)
    start = video(whole).info.start_s
    for first in (1, 8, 20, 21, 22, 23, 24, 25, 43, 45, 46, 47, 48, 59):  # most of them about the key frames
        part = video(whole, (start + first / 25, start + 60 / 25)).decoded()
        assert part.frames == 60 - first


def test_a_view_does_not_depend_on_the_others_of_the_pass(pan: bytes) -> None:
    views = (Track(), Frames(4, 0), LightOverTime(), Frames(8, 48))
    together, alone = video(pan, None, views=views), [video(pan) for _ in views]
    assert np.array_equal(together.view(Track()).content, alone[0].view(Track()).content)
    for view, one in ((views[1], alone[1]), (views[3], alone[3])):
        a, b = together.view(view), one.view(view)
        assert a.times == b.times
        assert all(np.array_equal(x, y) for x, y in zip(a.pixels, b.pixels, strict=True))


def test_a_failing_measure_harms_no_other(pan: bytes) -> None:
    class Broken:
        rough = False

        def start(self, info: object) -> "Broken":
            return self

        def add(self, frame: SmallFrame) -> None:
            raise KeyError("odd")

        def finish(self) -> None: ...

    broken = Broken()
    media = video(pan, None, views=(broken, Track()))
    with pytest.raises(MediaError, match="KeyError: 'odd'"):
        media.view(broken)
    assert len(media.view(Track())) == 30


def test_rotation_is_applied() -> None:
    frames = [np.zeros((48, 96, 3), np.uint8) for _ in range(4)]
    for frame in frames:
        frame[:, :24] = 255  # the left quarter is white
    for turned, place in ((90, np.s_[-20:, :]), (-90, np.s_[:20, :]), (180, np.s_[:, 80:])):
        media = video(film(frames, rotation=turned))
        shown = media.view(Frames(1, 0)).pixels[0]
        assert (media.info.height, media.info.width) == shown.shape[:2]
        assert shown[place].mean() > 200, turned
        assert shown.mean() < 90


def test_captions_of_hdr_are_tone_mapped() -> None:
    signal = np.linspace(0, 65535, 256).astype(np.uint16).reshape(1, 256, 1).repeat(3, axis=2)
    for transfer in ("pq", "hlg"):
        shown = tone_map(signal, transfer)[0, :, 0].astype(int)
        assert shown[0] == 0
        assert shown[-1] >= 250
        assert (np.diff(shown) >= 0).all()
    media = video(film(panning(3), color_trc=16))
    assert media.info.hdr == "pq"
    assert media.view(Frames(1, 0)).pixels[0].dtype == np.uint8


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty file"),
        (bytes(5000), "zeros only"),
        (b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\nfile:///etc/passwd\n" * 50, "not a video"),
        (encode(picture(64, 64)), "the file is a picture"),
        (b"no video at all" * 500, "not a video"),
    ],
    ids=["empty", "zeros", "playlist", "picture", "text"],
)
def test_named_errors(data: bytes, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        video(data).view(VideoHeader())


def test_truncated_single_audio_only_and_too_fast(pan: bytes) -> None:
    with pytest.raises(MediaError, match="truncated or damaged mp4"):
        video(pan[: len(pan) // 2]).view(VideoHeader())
    with pytest.raises(MediaError, match="a single frame"):
        video(film(panning(1))).decoded()
    long = film(panning(60, seed=6), format="matroska")
    assert str(video(long[: len(long) * 8 // 10]).decoded().damage).startswith("truncated: 3.")
    with pytest.raises(MediaError, match="implausible frame rate"):
        video(film(panning(6), fps=20_000)).view(VideoHeader())


def test_time_limits(pan: bytes) -> None:
    with pytest.raises(MediaError, match="time limit: decoding took more than 0 s"):
        video(pan, limits=Limits(base_s=0.0, per_second=0.0)).decoded()


def test_a_part_of_a_file_is_a_video_of_its_own(tmp_path: Path, pan: bytes) -> None:
    (tmp_path / "archive").write_bytes(b"x" * 777 + pan + b"y" * 99)
    file = VideoFile(str(tmp_path / "archive"), 777, len(pan))
    assert VideoMedia(file).decoded().frames == 30
    assert file.digest() == VideoFile("memory", data=pan).digest()
    with pytest.raises(MediaError, match="when it was listed"):
        VideoFile(str(tmp_path / "archive"), None, 5).open()
    with pytest.raises(MediaError, match="cannot be read"):
        VideoFile(str(tmp_path / "gone")).open()
