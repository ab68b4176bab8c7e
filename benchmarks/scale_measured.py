"""What one lake of made-up samples costs, step by step: the points that `benchmarks.scale_model` is fitted to and checked against."""

import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.common import write_recipe
from benchmarks.made_up_lake import build, values
from manifests import Lake, create_lake, open_lake
from manifests.parts import signal_part
from manifests.runs import begin_run
from operators.near_duplicates import NearDuplicates
from operators.plugins import make
from pipelines.engine import InlineEngine
from pipelines.ingest import ingest
from pipelines.measure import measure, prepare
from pipelines.passes import OperatorUse
from pipelines.pending import find_pending, pending_wave
from pipelines.progress import Reporter
from pipelines.recipe import load_recipe
from pipelines.sources import SourceSpec
from pipelines.tiering import tier

QUIET = Reporter(quiet=True)
PROBE = "moire"
"""An operator that the lake has not run: everything is pending for it."""
PARTS, PARTS_A_COMMIT = 400, 20
"""So many parts whatever the size: what a file costs is told from what a row costs."""
FEW, REPEAT = 1000, 3
RULES = {
    "silver": {"big enough": "least(width, height) >= 256", "sharp": "sharpness >= 40", "lit": "brightness >= 30 or contrast >= 50"},
    "gold": {"from": "silver", "unique": "not is_duplicate", "described": "caption_junk is null and caption_words >= 3"},
}


@dataclass(frozen=True)
class Committed:
    """One commit: parts, what the table had before, processor seconds."""

    parts: int
    files: int
    rows: int
    seconds: float


@dataclass(frozen=True)
class Observed:
    """Processor seconds of the steps on a lake of so many samples."""

    samples: int
    ingest: float
    find: float
    wave: float
    """Looking up a few rows among all."""
    fetch: float
    """Fetching all of them, beyond that."""
    compact: float
    pairs: float
    tier: float
    commits: tuple[Committed, ...]
    lake_bytes: int

    @property
    def commit(self) -> float:
        return sum(one.seconds for one in self.commits)


def observe(folder: Path, samples: int, given: Path | None = None) -> Observed:
    """Measure a lake in ``folder``: a new one, or a copy of the one that ``benchmarks.manifest_scale --folder GIVEN --keep`` left."""
    folder.mkdir()
    sources = [{"path": str((given or folder) / "crawl"), "kind": "parquet"}]
    recipe_path = write_recipe(folder / "recipe.yaml", lake=folder / "lake", sources=sources, tiers=RULES)
    if given:
        shutil.copytree(given / "lake", folder / "lake", ignore=shutil.ignore_patterns("*-shm", "*.lock"))
    else:
        build(folder, samples, recipe_path)
    with create_lake(folder / "again") as lake, lake.writing("benchmark"):
        listed = timed(lambda: ingest(lake, SourceSpec(**sources[0]), QUIET))
    with open_lake(folder / "lake", read_only=False) as lake, lake.writing("benchmark"):
        recipe = load_recipe(recipe_path)
        run_id = begin_run(lake, "measure", "inline")
        engine = InlineEngine()
        measure(lake, [use for use in recipe.operators if use.name == "exact_duplicates"], engine, run_id, QUIET)
        # In another order than the lake may have grouped by already; it costs the same.
        pairs = timed(lambda: measure(lake, [OperatorUse(NearDuplicates(keep="sample_id"))], engine, run_id, QUIET))
        prepare(lake, recipe.operators)
        tiers = timed(lambda: tier(lake, recipe, run_id))
        use = OperatorUse(make(PROBE))
        (probe,) = [run for run in prepare(lake, [use]) if run.uses[0].name == PROBE]
        find = min(timed(lambda: find_pending(lake, probe)) for _ in range(REPEAT))
        wave = min(timed(lambda: pending_wave(lake, probe, 0, FEW)) for _ in range(REPEAT))
        fetch = max(0.0, min(timed(lambda: pending_wave(lake, probe, 0, samples)) for _ in range(REPEAT)) - wave)
        commits = committed(lake, use, samples, run_id)
        compact = timed(lake.compact)
        size = int(lake.value("SELECT sum(file_size_bytes) FROM ducklake_table_info('lake') WHERE table_name <> ?", [f"signal_{PROBE}"]))
    return Observed(samples, listed, find, wave, fetch, compact, pairs, tiers, commits, size)


def committed(lake: Lake, use: OperatorUse, samples: int, run_id: uuid.UUID) -> tuple[Committed, ...]:
    """Parts of the probe for every sample, registered as a run does."""
    random, found = np.random.default_rng(1), []
    rows = max(1, samples // PARTS)
    for first in range(0, PARTS, PARTS_A_COMMIT):
        parts = []
        for _ in range(PARTS_A_COMMIT):
            keys = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([random.bytes(16) for _ in range(rows)], pa.binary(16)))
            columns: dict[str, Any] = {field.name: values(field, rows, random) for field in use.operator.adds}
            parts.append(signal_part(lake.address.data, f"signal_{use.name}", use.operator.adds, keys, use.fingerprint, run_id, columns))
        seconds = timed(lambda parts=parts: lake.commit(parts, "benchmark"))  # type: ignore[misc]
        found.append(Committed(PARTS_A_COMMIT, first, first * rows, seconds))
    return tuple(found)


def timed(call: Callable[[], object]) -> float:
    """Processor seconds of this process, all threads: other work on the machine disturbs them less than the clock."""
    started = time.process_time()
    call()
    return time.process_time() - started
