"""Which changes are transitions: flashes are not, fades and dissolves are and take time.

Own rules over the luma thumbnails of a `FrameTrack`:
* Flash: the picture after the change is the one before it, and what lies between is brighter nearly everywhere (or dark for an instant).
* Dissolve: half way between two unlike pictures lies their mean, and all pictures between lie on the line from one to the other, in
  order. (The linear model of dissolves; e.g. Lienhart 2001, "Reliable transition detection in videos".)
* Fade: a dissolve to or from a uniform picture; the uniform pictures belong to the transition.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from operators.video.track import FrameTrack

Floats = npt.NDArray[np.float32]

HALF_SECONDS = (0.14, 0.22, 0.34, 0.5, 0.75, 1.1, 1.5)
"""Half lengths of the windows in which dissolves are looked for."""
SHIFTS = 8
"""Windows are shifted by this part of their half length, which still leaves several around each dissolve."""
CHUNK = 4096
MOTION_CONTENT, MOTION_RATIO = 22.0, 1.8
"""Least content value of a cut next to fast motion, and over the mean of the two frames on either side."""
SHORT_S = 0.35
FLASH_S = 2.0
"""Longest flash of a camera, and longest explosion that fades, in seconds."""
UNIFORM_STD = 5.0
"""Spread of luma (0-255) below which a thumbnail shows nothing."""


@dataclass(frozen=True)
class Transition:
    """Frames ``first`` up to and without ``last`` belong to neither shot (a cut has none); with ``last`` the next one begins."""

    first: int
    last: int
    kind: Literal["cut", "dissolve", "fade"]


@dataclass(frozen=True)
class _Ramp:
    """``window``: the frames whose pictures it lies between."""

    first: int
    last: int
    residual: float
    window: tuple[int, int]


def transitions(track: FrameTrack, cuts: list[int], fps: float, flashes: bool, gradual: bool) -> list[Transition]:
    """All transitions, in order; ``cuts`` are the frames with which a detector says that a shot begins."""
    cuts = sorted({*cuts, *cuts_in_motion(track, cuts)}) if gradual else cuts
    lights = flash_spans(track, cuts, fps) if flashes else []
    hard = [c for c in cuts if not (flashes and (_lit_otherwise(track, c) or any(first <= c <= last for first, last in lights)))]
    found = gradual_transitions(track, fps) if gradual else []
    if flashes:
        tail = round(0.5 * fps)
        lit = [any(first - 2 <= t.first and t.last <= last + tail for first, last in lights) or _decays(track, t, fps) for t in found]
        found = [t for t, is_lit in zip(found, lit, strict=True) if t.kind == "fade" or not is_lit]
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
        if correlation(before.astype(np.float32).ravel(), after.astype(np.float32).ravel()) < 0.5 and not _moved(before, after):
            found.append(at)
    return found


def flash_spans(track: FrameTrack, cuts: list[int], fps: float) -> list[tuple[int, int]]:
    """First and last frame that each flash touches which a detector took for a cut."""
    spans: list[tuple[int, int]] = []
    for cut in cuts:
        if (not spans or cut > spans[-1][1]) and (end := flash_end(track, cut, fps)):
            spans.append((cut, end))
    return spans


def flash_end(track: FrameTrack, cut: int, fps: float) -> int:
    """The last frame that a flash beginning about ``cut`` touches; 0: the cut is no flash.

    Light was added nearly everywhere at once, and went: within 0.35 s back to the picture before, or slowly by itself. (A picture that
    moves meanwhile is never quite the one before again, so a slow one need not be.)
    """
    first = max(cut - 2, 0)
    stop = min(len(track), cut + round(FLASH_S * fps) + 1)
    if stop - cut < 3:
        return 0
    before = track.thumbs[first].astype(np.float32).ravel()
    pictures = track.thumbs[cut:stop].reshape(stop - cut, -1)
    soon = pictures[: max(3, round(0.16 * fps))].astype(np.float32)
    level, ground = soon.mean(axis=1), float(before.mean())
    peak = int(level.argmax())
    height = float(level[peak]) - ground
    lighter = float(((soon[peak] > before + 6) | (before >= 225)).mean())  # what is white gets no whiter
    darker = float((soon[peak] < before - 6).mean())
    if height < 8 or lighter < 0.8 or darker > 0.08:
        return _dark_end(before, pictures[: round(0.2 * fps) + 2].astype(np.float32), cut)
    after = pictures.astype(np.float32)
    level = after.mean(axis=1)
    gone = np.flatnonzero(level[peak:] <= ground + 0.3 * height)
    end = peak + int(gone[0] if len(gone) else level[peak:].argmin())
    if len(gone) and end / fps <= SHORT_S:
        back = after[min(end + 1, len(after) - 1)]
        if correlation(before, back) >= 0.5 or alike(before, back):
            return cut + end + 2
    fall = np.diff(level[peak : end + 1])
    sudden = np.flatnonzero(-fall > 0.3 * height)  # it was cut off by the next shot
    end = peak + int(sudden[0]) if len(sudden) and sudden[0] >= 3 else end
    fallen = float(level[peak] - level[end])
    kept = correlation(before, after[peak]) >= 0.3 or (after[peak] >= 230).mean() >= 0.4
    faded = fallen >= 0.35 * height and -float(fall[: max(1, end - peak)].min(initial=0)) <= 0.6 * fallen
    return cut + end + 2 if kept and faded and end - peak >= 3 else 0


def _lit_otherwise(track: FrameTrack, cut: int) -> bool:
    """The same picture, lighter or darker: a lamp, the end of a flash, or a camera that adjusts itself."""
    before, after = (track.thumbs[i].astype(np.float32).ravel() for i in (cut - 1, cut))
    lighter, darker = float((after > before + 3).mean()), float((after < before - 3).mean())
    return correlation(before, after) >= 0.95 and min(lighter, darker) <= 0.05


def _dark_end(before: Floats, after: Floats, cut: int) -> int:
    """The same for a picture that goes dark for an instant, which ends within the pictures ``after``."""
    darker = (after < before - 8).mean(axis=1)
    if darker.max() < 0.3:
        return 0
    for back in range(1, len(after)):
        if alike(before, after[back]):
            lighter = (after[:back] > before + 8).mean(axis=1)
            return cut + back + 2 if darker[:back].max() >= 0.3 and lighter.max() <= 0.2 else 0
    return 0


def _decays(track: FrameTrack, found: Transition, fps: float) -> bool:
    """A seeming dissolve that is light fading from the picture it began in."""
    for cut in range(max(1, found.first - round(0.4 * fps)), found.first + 1):
        end = flash_end(track, cut, fps)
        if end > found.first and found.last - cut <= FLASH_S * fps:
            return True
    return False


def alike(a: Floats, b: Floats) -> bool:
    """Whether two thumbnails show the same shot."""
    return float(np.abs(a - b).mean()) < 14 and correlation(a, b) > 0.9


def correlation(a: Floats, b: Floats) -> float:
    """Pearson's; 0 where one is uniform."""
    return float(_correlations(a[None], b[None])[0])


def _correlations(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Floats:
    """`correlation` of each row of ``a`` with that row of ``b``."""
    x, y = (rows - rows.mean(axis=1, keepdims=True, dtype=np.float32) for rows in (a, b))
    spread = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    return np.asarray(np.where(spread > 1e-3, (x * y).sum(axis=1) / np.maximum(spread, 1e-3), 0.0), np.float32)


def gradual_transitions(track: FrameTrack, fps: float) -> list[Transition]:
    """Dissolves and fades, in order, none overlapping another."""
    flat = track.thumbs.reshape(len(track), -1)
    # By parts: the deviation of hours of video at once takes a gigabyte.
    parts = [flat[i : i + CHUNK].std(axis=1, dtype=np.float32) for i in range(0, len(track), CHUNK)]
    uniform = np.concatenate(parts) < UNIFORM_STD if parts else np.zeros(0, bool)
    ramps = _ramps(track, fps)
    spans = [(r.first, r.last, bool(uniform[r.first] or uniform[min(r.last, len(track) - 1)])) for r in ramps]
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
    same = same or _moved(track.thumbs[first - 1], track.thumbs[last])
    return bool(same and track.level[first:last].max(initial=0) > track.level[first - 1] + 20)


def _runs(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Beginnings and ends (exclusive) of runs of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _ramps(track: FrameTrack, fps: float) -> list[_Ramp]:
    """The best fitting ramp of every place where the linear model holds."""
    import cv2

    count = len(track)
    flat = track.thumbs.reshape(count, -1)
    found: list[_Ramp] = []
    for half in sorted({max(3, round(s * fps)) for s in HALF_SECONDS}):
        step = max(1, half // SHIFTS)
        for start in range(half, count - half, CHUNK * step):
            stop = min(start + CHUNK * step, count - half)
            windows = [flat[start + d : stop + d : step] for d in (-half, 0, half)]
            # Whole numbers of 8 and 16 bits: this looks at every frame, for several of the lengths.
            distance = cv2.absdiff(windows[0], windows[2]).sum(axis=1, dtype=np.uint32) / flat.shape[1]
            likely = np.flatnonzero(distance >= 14)
            if not len(likely):
                continue
            a, middle, b = (pictures[likely].astype(np.int16) for pictures in windows)
            off = np.abs(2 * middle - a - b).sum(axis=1, dtype=np.int32) / flat.shape[1] / distance[likely]
            mixed = np.flatnonzero(off <= 0.5)
            mixed = mixed[_correlations(a[mixed], b[mixed]) <= 0.6]  # else the same shot, lit otherwise
            at = likely[mixed].tolist()
            found += [ramp for i in at if (ramp := _fit(track, start + step * i, half, float(distance[i])))]
    found.sort(key=lambda r: r.residual)
    best: list[_Ramp] = []
    for ramp in found:
        taken = any(ramp.first < other.last and other.first < ramp.last for other in best)
        if not taken and not _moved(*(track.thumbs[i] for i in ramp.window)):  # the dearest test, so only of those that would be kept
            best.append(ramp)
    return sorted(best, key=lambda r: r.first)


def _moved(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> bool:
    """Whether the middle of one thumbnail is somewhere in the other: a camera that pans blends smooth pictures much as a dissolve does."""
    import cv2

    height, width = a.shape
    core = a[height // 4 : height - height // 4, width // 4 : width - width // 4]
    return cv2.meanStdDev(core)[1].item() >= UNIFORM_STD and float(cv2.matchTemplate(b, core, cv2.TM_CCOEFF_NORMED).max()) >= 0.9


def _fit(track: FrameTrack, middle: int, half: int, distance: float) -> _Ramp | None:
    """The ramp between the pictures ``half`` frames before and after ``middle``, if there is one; ``distance``: how far these are apart."""
    import cv2

    start = middle - half
    window = track.thumbs[start : middle + half + 1].reshape(2 * half + 1, -1).astype(np.float32)
    step = window[-1] - window[0]
    along = window @ step
    progress = (along - along[0]) / float(step @ step)
    inside = np.flatnonzero((progress > 0.06) & (progress < 0.94))
    if len(inside) < 4 or inside[-1] - inside[0] + 1 > len(inside) + 2:
        return None
    moves = np.diff(progress[inside[0] - 1 : inside[-1] + 2]) if inside[0] else np.diff(progress[: inside[-1] + 2])
    if moves.min() < -0.04 or moves.max() > 0.4:
        return None
    seen, share = window[inside], progress[inside]
    on_line = np.stack([1 - share, share], axis=1) @ window[[0, -1]]
    residual = cv2.norm(seen, on_line, cv2.NORM_L1) / seen.size / distance
    return _Ramp(start + int(inside[0]), start + int(inside[-1]) + 1, residual, (start, middle + half)) if residual <= 0.22 else None
