"""Operators that misbehave, for tests of the engine. A module of its own, so that child processes can import it."""

import os
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from operators.base import Batch, BatchFn, Columns, RawBytes, Reads, Row, Scope, field, per_row


def first_bytes(marker: str, stop: Callable[[], object]) -> BatchFn:
    """Adds the first byte of each file; ``stop`` is called at one that holds the marker."""

    def measure(row: Row) -> dict[str, int]:
        data = row.view(RawBytes())
        if marker.encode() in data:
            stop()
        return {"first_byte": data[0]}

    return per_row(FIRST_BYTE, measure)


FIRST_BYTE = pa.schema([field("first_byte", pa.int32(), "first byte of the file")])


@dataclass(frozen=True)
class KillsItsProcess:
    """Adds the first byte; dies of SIGKILL on a file that holds the marker."""

    marker: str = "POISON"

    name, version, gpus = "first_byte", "1", 0.0
    scope: ClassVar[Scope] = "batch"
    reads = Reads(views=(RawBytes(),))
    adds = FIRST_BYTE

    def open(self) -> BatchFn:
        return first_bytes(self.marker, lambda: os.kill(os.getpid(), signal.SIGKILL))


@dataclass(frozen=True)
class StandsStill:
    """Adds the first byte; on a file that holds the marker it never ends, and no other thread runs: a regular expression gone wild."""

    marker: str = "POISON"

    name, version, gpus = "stands_still", "1", 0.0
    scope: ClassVar[Scope] = "batch"
    reads = Reads(views=(RawBytes(),))
    adds = FIRST_BYTE

    def open(self) -> BatchFn:
        return first_bytes(self.marker, lambda: re.match(r"(a+)+$", "a" * 80 + "b"))


@dataclass(frozen=True)
class Misbehaves:
    """``how``: 'raises' on every row, 'raises on x' on captions with an x, 'short' returns too few rows, 'mistyped' wrong types."""

    how: str

    name, version, gpus = "misbehaves", "1", 0.0
    scope: ClassVar[Scope] = "batch"
    reads = Reads(columns=("caption",))
    adds = pa.schema([field("caption_length", pa.int32(), "characters")])

    def open(self) -> BatchFn:
        def run(batch: Batch) -> Columns:
            captions = batch.table["caption"].to_pylist()
            if self.how == "raises" or (self.how == "raises on x" and any("x" in (c or "") for c in captions)):
                raise RuntimeError("no weights")
            lengths = pa.array([len(c or "") for c in captions], type=pa.int64() if self.how == "mistyped" else pa.int32())
            return {"caption_length": lengths[1:] if self.how == "short" else lengths}

        return run


@dataclass(frozen=True)
class Combines:
    """Adds sharpness and caption words of a sample: an operator over other operators' columns."""

    name, version, gpus = "combines", "1", 0.0
    scope: ClassVar[Scope] = "batch"
    reads = Reads(columns=("sharpness", "caption_words"))
    adds = pa.schema([field("combined", pa.float64(), "sum")])

    def open(self) -> BatchFn:
        return lambda batch: {
            "combined": pc.add(pc.cast(batch.table["sharpness"], pa.float64()), batch.table["caption_words"]).combine_chunks()
        }
