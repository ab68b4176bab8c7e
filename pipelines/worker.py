"""What a worker does with a block of rows: read bytes once, decode once, run the pass, write one part per operator.

The same function serves the inline and the Ray engine.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa

from manifests.errors import MissingDependencyError
from manifests.parts import Part, media_part, signal_part, uuids
from operators.base import Batch, BatchFn, Columns, Operator
from operators.pillow import load_codecs
from pipelines.open_sample import Opener
from pipelines.operate import ColumnRows, MediaRow, run_operator
from pipelines.passes import Pass
from pipelines.pending import KEY, TODO
from pipelines.reader import Reader
from pipelines.stall import NO_LIMIT, StallLimit
from pipelines.timing import NOTHING, READ, WRITE, Stopwatch, Timing, kinds, peak_memory

OPENCV_ADVICE = "apt-get install libgl1 libglib2.0-0"

BATCH_ROWS = 32
COLUMN_ROWS = 1024
BATCH_BYTES = 64 << 20
"""A batch ends when it has this many rows (of media, of columns), or when decoding it would need this much memory."""


@dataclass(frozen=True)
class Task:
    """All a worker needs to know about a pass; pickled to it once."""

    run: Pass
    data: str  # the lake's data path
    run_id: uuid.UUID
    threads: int


@dataclass(frozen=True)
class Outcome:
    """One operator's share of a block: ``own_errors`` are failures on rows whose media was fine."""

    operator: str
    rows: int
    errors: int
    own_errors: int
    first_error: str | None


@dataclass(frozen=True)
class BlockResult:
    """What a worker returns: names of parts, never data."""

    parts: tuple[Part, ...]
    samples: int
    failed: int
    outcomes: tuple[Outcome, ...]
    timing: Timing = NOTHING


Measured = tuple[list[dict[str, Any]], list[Any], int, Timing]
Started = list[tuple[int, "Future[Measured]"]]
"""A block in work: the rows of each slice, and what will come of it."""


@dataclass
class _Collected:
    """Results of one operator over a block, batch by batch."""

    keys: list[uuid.UUID | None] = field(default_factory=list)
    columns: list[Columns] = field(default_factory=list)
    own_errors: int = 0
    first_error: str | None = None


class Worker:
    """Opens the operators of a pass once; then measures blocks with threads of its own. May measure two blocks at once.

    ``limit``: of standing still, for a process that may be ended. Videos have limits of their own (see `operators.video.media`).
    """

    def __init__(self, task: Task, limit: StallLimit = NO_LIMIT) -> None:
        self.task = task
        self.limit = NO_LIMIT if task.run.modality == "video" else limit
        views = tuple(dict.fromkeys(v for use in task.run.uses for v in use.operator.reads.views))
        _one_thread_per_call()
        load_codecs()
        self.functions: list[BatchFn] = [use.operator.open() for use in task.run.uses]
        self.reader = Reader()
        self.opener = Opener(task.run, views, self.reader, task.threads)
        # One more than cores: it works while another waits for Python's lock.
        self.pool = ThreadPoolExecutor(task.threads + 1, thread_name_prefix="measure")

    def close(self) -> None:
        self.pool.shutdown(cancel_futures=True)
        self.reader.close()

    def measure(self, block: pa.Table, on_rows: Callable[[int, int], None] | None = None) -> BlockResult:
        """Measure a block and write its parts. ``on_rows(samples, failed)`` is called as batches end."""
        with self.limit.watching():
            return self.finish(self.start(block), on_rows)

    def start(self, block: pa.Table) -> Started:
        """Queue a block for the threads. Started before the last one is finished, it keeps them busy while parts are written."""
        rows = (1 if self.task.run.modality == "video" else BATCH_ROWS) if self.task.run.reads_media else COLUMN_ROWS
        run = self._measure_media if self.task.run.reads_media else self._measure_columns
        slices = [block.slice(i, rows) for i in range(0, block.num_rows, rows)]
        return [(part.num_rows, self.pool.submit(run, part)) for part in slices]

    def finish(self, started: Started, on_rows: Callable[[int, int], None] | None = None) -> BlockResult:
        """Wait for a block and write its parts."""
        media_rows: list[dict[str, Any]] = []
        collected = [_Collected() for _ in self.task.run.uses]
        samples, failed, timing = 0, 0, NOTHING
        for rows, part in started:
            facts, results, bad, took = part.result()
            timing += took
            media_rows += facts
            for into, (keys, columns, own, first) in zip(collected, results, strict=True):
                into.keys += keys
                into.columns += columns
                into.own_errors += own
                into.first_error = into.first_error or first
            samples += rows
            failed += bad
            if on_rows:
                on_rows(rows, bad)
        return self._write(media_rows, collected, samples, failed, timing)

    def _measure_columns(self, rows: pa.Table) -> Measured:
        """A slice of a pass that reads columns only: they stay in Arrow, so that heads over embeddings are matrix work."""
        watch, keys = Stopwatch(), [uuid.UUID(key) for key in rows[KEY].to_pylist()]
        todo = rows[TODO].to_numpy()
        results: list[tuple[list[uuid.UUID], list[Columns], int, str | None]] = []
        failed: set[int] = set()
        for i, (use, run) in enumerate(zip(self.task.run.uses, self.functions, strict=True)):
            mine = (todo >> i & 1).nonzero()[0]
            if not len(mine):
                results.append(([], [], 0, None))
                continue
            table = (rows if len(mine) == len(keys) else rows.take(mine)).select(list(use.operator.reads.columns))
            columns = watch.timed(use.name, partial(run_operator, use.operator, run, Batch(table, ColumnRows(table))))
            self.limit.tick()
            bad = [(j, error) for j, error in zip(mine.tolist(), columns["error"].to_pylist(), strict=True) if error is not None]
            failed.update(j for j, _ in bad)
            results.append(([keys[j] for j in mine], [columns], len(bad), bad[0][1] if bad else None))
        return [], results, len(failed), watch.timing()

    def _measure_media(self, rows: pa.Table) -> Measured:
        facts: list[dict[str, Any]] = []
        results: list[tuple[list[uuid.UUID | None], list[Columns], int, str | None]] = [([], [], 0, None) for _ in self.functions]
        failed: set[int] = set()
        watch = Stopwatch()
        for batch_start, records, samples in self._batches(rows.to_pylist(), facts, watch):
            for i, (use, run) in enumerate(zip(self.task.run.uses, self.functions, strict=True)):
                mine = [j for j, record in enumerate(records) if record[TODO] >> i & 1 and record["key"] is not None]
                if not mine:
                    continue
                batch = _batch(use.operator, [records[j] for j in mine], [samples[j] for j in mine])
                columns = watch.timed(use.name, partial(run_operator, use.operator, run, batch), (samples[j] for j in mine))
                self.limit.tick()
                errors = columns["error"].to_pylist()
                bad = [j for j, error in zip(mine, errors, strict=True) if error is not None]
                own = [j for j in bad if samples[j].media_error is None]
                first = next((e for e in errors if e is not None), None) if own else None
                failed.update(batch_start + j for j in bad)
                keys, found, count, earlier = results[i]
                results[i] = ([*keys, *(records[j]["key"] for j in mine)], [*found, columns], count + len(own), earlier or first)
            failed.update(batch_start + j for j, record in enumerate(records) if record["key"] is None)
            watch.finished([(sample.seconds, str(record["sample_id"])) for record, sample in zip(records, samples, strict=True)])
        return facts, results, len(failed), watch.timing()

    def _batches(
        self, records: list[dict[str, Any]], facts: list[dict[str, Any]], watch: Stopwatch
    ) -> Iterator[tuple[int, list[dict[str, Any]], list[MediaRow]]]:
        """Rows with their media opened, in batches bounded by memory; ``facts`` collects rows for the table ``media``."""
        start = size = 0
        batch: list[dict[str, Any]] = []
        samples: list[MediaRow] = []
        for record in records:
            before = watch.seconds[READ]
            sample, needed = watch.timed(READ, partial(self.opener.open, record, facts))
            sample.seconds = watch.seconds[READ] - before
            self.limit.tick()
            if batch and size + needed > BATCH_BYTES:
                yield start, batch, samples
                start, batch, samples, size = start + len(batch), [], [], 0
            batch.append(record)
            samples.append(sample)
            size += needed
        if batch:
            yield start, batch, samples

    def _write(
        self, media_rows: list[dict[str, Any]], collected: Sequence[_Collected], samples: int, failed: int, timing: Timing
    ) -> BlockResult:
        task, started = self.task, time.perf_counter()
        parts = []
        errors: dict[str, dict[str, int]] = {}
        if media_rows:
            parts.append(media_part(task.data, media_rows))
        outcomes = []
        for use, got in zip(task.run.uses, collected, strict=True):
            if not got.keys:
                continue
            adds = use.operator.adds
            merged = {name: pa.concat_arrays([c[name] for c in got.columns]) for name in [*adds.names, "error"]}
            part = signal_part(task.data, f"signal_{use.name}", adds, uuids(got.keys), use.fingerprint, task.run_id, merged)
            parts.append(part)
            if part.errors:
                errors[use.name] = kinds(merged["error"].to_pylist())
            outcomes.append(Outcome(use.name, part.rows, part.errors, got.own_errors, got.first_error))
        timing += Timing({WRITE: time.perf_counter() - started}, (), peak_memory(), errors)
        return BlockResult(tuple(parts), samples, failed, tuple(outcomes), timing)


def _batch(operator: Operator, records: list[dict[str, Any]], samples: list[MediaRow]) -> Batch:
    columns = {name: [record[name] for record in records] for name in operator.reads.columns}
    table = pa.table(columns) if columns else pa.table({"row": pa.array(range(len(records)), type=pa.int32())})
    return Batch(table, samples)


def _one_thread_per_call() -> None:
    """Our threads run side by side; a pool inside each OpenCV call would only get in their way."""
    try:
        import cv2
    except ImportError as error:
        raise MissingDependencyError(f"OpenCV cannot be loaded ({error}). On Debian or Ubuntu: {OPENCV_ADVICE}") from error
    cv2.setNumThreads(1)
