"""The Ray Data engine: actor pools that open a pass once and measure large blocks with threads inside.

Large blocks and few processes, because a worker's start and each task cost more than the work of small ones.
"""

import functools
import importlib
import logging
import os
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from manifests.errors import GoldsieveError
from operators.near_duplicates import Group
from pipelines.duplicates_ray import kept_rows_in
from pipelines.engine import PARTITIONED_ROWS, SLICE_ROWS, EngineName, InlineEngine, OnRows, WorkerDied, blocks, sizes_for, usable_cores
from pipelines.isolation import Isolated
from pipelines.journal import noted
from pipelines.worker import BlockResult, Task, Worker

GPU_THREADS = 4
"""Processors of an actor that has a GPU: they decode for it. All others have one: two processes do more than two threads, which
wait for Python's lock."""

SMALL_ROWS = 50_000
"""A pass over so few captions or columns is done in the driver before an actor has started."""

PACKAGES = ("manifests", "operators", "quality", "pipelines")


class RayEngine:
    """Starts a local Ray, or joins the cluster at ``address`` and ships our packages to it."""

    name: EngineName = "ray"

    def __init__(self, address: str | None = None) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Ray's own deprecations are not the user's business
            import ray
            import ray.data

        self._ray: Any = ray
        address = address or os.environ.get("RAY_ADDRESS")  # set where `ray job submit` runs a command
        self._started = not ray.is_initialized()
        if self._started:
            options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "include_dashboard": False}
            if address:
                folders = [str(Path(str(importlib.import_module(name).__file__)).parent) for name in PACKAGES]
                options |= {"address": address, "runtime_env": {"py_modules": folders}}
            else:
                options |= {"address": "local", "num_cpus": usable_cores()}  # else it would join whatever Ray runs on this machine
            ray.init(**options)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        # Ray Data's messages stay in its session's log files; what a user must know we say ourselves.
        for handler in list(logging.getLogger("ray.data").handlers):
            if type(handler) is logging.StreamHandler or handler.__class__.__name__ == "SessionFileHandler":
                continue
            logging.getLogger("ray.data").removeHandler(handler)
        logging.getLogger("ray.data").propagate = False

    def threads(self, gpus: float) -> int:
        return max(1, min(GPU_THREADS, int(self._resource("CPU")))) if gpus else 1

    def _resource(self, name: str) -> float:
        resources: dict[str, float] = self._ray.cluster_resources()
        return resources.get(name, 0.0)

    def run(self, task: Task, rows: pa.Table, notes: Path | None, on_rows: OnRows) -> Iterator[BlockResult]:
        gpus = task.run.gpus
        if not (gpus or task.run.reads_media) and rows.num_rows <= SMALL_ROWS:
            yield from InlineEngine().run(task, rows, notes, on_rows)
            return
        actors = max(1, int(self._resource("CPU")) // task.threads)
        if gpus:
            actors = max(1, min(actors, int(self._resource("GPU") / gpus)))
        work = list(blocks(rows, sizes_for(task)))
        if not work:
            return
        with warnings.catch_warnings():
            # The only way to say it: Ray 2.60 has no named parameter for the two yet, and announces the end of this one.
            warnings.simplefilter("ignore")
            dataset = self._ray.data.from_arrow(work).map_batches(
                _Measure,
                batch_size=None,
                batch_format="pyarrow",
                fn_constructor_args=(task, notes),
                # A second block keeps an actor's threads busy while the parts of the first are written.
                compute=self._ray.data.ActorPoolStrategy(
                    size=min(actors, len(work)),
                    max_tasks_in_flight_per_actor=3,
                    max_concurrent_calls_per_actor=2,
                    enable_true_multi_threading=True,
                ),
                num_cpus=task.threads,
                num_gpus=gpus or None,
                # A block whose worker died is not simply tried again: its sample may kill the next worker as well.
                max_restarts=0,
                max_task_retries=0,
            )
        yield from self._results(dataset, on_rows)

    def _results(self, dataset: Any, on_rows: OnRows) -> Iterator[BlockResult]:
        try:
            for row in dataset.iter_rows():
                result = pickle.loads(row["result"])  # written by _Measure below
                if isinstance(result, BaseException):
                    raise result
                on_rows(result.samples, result.failed)
                yield result
        except GoldsieveError:
            raise
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.WorkerCrashedError, self._ray.exceptions.RayTaskError) as error:
            raise WorkerDied(f"A Ray worker died: {_reason(error)}. Ray's own logs are in /tmp/ray/session_latest/logs.") from error

    @property
    def isolated(self) -> Isolated:
        ray = self._ray

        def run(task: Task, rows: pa.Table) -> BlockResult | str:
            remote = ray.remote(max_retries=0, num_cpus=1, num_gpus=task.run.gpus)(_measure_once)
            try:
                result: BlockResult = ray.get(remote.remote(task, rows))
            except ray.exceptions.WorkerCrashedError as error:
                return _reason(error)
            except ray.exceptions.RayTaskError as error:
                raise error.cause or error from error
            return result

        return run

    def grouping(self, rows: int, folder: Path | None) -> Group | None:
        if rows < PARTITIONED_ROWS or folder is None:
            return None
        return functools.partial(kept_rows_in, folder.parent / "pairs", max(4, rows // SLICE_ROWS), self._ray)

    def close(self) -> None:
        if self._started:
            self._ray.shutdown()


class _Measure:
    """One actor of the pool."""

    def __init__(self, task: Task, notes: Path | None) -> None:
        self.notes = notes
        self.failure: GoldsieveError | None = None
        try:
            self.worker = Worker(task)
        except GoldsieveError as error:  # a missing package or weight: said by the driver in its own words
            self.failure = error

    def __call__(self, block: pa.Table) -> pa.Table:
        result: BlockResult | GoldsieveError
        try:
            if self.failure:
                raise self.failure
            with noted(self.notes, block):
                result = self.worker.measure(block)
        except GoldsieveError as error:
            result = error
        return pa.table({"result": pa.array([pickle.dumps(result)], type=pa.binary())})


def _measure_once(task: Task, rows: pa.Table) -> BlockResult:
    worker = Worker(task)
    try:
        return worker.measure(rows)
    finally:
        worker.close()


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
