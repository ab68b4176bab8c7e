"""Flashes of light, which detectors take for cuts.

The picture after a flash is the one before it, and what lies between is brighter nearly everywhere (or dark for an instant).
"""

import numpy as np

from operators.video.likeness import Floats, alike, correlation
from operators.video.track import FrameTrack

SHORT_S = 0.35
FLASH_S = 2.0
"""Longest flash of a camera, and longest explosion that fades, in seconds."""


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


def lit_otherwise(track: FrameTrack, cut: int) -> bool:
    """The same picture, lighter or darker: a lamp, the end of a flash, or a camera that adjusts itself."""
    before, after = (track.thumbs[i].astype(np.float32).ravel() for i in (cut - 1, cut))
    lighter, darker = float((after > before + 3).mean()), float((after < before - 3).mean())
    return correlation(before, after) >= 0.95 and min(lighter, darker) <= 0.05


def decays(track: FrameTrack, first: int, last: int, fps: float) -> bool:
    """A seeming dissolve that is light fading from the picture it began in."""
    for cut in range(max(1, first - round(0.4 * fps)), first + 1):
        end = flash_end(track, cut, fps)
        if end > first and last - cut <= FLASH_S * fps:
            return True
    return False
