"""Light and standstill in a clip: brightness, black and frozen pictures, repeated frames, flicker, borders."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.base import BatchFn, Reads, Row, Scope, field, per_row
from operators.video.frames import SmallFrame

BLACK = 0.06
"""Brightness below which a picture without contrast is black."""
SAME = 0.35
"""Mean difference of luma (0-255) up to which two frames are the same picture; re-encoding a still one leaves less."""
FROZEN_S = 0.5
BORDER_LEVELS = 18
"""A border's luma stays within so many levels, all along it and all the time."""


@dataclass(frozen=True)
class LightTrack:
    """Arrays over frames: ``times`` in seconds of the clip, ``luma`` (0-1), ``spread`` (its deviation within the picture), ``change``: mean
    difference to the frame before (0-255; nan for the first). ``low``, ``high``: each pixel's extremes over time, (h, w)."""

    times: npt.NDArray[np.float64]
    luma: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]
    change: npt.NDArray[np.float64]
    low: npt.NDArray[np.uint8]
    high: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class LightOverTime:
    """The view whose data is a `LightTrack`."""

    rough: ClassVar[bool] = False

    def start(self, info: Any) -> "_Gathering":
        return _Gathering()


class _Gathering:
    def __init__(self) -> None:
        self.rows: list[tuple[float, float, float, float]] = []
        self.before: Any = None
        self.low: Any = None
        self.high: Any = None

    def add(self, frame: SmallFrame) -> None:
        import cv2

        gray = cv2.cvtColor(frame.bgr, cv2.COLOR_BGR2GRAY)
        mean, spread = cv2.meanStdDev(gray)
        change = float("nan") if self.before is None else cv2.norm(gray, self.before, cv2.NORM_L1) / gray.size
        self.rows.append((frame.time_s, float(mean[0, 0]) / 255, float(spread[0, 0]) / 255, change))
        self.low = gray if self.low is None else cv2.min(self.low, gray)
        self.high = gray if self.high is None else cv2.max(self.high, gray)
        self.before = gray

    def finish(self) -> LightTrack:
        times, luma, spread, change = np.array(self.rows).reshape(-1, 4).T
        return LightTrack(times, luma, spread, change, self.low, self.high)


VIEW = LightOverTime()


@dataclass(frozen=True)
class Light:
    """Brightness over time, black, frozen and repeated frames, flicker, and borders (letterbox, pillarbox, burnt-in frames).

    `frozen_share` counts standstills of half a second and more, `duplicate_share` every frame that repeats the one before it (film shown at
    a higher rate, dropped frames). A clip that is a still picture has both near 1. Borders are even in colour and the same all the time;
    a sky or a studio's wall at the edge looks like one.
    """

    name, version = "light", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(VIEW,))
    adds = pa.schema(
        [
            field("luminance", pa.float32(), "mean brightness (luma) over the clip", "0-1"),
            field("luminance_min", pa.float32(), "of the darkest frame", "0-1"),
            field("luminance_max", pa.float32(), "of the brightest frame", "0-1"),
            field("black_share", pa.float32(), "share of the frames that are black", "0-1"),
            field("frozen_share", pa.float32(), "share of the time in which nothing changes for half a second or longer", "0-1"),
            field("duplicate_share", pa.float32(), "share of the frames that show the same as the one before", "0-1"),
            field("flicker", pa.float32(), "mean deviation of a frame's brightness from that of its two neighbours", "0-1"),
            field("letterbox_share", pa.float32(), "share of the picture taken by even borders", "0-1"),
            field("content_aspect", pa.float32(), "width over height of what lies within the borders"),
        ]
    )

    def open(self) -> BatchFn:
        return per_row(self.adds, measure)


def measure(row: Row) -> dict[str, Any]:
    track: LightTrack = row.view(VIEW)
    luma = track.luma
    top, bottom, left, right = borders(track.low, track.high)
    height, width = track.low.shape
    inner_height, inner_width = height - top - bottom, width - left - right
    same = track.change <= SAME
    return {
        "luminance": luma.mean(),
        "luminance_min": luma.min(),
        "luminance_max": luma.max(),
        "black_share": ((luma < BLACK) & (track.spread < 0.03)).mean(),
        "frozen_share": frozen_share(track.times, same),
        "duplicate_share": same[1:].mean() if len(same) > 1 else 0.0,
        "flicker": np.abs(luma[1:-1] - (luma[:-2] + luma[2:]) / 2).mean() if len(luma) > 2 else 0.0,
        "letterbox_share": 1 - inner_height * inner_width / (height * width) if inner_height and inner_width else 1.0,
        "content_aspect": inner_width / inner_height if inner_height and inner_width else None,
    }


def frozen_share(times: npt.NDArray[np.float64], same: npt.NDArray[np.bool_]) -> float:
    """Share of the time covered by runs of unchanged frames of at least `FROZEN_S`."""
    if len(times) < 2 or times[-1] <= times[0]:
        return 0.0
    frozen, since = 0.0, None
    for i in range(1, len(times)):
        if same[i]:
            since = times[i - 1] if since is None else since
        if since is not None and (not same[i] or i == len(times) - 1):
            until = times[i] if same[i] else times[i - 1]
            frozen += until - since if until - since >= FROZEN_S else 0.0
            since = None
    return float(frozen / (times[-1] - times[0]))


def borders(low: npt.NDArray[np.uint8], high: npt.NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Even rows at the top and bottom, and columns at the left and right, in pixels."""

    def even(first: npt.NDArray[np.uint8], last: npt.NDArray[np.uint8]) -> int:
        count = 0
        while count < len(first) and int(last[: count + 1].max()) - int(first[: count + 1].min()) <= BORDER_LEVELS:
            count += 1
        return count

    top, bottom = even(low, high), even(low[::-1], high[::-1])
    if top + bottom >= len(low):
        return top, 0, 0, 0
    rows = slice(top, len(low) - bottom)
    left, right = even(low[rows].T, high[rows].T), even(low[rows, ::-1].T, high[rows, ::-1].T)
    # One line of pixels is no border: scaling and codecs make those.
    return tuple(n if n > 1 else 0 for n in (top, bottom, left, right))  # type: ignore[return-value]
