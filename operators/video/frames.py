"""Pixels of decoded frames: upright sRGB at the size a view asks for, and the small copies that measures of every frame use."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.video.hdr import tone_map
from operators.video.probe import VideoInfo

UInt8 = npt.NDArray[np.uint8]

TRACK_SIDE = 160
COLOUR_SIDE = 256
GRAY_SIDE = 320
"""Longer sides, in pixels, of the small copies of a frame; smaller videos keep their size."""


@dataclass(frozen=True)
class Sampled:
    """``pixels[i]``: RGB, uint8, (h, w, 3), shown at ``times[i]`` seconds of the file's clock. ``info``: of the video."""

    times: tuple[float, ...]
    pixels: tuple[UInt8, ...]
    info: VideoInfo


class Converter:
    """Turns frames of one video into pixels. Keeps one scaler a size; belongs to one thread at a time."""

    def __init__(self, info: VideoInfo) -> None:
        from av.video.reformatter import VideoReformatter

        self.info = info
        self._make = VideoReformatter
        self._scalers: dict[Any, Any] = {}

    def rgb(self, frame: Any, min_side: int) -> UInt8:
        """As `operators.base.Frames` says."""
        info = self.info
        factor = next((f for f in (8, 4, 2) if min_side and -(-min(info.width, info.height) // f) >= min_side), 1)
        return self._pixels(frame, -(-info.width // factor), -(-info.height // factor), "rgb", "AREA" if factor > 1 else "BICUBIC")

    def bgr_small(self, frame: Any, side: int) -> UInt8:
        return self._pixels(frame, *_within(self.info, side), "bgr", "POINT")

    def gray_small(self, frame: Any) -> UInt8:
        width, height = _within(self.info, GRAY_SIDE)
        if self.info.hdr:
            pixels = self._pixels(frame, width, height, "rgb", "AREA").astype(np.uint16)
            return ((pixels @ np.array([77, 150, 29], np.uint16)) >> 8).astype(np.uint8)
        return self._pixels(frame, width, height, "gray", "AREA")

    def _pixels(self, frame: Any, width: int, height: int, order: str, interpolation: str) -> UInt8:
        """``width`` and ``height`` are upright."""
        info = self.info
        if info.rotation % 2:
            width, height = height, width
        scaler = self._scalers.setdefault((width, height, order), self._make())
        kind = order if order == "gray" else f"{order}48le" if info.hdr else f"{order}24"
        made = scaler.reformat(
            frame,
            width,
            height,
            kind,
            src_colorspace=info.matrix,
            interpolation=interpolation,
            src_color_range="JPEG" if info.full_range else "MPEG",
            threads=1,  # more of them cost more than a small picture gains, and there is other work for the processors
        ).to_ndarray()
        if info.hdr and order != "gray":
            made = tone_map(made, info.hdr)
        return np.ascontiguousarray(np.rot90(made, info.rotation) if info.rotation else made)


def _within(info: VideoInfo, side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(info.width, info.height))
    return max(8, round(info.width * scale)), max(8, round(info.height * scale))


class SmallFrame:
    """One frame as every-frame measures see it. ``time_s`` counts from the start of the clip, ``index`` from 0; ``frame``: PyAV's."""

    __slots__ = ("_bgr", "_converter", "_gray", "_tiny", "frame", "index", "time_s")

    def __init__(self, frame: Any, converter: Converter, index: int, time_s: float) -> None:
        self.frame, self._converter, self.index, self.time_s = frame, converter, index, time_s
        self._bgr: UInt8 | None = None
        self._tiny: UInt8 | None = None
        self._gray: UInt8 | None = None

    def settle(self, pictures: Collection[str]) -> None:
        """Make these of the properties below now and let go of the frame."""
        for name in pictures:
            getattr(self, name)
        self.frame = None

    def rgb(self, min_side: int) -> UInt8:
        """As `operators.base.Frames` says. Made anew at each call."""
        return self._converter.rgb(self.frame, min_side)

    @property
    def bgr(self) -> UInt8:
        """(h, w, 3), longer side at most `COLOUR_SIDE`."""
        if self._bgr is None:
            self._bgr = self._converter.bgr_small(self.frame, COLOUR_SIDE)
        return self._bgr

    @property
    def bgr_tiny(self) -> UInt8:
        """(h, w, 3), longer side at most `TRACK_SIDE`."""
        if self._tiny is None:
            self._tiny = self._converter.bgr_small(self.frame, TRACK_SIDE)
        return self._tiny

    @property
    def gray(self) -> UInt8:
        """Luma, (h, w), longer side at most `GRAY_SIDE`."""
        if self._gray is None:
            self._gray = self._converter.gray_small(self.frame)
        return self._gray
