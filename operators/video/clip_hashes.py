"""A clip as a sequence of picture hashes, for finding copies of it."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from operators.base import BatchFn, Reads, Row, Scope, field, per_row
from operators.phash import SMALL, matrices
from operators.video.frames import SmallFrame

STEP_S = 0.24
MAX_HASHES = 2000
PLAIN = 6.0
"""Spread of luma (0-255) below which a frame says nothing about which clip it is from."""


@dataclass(frozen=True)
class HashSequence:
    """The view whose data is a list of (time in seconds of the clip, 64-bit hash), about four a second; plain frames are left out."""

    rough: ClassVar[bool] = False

    def start(self, info: Any) -> "_Gathering":
        return _Gathering()


class _Gathering:
    def __init__(self) -> None:
        from operators.hash_loops import hashes

        self.hashes = hashes
        self.found: list[tuple[float, int]] = []
        self.next = 0.0

    def add(self, frame: SmallFrame) -> None:
        if frame.time_s < self.next or len(self.found) >= MAX_HASHES:
            return
        self.next = frame.time_s + STEP_S
        gray = np.ascontiguousarray(frame.gray).view()
        gray.flags.writeable = False
        if gray.std() >= PLAIN:
            self.found.append((frame.time_s, int(self.hashes(gray, SMALL, *matrices(*gray.shape))[0])))

    def finish(self) -> list[tuple[float, int]]:
        return self.found


VIEW = HashSequence()


@dataclass(frozen=True)
class ClipHashes:
    """DCT hashes (`phash`) of a clip's frames, about four a second: what `clip_duplicates` compares. At most 2000 of a clip."""

    name, version = "clip_hashes", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(VIEW,))
    adds = pa.schema(
        [
            field("clip_hashes", pa.list_(pa.uint64()), "hashes of frames; frames of one colour have none", "64 bits"),
            field("clip_hash_times", pa.list_(pa.float32()), "when these frames are shown, from the start of the clip", "s"),
        ]
    )

    def open(self) -> BatchFn:
        return per_row(self.adds, measure)


def measure(row: Row) -> dict[str, Any]:
    found = row.view(VIEW)
    return {"clip_hashes": [value for _, value in found], "clip_hash_times": [time for time, _ in found]}
