"""Run operators on what lacks a current signal."""

import json
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from manifests import Lake
from manifests.changes import inputs_version
from manifests.connection import quote
from manifests.errors import MeasureError
from manifests.parts import Part, signal_part, signal_schema
from manifests.versions import OperatorVersion
from manifests.wide import words_of
from operators.base import Batch, Updatable, settings
from operators.near_duplicates import NearDuplicates
from pipelines import journal
from pipelines.engine import Engine, NodeLost, WorkerDied
from pipelines.isolation import measure_suspects
from pipelines.operate import check_promise
from pipelines.passes import OperatorUse, Pass, plan_passes
from pipelines.pending import corpus_input, corpus_sql, find_pending, pending_wave
from pipelines.progress import Reporter
from pipelines.run_log import event
from pipelines.timing import NOTHING, Timing, peak_memory
from pipelines.worker import BlockResult, Task
from quality.sql_guard import check_expression, check_order

COMMIT_SECONDS = 5.0
"""Finished parts are registered this often: what a crash can cost."""

REFERENCE_WAVE = 1_000_000
COLUMN_WAVE = 131_072
"""Rows in memory at once: references are a few hundred bytes each, embeddings a few thousand."""

ALL_FAILED_ROWS = 20
"""When at least this many rows with good media were tried and every one failed, the operator is at fault, not the data."""


IN_VAIN = 5
"""A run ends when so many nodes were lost in a row and nothing was measured between."""


@dataclass(frozen=True)
class PassResult:
    """What one pass did."""

    name: str
    samples: int
    failed: int
    seconds: float
    timing: Timing = NOTHING

    def row(self) -> dict[str, Any]:
        """For a table."""
        return {"name": self.name, "samples": self.samples, "failed": self.failed, "seconds": self.seconds}

    def as_dict(self) -> dict[str, Any]:
        """For the record of the run."""
        return self.row() | {"timing": self.timing.as_dict()}


def measure(
    lake: Lake, uses: Sequence[OperatorUse], engine: Engine, run_id: uuid.UUID, reporter: Reporter, only: str = ""
) -> list[PassResult]:
    """Bring the signals of these operators, and of what they depend on, up to date. Hold the lake's lease.

    ``only``: SQL that limits the samples of batch operators. Raises `MeasureError` when every row of an operator failed.
    """
    results = []
    for run in prepare(lake, uses):
        started = time.monotonic()
        work = _corpus if run.is_corpus else _batch
        samples, failed, timing = work(lake, run, engine, run_id, reporter, only)
        for use in run.uses:
            if use.name == "clips":
                changed = lake.explode(use.fingerprint)
                if changed.added or changed.removed:
                    reporter.say(f"clips: {changed.clips:,} samples, {changed.added:,} of them new, {changed.removed:,} gone")
        if samples:
            results.append(PassResult(run.name, samples, failed, time.monotonic() - started, timing))
            event("pass ends", **results[-1].as_dict())
    if results:
        lake.compact()
    return results


def prepare(lake: Lake, uses: Sequence[OperatorUse]) -> list[Pass]:
    """The passes in running order; their operators become the versions that ``wide`` shows.

    Raises `SqlError` for a condition or an ordering that is unsafe or names no column.
    """
    passes = plan_passes(uses)
    uses = [use for run in passes for use in run.uses]
    lake.set_current(*(_version(use) for use in uses))
    for use in uses:
        if use.when:
            check_expression(lake.connection, use.when, "wide", where=f"'when' of operator {use.name}")
        if use.operator.reads.order_by:
            check_order(lake.connection, use.operator.reads.order_by, "wide", where=f"ordering of operator {use.name}")
    return passes


def _version(use: OperatorUse) -> OperatorVersion:
    operator = use.operator
    return OperatorVersion(
        name=use.name,
        fingerprint=use.fingerprint,
        keyed_by=use.keyed_by,
        schema=signal_schema(operator.adds),
        version=operator.version,
        settings=json.dumps(settings(operator), default=str),
        scope=operator.scope,
    )


def _batch(lake: Lake, run: Pass, engine: Engine, run_id: uuid.UUID, reporter: Reporter, only: str) -> tuple[int, int, Timing]:
    pending = lake.outlast(lambda: find_pending(lake, run, only))
    if not pending:
        held = f"SELECT 1 FROM refs WHERE modality = {quote(run.modality)} AND NOT vanished LIMIT 1"
        if run.modality and not lake.value(held) and lake.value("SELECT 1 FROM refs LIMIT 1"):
            reporter.say(f"{run.name}: nothing to measure, as only {run.modality}s are looked at and the lake has none")
        return 0, 0, NOTHING
    event("pass begins", name=run.name, samples=pending, engine=engine.name)
    task = Task(run, lake.address.data, run_id, engine.threads(run.gpus))
    committer = _Committer(lake, run)
    size = REFERENCE_WAVE if run.reads_media else COLUMN_WAVE
    with reporter.meter(run.name, pending) as on_rows:
        first = in_vain = 0
        while first < pending:
            before = committer.samples
            try:
                wave = lake.outlast(lambda: pending_wave(lake, run, first, size))  # noqa: B023 (called at once)
                _wave(lake, task, wave, engine, committer, reporter, on_rows)
            except NodeLost as lost:
                in_vain = in_vain + 1 if committer.samples == before else 0
                if in_vain == IN_VAIN:
                    raise
                event("node lost", reason=str(lost))
                reporter.say(f"{lost} What its workers had not finished is measured on the others.")
                journal.clear(lake.notes)
                pending, first = find_pending(lake, run, only), 0
                continue
            except WorkerDied:
                if not journal.suspects(lake.notes):
                    raise
                pending, first = find_pending(lake, run, only), 0
                continue
            first += size
    return committer.samples, committer.failed, committer.timing


def _wave(
    lake: Lake, task: Task, rows: pa.Table, engine: Engine, committer: "_Committer", reporter: Reporter, on_rows: Callable[[int, int], None]
) -> None:
    """Measure some rows: first those that a dead process had noted, each half of them apart, then the others."""
    suspects = journal.suspects(lake.notes)
    suspected = pc.is_in(rows["ref_hash"], pa.array(sorted(suspects), type=pa.string()))
    if suspects:
        event("worker died", suspects=len(suspects))
        reporter.say(
            f"A process died while it measured {len(suspects):,} samples. Trying these apart from the others, "
            "in case one of them killed it."
        )
    try:
        for result in measure_suspects(task, rows.filter(suspected), engine.isolated):
            on_rows(result.samples, result.failed)
            committer.add(result)
        committer.flush()
        journal.clear(lake.notes)
        for result in engine.run(task, rows.filter(pc.invert(suspected)), lake.notes, on_rows):
            committer.add(result)
    finally:
        committer.flush()


class _Committer:
    """Registers finished parts every few seconds."""

    def __init__(self, lake: Lake, run: Pass) -> None:
        self.lake, self.run = lake, run
        self.samples = self.failed = 0
        self.timing = NOTHING
        self._parts: list[Part] = []
        self._last = time.monotonic()
        self._good: dict[str, int] = defaultdict(int)

    def add(self, result: BlockResult) -> None:
        self._check(result)
        self._parts += result.parts
        self.samples += result.samples
        self.failed += result.failed
        self.timing += result.timing
        if time.monotonic() - self._last > COMMIT_SECONDS:
            self.flush()

    def flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts:
            started = time.monotonic()
            self.lake.commit(parts, f"measure {self.run.name}")
            took = round(time.monotonic() - started, 3)
            event("commit", name=self.run.name, parts=len(parts), samples=self.samples, failed=self.failed, seconds=took)
        self._last = time.monotonic()

    def _check(self, result: BlockResult) -> None:
        """Before anything of an operator is stored: a set-up fault must not become millions of nulls."""
        for outcome in result.outcomes:
            tried = outcome.rows - (outcome.errors - outcome.own_errors)
            self._good[outcome.operator] += tried - outcome.own_errors
            if self._good[outcome.operator] == 0 and outcome.own_errors >= ALL_FAILED_ROWS:
                raise MeasureError(
                    f"Operator '{outcome.operator}' failed on all of its first {outcome.own_errors} samples. "
                    f"The first reason: {outcome.first_error}. Nothing of it was stored; fix the cause and run again."
                )


def _corpus(lake: Lake, run: Pass, engine: Engine, run_id: uuid.UUID, reporter: Reporter, only: str) -> tuple[int, int, Timing]:
    (use,) = run.uses
    operator = use.operator
    done = lake.rows("SELECT input_digest, snapshot FROM corpus_runs WHERE name = ? AND fingerprint = ?", [use.name, use.fingerprint])
    if done and inputs_version(lake, words_of(*corpus_sql(use))) <= done[0]["snapshot"]:
        return 0, 0, NOTHING
    event("pass begins", name=run.name, engine="driver")
    started = time.perf_counter()
    table, digest, before = corpus_input(lake, run, done[0]["input_digest"] if done else "")
    if done and done[0]["input_digest"] == digest:
        return 0, 0, NOTHING
    with reporter.meter(run.name, table.num_rows) as on_rows:
        batch = Batch(table.select(list(operator.reads.columns)), ())
        columns = None
        if before is not None and isinstance(operator, Updatable):
            columns = operator.update(
                batch, {name: before[name].combine_chunks() for name in operator.adds.names}, before["known"].to_numpy()
            )
        if columns is None and isinstance(operator, NearDuplicates):
            columns = operator.mark(batch, engine.grouping(table.num_rows, lake.notes))
        columns = columns or operator.open()(batch)
        check_promise(operator, columns, table.num_rows)
        part = signal_part(
            lake.address.data, f"signal_{use.name}", operator.adds, table["sample_id"].combine_chunks(), use.fingerprint, run_id, columns
        )
        lake.replace_signal(use.name, [part], use.fingerprint, digest, run_id)
        on_rows(table.num_rows, part.errors)
    return table.num_rows, part.errors, Timing({use.name: time.perf_counter() - started}, (), peak_memory())
