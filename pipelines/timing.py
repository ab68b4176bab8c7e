"""Where a pass's time went: reading, decoding, each operator, writing; and which samples took longest to read and decode.

Seconds are of a clock on the wall, added over all threads: waiting for a disk, for a GPU or for Python's lock is in them. Decoding happens
when the first operator asks for pixels; it is counted apart from that operator. Operators see batches, so the time of one sample is
known for reading and decoding alone. Memory is the largest that a worker process ever held.
"""

import heapq
import re
import resource
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

READ, DECODE, WRITE = "(read)", "(decode)", "(write)"
SLOWEST = 10
KINDS = 20
KIND_LENGTH = 120

R = TypeVar("R")


class Timed(Protocol):
    """A row that adds up the seconds its views took."""

    seconds: float


@dataclass(frozen=True)
class Timing:
    """Seconds by operator and step, the slowest samples as (seconds, sample id), bytes of memory, errors by operator and kind."""

    seconds: dict[str, float] = field(default_factory=dict)
    slowest: tuple[tuple[float, str], ...] = ()
    memory: int = 0
    errors: dict[str, dict[str, int]] = field(default_factory=dict)

    def __add__(self, other: "Timing") -> "Timing":
        seconds = {name: self.seconds.get(name, 0.0) + other.seconds.get(name, 0.0) for name in {**self.seconds, **other.seconds}}
        errors = {
            name: dict((Counter(self.errors.get(name)) + Counter(other.errors.get(name))).most_common(KINDS))
            for name in {**self.errors, **other.errors}
        }
        slowest = tuple(heapq.nlargest(SLOWEST, (*self.slowest, *other.slowest)))
        return Timing(seconds, slowest, max(self.memory, other.memory), errors)

    def as_dict(self) -> dict[str, Any]:
        """As JSON, the longest first."""
        return {
            "seconds": {name: round(took, 3) for name, took in sorted(self.seconds.items(), key=lambda item: -item[1])},
            "slowest": [{"sample_id": sample, "seconds": round(took, 3)} for took, sample in self.slowest],
            "memory": self.memory,
            "errors": self.errors,
        }


NOTHING = Timing()


class Stopwatch:
    """Of one slice of rows, in one thread."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.slowest: list[tuple[float, str]] = []

    def timed(self, name: str, work: Callable[[], R], rows: Iterable[Timed] = ()) -> R:
        """The result of ``work``. What the rows' views took meanwhile is decoding."""
        listed = list(rows)
        before, started = sum(row.seconds for row in listed), time.perf_counter()
        result = work()
        took, decoded = time.perf_counter() - started, sum(row.seconds for row in listed) - before
        self.seconds[name] += max(0.0, took - decoded)
        if decoded:
            self.seconds[DECODE] += decoded
        return result

    def finished(self, samples: Sequence[tuple[float, str]]) -> None:
        """Rows whose operators are done, as (seconds, sample id)."""
        self.slowest = heapq.nlargest(SLOWEST, [*self.slowest, *samples])

    def timing(self) -> Timing:
        return Timing(dict(self.seconds), tuple(self.slowest))


def peak_memory() -> int:
    """Bytes this process held at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def kinds(errors: Iterable[str | None]) -> dict[str, int]:
    """How often each kind of error came: names in quotes and numbers differ from file to file, the rest is the kind."""
    found = Counter(re.sub(r"\d+", "N", re.sub(r"'[^']*'", "'…'", error))[:KIND_LENGTH] for error in errors if error is not None)
    return dict(found.most_common(KINDS))
