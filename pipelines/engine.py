"""Engines: they take blocks of rows and yield what workers wrote. Two of them, one code path below."""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import pyarrow as pa

from manifests.errors import GoldsieveError
from operators.near_duplicates import Group
from pipelines.isolation import Isolated, in_child_process
from pipelines.journal import noted
from pipelines.worker import BlockResult, Started, Task, Worker

EngineName = Literal["ray", "inline"]
OnRows = Callable[[int, int], None]
"""Called with (samples, failed) as work ends; may come several times a block."""

PARTITIONED_ROWS, SLICE_ROWS = 20_000_000, 5_000_000
"""From so many rows on near duplicates are searched by Ray tasks, each over two slices of so many rows."""

BLOCK_ROWS = 2048
FIRST_BLOCK_ROWS = 256
VIDEO_BLOCK_ROWS = (4, 32)
"""Blocks grow from the first size to the full one, so that progress and commits start early."""
TAPER = 8
"""Towards the end a block has this part of what is left, so that workers end together: the last full one would keep one of two busy for
seconds alone."""


class WorkerDied(GoldsieveError):
    """A worker process died. The rows it was measuring are in the journal."""


class NodeLost(WorkerDied):
    """A node of the cluster went with its workers. Its samples are no suspects."""


class Engine(Protocol):
    """Runs a pass over its rows."""

    @property
    def name(self) -> EngineName: ...
    def run(self, task: Task, rows: pa.Table, notes: str | None, on_rows: OnRows) -> Iterator[BlockResult]:
        """Results as blocks end, in any order. Raises `WorkerDied` when a process died."""
        ...

    @property
    def isolated(self) -> Isolated: ...
    def threads(self, gpus: float) -> int:
        """Processors of one worker of a pass that asks for so many GPUs."""
        ...

    def grouping(self, rows: int, notes: str | None) -> Group | None:
        """How near duplicates of so many rows are grouped by several machines; None: better in this process. ``notes``: the lake's."""
        ...

    def close(self) -> None: ...


def blocks(rows: pa.Table, sizes: tuple[int, int] = (FIRST_BLOCK_ROWS, BLOCK_ROWS)) -> Iterator[pa.Table]:
    """Consecutive slices, growing from the first of the ``sizes`` to the second and shrinking again at the end."""
    start, size = 0, sizes[0]
    while start < rows.num_rows:
        yield rows.slice(start, size)
        start += size
        size = min(size * 2, sizes[1], max((rows.num_rows - start) // TAPER, sizes[0]))


def sizes_for(task: Task) -> tuple[int, int]:
    """Sizes of a pass's blocks: what was measured is stored block by block, and a video takes as long as many pictures."""
    return VIDEO_BLOCK_ROWS if task.run.modality == "video" else (FIRST_BLOCK_ROWS, BLOCK_ROWS)


@dataclass(frozen=True)
class InlineEngine:
    """Threads in this process, no Ray: tests, notebooks, a laptop."""

    name: EngineName = "inline"

    @property
    def isolated(self) -> Isolated:
        return in_child_process

    def threads(self, gpus: float) -> int:
        return usable_cores()

    def grouping(self, rows: int, notes: str | None) -> None:
        return None

    def run(self, task: Task, rows: pa.Table, notes: str | None, on_rows: OnRows) -> Iterator[BlockResult]:
        with contextlib.closing(Worker(task)) as worker, contextlib.ExitStack() as all_notes:
            ahead: deque[tuple[contextlib.ExitStack, Started]] = deque()
            for block in [*blocks(rows, sizes_for(task)), None]:
                if block is not None:
                    note = all_notes.enter_context(contextlib.ExitStack())
                    note.enter_context(noted(notes, block))
                    ahead.append((note, worker.start(block)))
                if len(ahead) > 1 or (ahead and block is None):
                    note, started = ahead.popleft()
                    with note:
                        result = worker.finish(started, on_rows)
                    yield result

    def close(self) -> None:
        """Nothing is kept open between passes."""


def usable_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def make_engine(name: EngineName, address: str | None = None) -> Engine:
    """The engine of that name; ``address`` joins a running Ray cluster."""
    if name == "inline":
        return InlineEngine()
    from pipelines.engine_ray import RayEngine

    return RayEngine(address)


class LazyEngine:
    """An engine that starts at its first use: a run that finds nothing to do never waits for Ray."""

    def __init__(self, name: EngineName, address: str | None = None) -> None:
        self.name: EngineName = name
        self._address = address
        self._engine: Engine | None = None

    def _start(self) -> Engine:
        if self._engine is None:
            self._engine = make_engine(self.name, self._address)
        return self._engine

    def run(self, task: Task, rows: pa.Table, notes: str | None, on_rows: OnRows) -> Iterator[BlockResult]:
        return self._start().run(task, rows, notes, on_rows)

    @property
    def isolated(self) -> Isolated:
        return self._start().isolated

    def threads(self, gpus: float) -> int:
        return self._start().threads(gpus)

    def grouping(self, rows: int, notes: str | None) -> Group | None:
        return self._start().grouping(rows, notes) if self.name == "ray" and rows >= PARTITIONED_ROWS else None

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None
