"""Lets operators on pictures look at frames, and sums up what they say over a clip."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from manifests.errors import MediaError
from operators.base import Batch, BatchFn, Columns, Gray, Header, Operator, Pixels, View, field
from operators.header import MediaInfo
from operators.video.frames import Sampled, UInt8

REDUCED = ("min", "mean", "max")


class FrameRow:
    """One frame, as an operator on pictures sees a sample; it has no columns."""

    def __init__(self, pixels: UInt8) -> None:
        self._pixels = pixels

    def __getitem__(self, column: str) -> Any:
        raise KeyError(column)

    def view(self, view: View) -> Any:
        """Views are made of the frame by the rule for pictures."""
        height, width = self._pixels.shape[:2]
        if isinstance(view, Header):
            return MediaInfo("frame", width, height, width, height, "RGB")
        if not isinstance(view, Pixels | Gray):
            raise MediaError("a frame has no bytes of its own")
        import cv2

        factor = next((f for f in (8, 4, 2) if view.min_side and -(-min(width, height) // f) >= view.min_side), 1)
        pixels = self._pixels
        if factor > 1:
            pixels = np.asarray(cv2.resize(pixels, (-(-width // factor), -(-height // factor)), interpolation=cv2.INTER_AREA), np.uint8)
        made = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8) if isinstance(view, Gray) else np.ascontiguousarray(pixels)
        made = made.view()
        made.flags.writeable = False
        return made


def frame_batch(sampled: Sampled) -> Batch:
    """A batch with a row for each frame."""
    rows = pa.array(range(len(sampled.pixels)), pa.int32())
    return Batch(pa.table({"row": rows}), [FrameRow(pixels) for pixels in sampled.pixels])


def said(run: BatchFn, sampled: Sampled, operator: Operator) -> Columns:
    """What an operator on pictures says of every frame. Raises `ValueError` with its reason when it can say nothing of any."""
    found = run(frame_batch(sampled))
    errors = found["error"].to_pylist() if "error" in found else []
    if errors and all(errors):
        raise ValueError(f"{operator.name}: {errors[0]}")
    return found


def reduced_fields(prefix: str, operator: Operator, columns: Sequence[str]) -> list[pa.Field]:
    """``PREFIX_COLUMN_min``, ``_mean`` and ``_max`` of an operator's columns, documented like these."""
    made = []
    for name in columns:
        column = operator.adds.field(name)
        doc, unit = ((column.metadata or {}).get(key, b"").decode() for key in (b"doc", b"unit"))
        for how in REDUCED:
            what = {"min": "lowest", "mean": "mean", "max": "highest"}[how]
            made.append(field(f"{prefix}_{name}_{how}", pa.float32(), f"{what} over the frames: {doc}", unit))
    return made


def reduced(prefix: str, columns: Mapping[str, Iterable[Any]]) -> dict[str, Any]:
    """The values for `reduced_fields`; frames without a value do not count."""
    made: dict[str, Any] = {}
    for name, values in columns.items():
        known = [float(v) for v in values if v is not None and np.isfinite(v)]
        for how, value in zip(REDUCED, (min(known), sum(known) / len(known), max(known)) if known else (None,) * 3, strict=True):
            made[f"{prefix}_{name}_{how}"] = value
    return made
