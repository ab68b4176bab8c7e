"""Ramps between pictures, and lights, in tracks made of thumbnails."""

import cv2
import numpy as np
import numpy.typing as npt

from operators.video.dissolves import ramps
from operators.video.flashes import flash_end
from operators.video.track import FrameTrack

FPS = 25.0
Pictures = npt.NDArray[np.float32]


def picture(seed: int) -> Pictures:
    """Smooth, so that a shifted copy of it is still like a mixture of the two."""
    rough = np.random.default_rng(seed).uniform(0, 255, (4, 8)).astype(np.float32)
    return np.asarray(cv2.resize(rough, (64, 18), interpolation=cv2.INTER_CUBIC).clip(0, 255), np.float32)


def track(frames: list[Pictures]) -> FrameTrack:
    thumbs = np.stack(frames).round().astype(np.uint8)
    zeros = np.zeros(len(frames), np.float32)
    return FrameTrack(np.arange(len(frames)) / FPS, zeros, thumbs.mean(axis=(1, 2), dtype=np.float32), thumbs)


def mixed(a: Pictures, b: Pictures) -> FrameTrack:
    between = [a + (b - a) * np.float32(i / 12) for i in range(1, 12)]
    return track([*[a] * 30, *between, *[b] * 30])


def test_a_dissolve_is_one_ramp() -> None:
    found = ramps(mixed(picture(1)[:, :32], picture(2)[:, :32]), FPS)
    assert [(ramp.first, ramp.last) for ramp in found] == [(30, 41)]


def test_a_picture_that_only_moved_is_none() -> None:
    wide = picture(1)
    assert ramps(mixed(wide[:, :32], wide[:, 8:40]), FPS) == []


def test_an_instant_of_dark_ends_and_another_picture_does_not() -> None:
    one, other = picture(1)[:, :32], picture(2)[:, :32]
    assert flash_end(track([*[one] * 20, *[one * 0.2] * 2, *[one] * 20]), 20, FPS) == 24
    assert flash_end(track([*[one] * 20, *[one * 0.2] * 12, *[one] * 20]), 20, FPS) == 0
    assert flash_end(track([*[one] * 20, *[other] * 20]), 20, FPS) == 0
