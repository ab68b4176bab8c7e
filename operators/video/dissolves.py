"""Dissolves: half way between two unlike pictures lies their mean, and all pictures between lie on the line from one to the other.

The linear model of dissolves; e.g. Lienhart 2001, "Reliable transition detection in videos".
"""

from dataclasses import dataclass

import numpy as np

from operators.video.likeness import correlations, moved
from operators.video.track import FrameTrack

HALF_SECONDS = (0.14, 0.22, 0.34, 0.5, 0.75, 1.1, 1.5)
"""Half lengths of the windows in which dissolves are looked for."""
SHIFTS = 8
"""Windows are shifted by this part of their half length, which still leaves several around each dissolve."""
CHUNK = 4096


@dataclass(frozen=True)
class Ramp:
    """Frames ``first`` up to and without ``last`` lie between the pictures of the two frames ``window``; ``residual``: how badly."""

    first: int
    last: int
    residual: float
    window: tuple[int, int]


def ramps(track: FrameTrack, fps: float) -> list[Ramp]:
    """The best fitting ramp of every place where the linear model holds."""
    import cv2

    count = len(track)
    flat = track.thumbs.reshape(count, -1)
    found: list[Ramp] = []
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
            mixed = mixed[correlations(a[mixed], b[mixed]) <= 0.6]  # else the same shot, lit otherwise
            at = likely[mixed].tolist()
            found += [ramp for i in at if (ramp := _fit(track, start + step * i, half, float(distance[i])))]
    found.sort(key=lambda r: r.residual)
    best: list[Ramp] = []
    for ramp in found:
        taken = any(ramp.first < other.last and other.first < ramp.last for other in best)
        if not taken and not moved(*(track.thumbs[i] for i in ramp.window)):  # the dearest test, so only of those that would be kept
            best.append(ramp)
    return sorted(best, key=lambda r: r.first)


def _fit(track: FrameTrack, middle: int, half: int, distance: float) -> Ramp | None:
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
    return Ramp(start + int(inside[0]), start + int(inside[-1]) + 1, residual, (start, middle + half)) if residual <= 0.22 else None
