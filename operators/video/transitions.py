"""Which changes are transitions: flashes are not, fades and dissolves are and take time.

Own rules over the luma thumbnails of a `FrameTrack`: see `flashes` and `dissolves`. A fade is a dissolve to or from a uniform picture; the
uniform pictures belong to the transition.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from operators.video.dissolves import CHUNK, ramps
from operators.video.flashes import SHORT_S, decays, flash_spans, lit_otherwise
from operators.video.likeness import UNIFORM_STD, alike, correlation, moved
from operators.video.track import FrameTrack

MOTION_CONTENT, MOTION_RATIO = 22.0, 1.8
"""Least content value of a cut next to fast motion, and over the mean of the two frames on either side."""


@dataclass(frozen=True)
class Transition:
    """Frames ``first`` up to and without ``last`` belong to neither shot (a cut has none); with ``last`` the next one begins."""

    first: int
    last: int
    kind: Literal["cut", "dissolve", "fade"]


def transitions(track: FrameTrack, cuts: list[int], fps: float, flashes: bool, gradual: bool) -> list[Transition]:
    """All transitions, in order; ``cuts`` are the frames with which a detector says that a shot begins."""
    cuts = sorted({*cuts, *cuts_in_motion(track, cuts)}) if gradual else cuts
    lights = flash_spans(track, cuts, fps) if flashes else []
    hard = [c for c in cuts if not (flashes and (lit_otherwise(track, c) or any(first <= c <= last for first, last in lights)))]
    found = gradual_transitions(track, fps) if gradual else []
    if flashes:
        tail = round(0.5 * fps)

        def lit(t: Transition) -> bool:
            within = any(first - 2 <= t.first and t.last <= last + tail for first, last in lights)
            return within or decays(track, t.first, t.last, fps)

        found = [t for t in found if t.kind == "fade" or not lit(t)]
    near = max(2, round(0.1 * fps))
    kept = [c for c in hard if not any(t.first - near <= c <= t.last + near for t in found)]
    every = [*found, *(Transition(c, c, "cut") for c in kept)]
    return sorted(every, key=lambda t: t.first)


def cuts_in_motion(track: FrameTrack, cuts: list[int]) -> list[int]:
    """Cuts next to fast motion, which hide a change's height above its neighbours: it is high, and the pictures have nothing in common."""
    content = track.content
    found: list[int] = []
    for at in np.flatnonzero(content >= MOTION_CONTENT).tolist():
        near = np.concatenate([content[max(at - 2, 0) : at], content[at + 1 : at + 3]])
        if at < 2 or len(near) < 3 or content[at] < MOTION_RATIO * near.mean() or content[at] < near.max() * 1.2:
            continue
        if any(abs(at - cut) <= 3 for cut in [*cuts, *found]):
            continue
        before, after = track.thumbs[at - 1], track.thumbs[at]
        if correlation(before.astype(np.float32).ravel(), after.astype(np.float32).ravel()) < 0.5 and not moved(before, after):
            found.append(at)
    return found


def gradual_transitions(track: FrameTrack, fps: float) -> list[Transition]:
    """Dissolves and fades, in order, none overlapping another."""
    flat = track.thumbs.reshape(len(track), -1)
    # By parts: the deviation of hours of video at once takes a gigabyte.
    parts = [flat[i : i + CHUNK].std(axis=1, dtype=np.float32) for i in range(0, len(track), CHUNK)]
    uniform = np.concatenate(parts) < UNIFORM_STD if parts else np.zeros(0, bool)
    spans = [(r.first, r.last, bool(uniform[r.first] or uniform[min(r.last, len(track) - 1)])) for r in ramps(track, fps)]
    spans += [(first, last, True) for first, last in _runs(uniform)]
    merged: list[tuple[int, int, bool]] = []
    for first, last, plain in sorted(spans):
        if merged and first <= merged[-1][1] + 2 and (plain or merged[-1][2]):
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]), True)
        elif not merged or first >= merged[-1][1]:
            merged.append((first, last, plain))
    found = []
    for first, last, plain in merged:
        if plain and _returns(track, first, last, fps):
            continue
        found.append(Transition(max(first, 0), min(last, len(track)), "fade" if plain else "dissolve"))
    return found


def _returns(track: FrameTrack, first: int, last: int, fps: float) -> bool:
    """A bright uniform picture between two like ones: a flash that filled the screen."""
    if first <= 0 or last >= len(track) or (last - first) / fps > 2.0:
        return False
    before, after = (track.thumbs[i].astype(np.float32).ravel() for i in (first - 1, last))
    same = alike(before, after) or (last - first <= SHORT_S * fps and correlation(before, after) >= 0.8)
    same = same or moved(track.thumbs[first - 1], track.thumbs[last])
    return bool(same and track.level[first:last].max(initial=0) > track.level[first - 1] + 20)


def _runs(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Beginnings and ends (exclusive) of runs of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
