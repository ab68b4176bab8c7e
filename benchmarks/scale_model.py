"""What a large run costs, by a few formulas over measured unit costs. Pure functions over plain data.

Assumptions, all of them:

* A driver's step costs ``start + each * rows`` processor seconds, as on the machine that was measured. They count as seconds: that the
  driver's database uses several processors, and that it waits for disk or network, is left to ``driver_speedup``. Costs stay linear
  beyond the largest lake that was measured: memory suffices, nothing spills.
* Workers are busy ``efficiency`` of the time; a sample takes ``sample_cpu_s`` of one core, whatever the cluster's size.
* Measuring goes in waves of `REFERENCE_WAVE` rows. Before each wave the driver looks its rows up among all rows, and a pool of actors
  starts; workers wait for both.
* The driver registers parts of `BLOCK_ROWS` rows every `COMMIT_SECONDS`; a commit costs ``start + part * new parts + file * files there
  + row * rows there``, beside the workers, and at least one a wave. It is the limit only when it takes longer than they do.
* Every sample is one GET; every part one PUT. A prefix of the store answers ``gets_a_second``.
* Pairs cost ``each * rows`` at the driver and ``square * rows * rows`` shared by all cores.
* An export is written by one machine; for every `WINDOW_ROWS` of it the driver looks rows up among all rows, which costs at least as
  much as before a wave.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from pipelines.engine import BLOCK_ROWS
from pipelines.export_plan import WINDOW_ROWS
from pipelines.measure import COMMIT_SECONDS, REFERENCE_WAVE

GB = 1e9


@dataclass(frozen=True)
class Step:
    """Seconds of a step: ``start + each * rows + square * rows * rows``."""

    start: float = 0.0
    each: float = 0.0
    square: float = 0.0

    def __call__(self, rows: float) -> float:
        return self.start + self.each * rows + self.square * rows * rows


@dataclass(frozen=True)
class Commit:
    """Seconds of a commit: of itself, of a new part, of a file and of a row that the table has already."""

    start: float
    part: float
    file: float
    row: float

    def __call__(self, parts: float, files: float, rows: float) -> float:
        return self.start + self.part * parts + self.file * files + self.row * rows


@dataclass(frozen=True)
class Costs:
    """Unit costs, measured."""

    ingest: Step
    find: Step
    wave: Step
    """Looking up the rows of one wave among all rows."""
    fetch: Step
    """Fetching the rows of all waves."""
    compact: Step
    pairs: Step
    tier: Step
    commit: Commit
    sample_cpu_s: float
    lake_bytes: float
    """Of the lake, a sample."""


@dataclass(frozen=True)
class Cluster:
    nodes: int
    cores: int
    node_gbit: float = 10.0
    """Network of a node, Gbit/s."""
    efficiency: float = 0.85
    actor_start_s: float = 10.0
    driver_speedup: float = 1.0
    gets_a_second: float = 5500.0
    prefixes: int = 16


@dataclass(frozen=True)
class Work:
    samples: int
    sample_bytes: float
    tables: int
    """Signal tables that get parts, and ``media``."""
    gold_share: float
    export_mb_s: float


@dataclass(frozen=True)
class Prices:
    """In one currency."""

    core_hour: float
    gb_month: float
    gets_1000: float
    puts_1000: float


@dataclass(frozen=True)
class Planned:
    """A run. ``steps``: seconds by name, one after the other; ``within``: of measuring, side by side, so the largest counts."""

    steps: Mapping[str, float]
    within: Mapping[str, float]
    parts: float
    commits: float
    driver_gb: float
    """Memory of the driver for the largest table it holds (duplicates)."""
    lake_gb: float
    money: Mapping[str, float]

    @property
    def seconds(self) -> float:
        return sum(self.steps.values())


DRIVER_ROW_BYTES = 100
"""Of a row while duplicates are grouped: id, two hashes, keys of the order, group."""


def plan(costs: Costs, cluster: Cluster, work: Work, prices: Prices) -> Planned:
    rows, cores, speed = work.samples, cluster.nodes * cluster.cores, cluster.driver_speedup
    waves = math.ceil(rows / REFERENCE_WAVE)
    within = {
        "workers": rows * costs.sample_cpu_s / (cores * cluster.efficiency),
        "network": rows * work.sample_bytes * 8 / (cluster.nodes * cluster.node_gbit * GB),
        "object store requests": rows / (cluster.gets_a_second * cluster.prefixes),
    }
    parts = rows / BLOCK_ROWS * work.tables
    waiting = waves * (costs.wave(rows) / speed + cluster.actor_start_s) + costs.fetch.each * rows / speed
    # A table has on average half of its files and rows when a commit looks at them.
    fixed = costs.commit(0, parts / work.tables / 2, rows / 2) * work.tables / speed
    commits = max(waves, max(within.values()) / (COMMIT_SECONDS + fixed))  # a wave ends with one
    within["driver: commits"] = commits * fixed + costs.commit.part * parts / speed
    steps = {
        "list and ingest (driver)": costs.ingest(rows) / speed,
        "find what is pending (driver)": costs.find(rows) / speed,
        "measure": max(within.values()),
        "between waves: look-up (driver), actors start": waiting,
        "merge parts (driver)": costs.compact(rows) * work.tables / speed,
        "near duplicates": (costs.pairs.start + costs.pairs.each * rows) / speed
        + costs.pairs.square * rows**2 / (cores * cluster.efficiency),
        "tiers (driver)": costs.tier(rows) / speed,
        "export: write (driver)": rows * work.gold_share * work.sample_bytes / (work.export_mb_s * 1e6),
        "export: look-up (driver)": math.ceil(rows * work.gold_share / WINDOW_ROWS) * costs.wave(rows) / speed,
    }
    hours, alone = sum(steps.values()) / 3600, sum(v for k, v in steps.items() if k.endswith("(driver)")) / 3600
    lake_gb, gold_gb = rows * costs.lake_bytes / GB, rows * work.gold_share * work.sample_bytes / GB
    money = {
        "cores, all nodes up all the time": hours * cores * prices.core_hour,
        "cores, workers released while the driver works alone": ((hours - alone) * cores + alone * cluster.cores) * prices.core_hour,
        "requests": rows / 1000 * prices.gets_1000 + parts / 1000 * prices.puts_1000,
        "lake, a month": lake_gb * prices.gb_month,
        "gold, a month": gold_gb * prices.gb_month,
    }
    return Planned(steps, within, parts, commits, rows * DRIVER_ROW_BYTES / GB, lake_gb, money)


def register_limit(costs: Costs, cluster: Cluster, tables: int) -> float:
    """Rows a second above which the driver registers parts more slowly than workers write them, though tables were empty."""
    return BLOCK_ROWS * cluster.driver_speedup / (tables * costs.commit.part)


def wave_limit(costs: Costs, cluster: Cluster, rows: int) -> float:
    """Rows a second that no number of nodes exceeds: waves are looked up and actors start one after the other."""
    return REFERENCE_WAVE / ((costs.wave(rows) + costs.fetch.each * REFERENCE_WAVE) / cluster.driver_speedup + cluster.actor_start_s)


def fit(
    columns: Sequence[Callable[[tuple[float, ...]], float]], points: Sequence[tuple[float, ...]], seconds: Sequence[float]
) -> list[float]:
    """Coefficients, none negative, of the sum of columns that is nearest to the seconds in relative error."""
    weights = 1 / np.maximum(np.array(seconds), 1e-4)
    whole = np.array([[column(point) for column in columns] for point in points]) * weights[:, None]
    best, found = math.inf, np.zeros(len(columns))
    for size in range(1, min(len(columns), len(points)) + 1):
        for chosen in combinations(range(len(columns)), size):
            part = whole[:, chosen]
            values, *_ = np.linalg.lstsq(part, np.ones(len(points)), rcond=None)
            error = float(np.square(part @ values - 1).sum())
            if (values >= 0).all() and error < best - 1e-12:
                best, found = error, np.zeros(len(columns))
                found[list(chosen)] = values
    return [float(value) for value in found]
