"""Clips: the parts of shots that are worth keeping as samples of their own."""

import itertools
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from operators.base import BatchFn, Reads, Row, Scope, field, per_row

SPAN = pa.struct([pa.field("start_s", pa.float64()), pa.field("end_s", pa.float64())])


@dataclass(frozen=True)
class Clips:
    """Chooses clips out of a video's shots; each becomes a sample with `parent_id`, `span_start_s`, `span_end_s`. No file is written.

    ``min_s``, ``max_s``: lengths wanted, in seconds. A longer shot is cut into equal parts (``split``), or left out. ``trim_s`` is taken
    off both ends of every shot, because detectors and editors are off by a frame or two, and more after a dissolve. The shot that touches
    damage loses its last second.

    Changing these settings decodes nothing: spans come from `shots`.
    """

    min_s: float = 1.0
    max_s: float = 20.0
    trim_s: float = 0.0
    split: bool = True

    name, version = "clips", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(columns=("shots", "video_damage", "fps"), videos="whole")
    adds = pa.schema(
        [
            field("clips", pa.list_(SPAN), "clips by the file's clock: the end is when the last frame stops being shown"),
            field("clip_count", pa.int32(), "clips in the video", "count"),
        ]
    )

    def __post_init__(self) -> None:
        if not 0 <= self.min_s <= self.max_s:
            raise ValueError(f"min_s ({self.min_s}) must be 0 or more, and at most max_s ({self.max_s})")
        if self.trim_s < 0:
            raise ValueError(f"trim_s must be 0 or more, not {self.trim_s}")

    def open(self) -> BatchFn:
        return per_row(self.adds, self._measure)

    def _measure(self, row: Row) -> dict[str, Any]:
        shots = row["shots"]
        if shots is None:  # `shots` says why
            return {}
        half_frame = 0.5 / row["fps"] if row["fps"] else 0.02
        spans = []
        for i, shot in enumerate(shots):
            start, end = shot["start_s"] + self.trim_s, shot["end_s"] - self.trim_s
            if row["video_damage"] and i == len(shots) - 1:
                end -= 1.0
            spans += self._parts(start, end, half_frame)
        return {"clips": spans, "clip_count": len(spans)}

    def _parts(self, start: float, end: float, half_frame: float) -> list[dict[str, float]]:
        length = end - start
        if length < self.min_s - half_frame or length <= 0:
            return []
        parts = max(1, math.ceil((length - half_frame) / self.max_s)) if self.max_s else 1
        if parts > 1 and not self.split:
            return []
        if parts > 1 and length / parts < self.min_s:
            parts = max(1, int(length / self.min_s))
        edges = [start + length * i / parts for i in range(parts)] + [end]
        return [{"start_s": a, "end_s": b} for a, b in itertools.pairwise(edges)]
