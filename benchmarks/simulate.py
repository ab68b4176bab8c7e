"""A billion samples on a cluster, from what ten thousand to a million cost here: time, storage, money, and where it saturates.

    python -m benchmarks.simulate [--samples 1000000000 --nodes 16 --cores 32]
    python -m benchmarks.manifest_scale --samples 1000000 --folder DIR --keep; python -m benchmarks.simulate --million DIR

The costs of the steps are measured on small lakes. The largest lake is first predicted from the smaller ones and compared; then the
model is fitted to all of them. ``--costs FILE`` keeps the measured points, and uses them when the file is there. Formulas and
assumptions: benchmarks/scale_model.py. What to do about it: docs/scale.md.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.dedup_scale import count_pairs
from benchmarks.pictures import make_pictures, warm
from benchmarks.scale_measured import PARTS_A_COMMIT, Committed, Observed, observe, timed
from benchmarks.scale_model import Cluster, Commit, Costs, Planned, Prices, Step, Work, fit, plan, register_limit, wave_limit
from benchmarks.scores.ours import measured, with_operators
from operators.image_quality import ImageQuality
from operators.near_duplicates import NearDuplicates
from operators.phash import PHash
from pipelines.sources import SourceSpec

SIZES = (10_000, 30_000, 100_000)
PICTURES = (200, 1400)
PAIRS = (500_000, 1_000_000)
TABLES = 3
"""``media``, ``signal_phash`` and ``signal_image_quality``: what the measured pass writes."""
STEPS = ("ingest", "find", "wave", "fetch", "compact", "pairs", "tier")


def costs_of(points: Sequence[Observed], sample_cpu_s: float, square: float) -> Costs:
    """The model fitted to measured lakes. ``square``: of the search for pairs, which small lakes do not show."""
    sizes = [(float(p.samples),) for p in points]
    terms: list[Callable[[tuple[float, ...]], float]] = [lambda _: 1.0, lambda p: p[0]]
    steps = {name: Step(*fit(terms, sizes, [getattr(point, name) for point in points])) for name in STEPS if name != "pairs"}
    steps["pairs"] = Step(*fit(terms, sizes, [max(1e-3, p.pairs - square * p.samples**2) for p in points]), square)
    commits = [one for point in points for one in point.commits]
    columns: list[Callable[[tuple[float, ...]], float]] = [lambda _: 1.0, lambda p: p[0], lambda p: p[1]]
    # All commits have the same number of parts: what a commit costs of itself is not told apart, and is counted as the parts' cost.
    part, file, row = fit(columns, [(float(one.files), float(one.rows)) for one in commits], [one.seconds for one in commits])
    size = max(points, key=lambda p: p.samples)
    return Costs(
        **steps, commit=Commit(0.0, part / PARTS_A_COMMIT, file, row), sample_cpu_s=sample_cpu_s, lake_bytes=size.lake_bytes / size.samples
    )


def sample_seconds(folder: Path) -> float:
    """Processor seconds of one more 640x480 picture: read, hash, decode, phash, image_quality, parts, commits."""
    took = []
    for count in (64, *PICTURES):  # the first compiles
        pictures, lake = folder / f"pictures-{count}", folder / f"lake-{count}"
        make_pictures(pictures, count, 85)
        warm(pictures)
        started = time.process_time()
        with measured(SourceSpec(str(pictures)), with_operators(PHash(), ImageQuality()), lake):
            took.append(time.process_time() - started)
    return (took[2] - took[1]) / (PICTURES[1] - PICTURES[0])


def pairs_square(radius: int = NearDuplicates().radius) -> float:
    """Processor seconds of the search for pairs that grow with the square of the hashes, told from two numbers of random ones."""
    some, more = PAIRS
    random, took = np.random.default_rng(0), []
    for count in (1000, some, more):  # the first compiles
        hashes = random.integers(0, 2**64, count, dtype=np.uint64)
        took.append(timed(lambda hashes=hashes: count_pairs(hashes, radius)))  # type: ignore[misc]
    return max(0.0, took[2] - took[1] * more / some) / (more**2 - some * more)


def observed(options: argparse.Namespace) -> tuple[list[Observed], float, float, str]:
    """Points, seconds of a sample, of pairs, and the load, measured now or before."""
    if options.costs and options.costs.exists():
        known = json.loads(options.costs.read_text())
        points = [Observed(**{**p, "commits": tuple(Committed(**c) for c in p["commits"])}) for p in known["points"]]
        return points, known["sample_cpu_s"], known["pairs_square"], known["load"]
    loads, points = [os.getloadavg()[0]], []
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        cpu = sample_seconds(Path(scratch))
        observe(Path(scratch) / "first", 1000)  # what is compiled or loaded once is in nobody's figures
        for size in [*options.sizes, *([1_000_000] if options.million else [])]:
            given = options.million if size == 1_000_000 else None
            points.append(observe(Path(scratch) / str(size), size, given))
            loads.append(os.getloadavg()[0])
            print(f"{size:,} samples: {', '.join(f'{n} {getattr(points[-1], n):.2f} s' for n in (*STEPS, 'commit'))}", file=sys.stderr)
    square = pairs_square()
    load = f"{min(loads):.1f} to {max(loads):.1f}"
    if options.costs:
        kept = {"points": [asdict(p) for p in points], "sample_cpu_s": cpu, "pairs_square": square, "load": load}
        options.costs.write_text(json.dumps(kept, indent=1) + "\n")
    return points, cpu, square, load


def check(points: Sequence[Observed], cpu: float, square: float) -> None:
    """The largest lake predicted from the smaller ones."""
    *small, large = sorted(points, key=lambda p: p.samples)
    costs = costs_of(small, cpu, square)
    print(f"\n{large.samples:,} samples, predicted from {' and '.join(f'{p.samples:,}' for p in small)}\n")
    print(f"{'step':<12}{'predicted':>12}{'measured':>12}{'error':>9}")
    predicted = {name: getattr(costs, name)(large.samples) for name in STEPS}
    predicted["commit"] = sum(costs.commit(one.parts, one.files, one.rows) for one in large.commits)
    for name, seconds in predicted.items():
        seen = getattr(large, name)
        print(f"{name:<12}{seconds:>10.2f} s{seen:>10.2f} s{seconds / seen - 1:>9.0%}")
    size = costs.lake_bytes * large.samples / 1e6
    print(f"{'lake':<12}{size:>9.0f} MB{large.lake_bytes / 1e6:>9.0f} MB{size * 1e6 / large.lake_bytes - 1:>9.0%}")


def unit_costs(costs: Costs) -> None:
    part, file, row = costs.commit.part * 1e3, costs.commit.file * 1e6, costs.commit.row * 1e9
    print(f"\nunit costs, processor time\n  commit: {part:.1f} ms a part, {file:.0f} us a file and {row:.1f} ns a row that are there")
    for name in STEPS:
        step = getattr(costs, name)
        squared = f" + {step.square * 1e12:.2f} ps a row squared" if step.square else ""
        print(f"  {name}: {step.start:.2f} s + {step.each * 1e6:.2f} us a row{squared}")


def show(planned: Planned, costs: Costs, cluster: Cluster, work: Work) -> None:
    print(f"\n{work.samples:,} samples on {cluster.nodes} nodes of {cluster.cores} cores\n")
    for name, seconds in planned.steps.items():
        print(f"{name:<50}{duration(seconds):>12}{seconds / planned.seconds:>7.0%}")
    print(f"{'all':<50}{duration(planned.seconds):>12}\n\nmeasuring, side by side")
    for name, seconds in planned.within.items():
        print(f"  {name:<48}{duration(seconds):>12}")
    print(
        f"\n{planned.parts:,.0f} parts in {planned.commits:,.0f} commits; the driver holds {planned.driver_gb:,.0f} GB to group duplicates"
    )
    print(f"lake {planned.lake_gb:,.0f} GB, gold {work.samples * work.gold_share * work.sample_bytes / 1e9:,.0f} GB")
    for name, money in planned.money.items():
        print(f"  {name:<55}{money:>12,.0f}")
    cores = cluster.efficiency / costs.sample_cpu_s
    print("\nmeasuring saturates at")
    for name, rate in (
        ("waves: look-up among all rows, actors start", wave_limit(costs, cluster, work.samples)),
        ("driver registering parts, tables still empty", register_limit(costs, cluster, work.tables)),
        ("network of all nodes", cluster.nodes * cluster.node_gbit * 1e9 / 8 / work.sample_bytes),
        ("object store requests", cluster.gets_a_second * cluster.prefixes),
    ):
        print(f"  {name:<48}{rate:>12,.0f} samples/s, which {rate / cores:,.0f} cores measure")


def duration(seconds: float) -> str:
    return f"{seconds / 3600:,.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1_000_000_000)
    parser.add_argument("--nodes", type=int, default=16)
    parser.add_argument("--cores", type=int, default=32, help="of a node")
    parser.add_argument("--gbit", type=float, default=10.0, help="network of a node")
    parser.add_argument("--prefixes", type=int, default=16, help="of the object store, each with its own limit of requests")
    parser.add_argument("--driver-speedup", type=float, default=1.0, help="of the driver's machine over the one that was measured")
    parser.add_argument("--sample-ms", type=float, help="of one core, instead of the measured cost of phash and image_quality")
    parser.add_argument("--kilobytes", type=float, default=120.0, help="of a sample")
    parser.add_argument("--gold", type=float, default=0.05, help="share of samples that are exported")
    parser.add_argument("--export-mb-s", type=float, default=150.0, help="of an export (python -m benchmarks.export)")
    parser.add_argument("--core-hour", type=float, default=0.04, help="price")
    parser.add_argument("--gb-month", type=float, default=0.023, help="price")
    parser.add_argument("--gets-1000", type=float, default=0.0004, help="price")
    parser.add_argument("--puts-1000", type=float, default=0.005, help="price")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="lakes that are made and measured")
    parser.add_argument("--million", type=Path, metavar="DIR", help="what benchmarks.manifest_scale left of 1,000,000 samples; only read")
    parser.add_argument("--costs", type=Path, metavar="FILE", help="keeps the measured points (JSON)")
    parser.add_argument("--folder", type=Path, help="where lakes are made (default: the temporary folder)")
    options = parser.parse_args()
    points, cpu, square, load = observed(options)
    print(f"one sample: {cpu * 1000:.2f} ms of a core (load while measuring: {load})")
    check(points, cpu, square)
    costs = costs_of(points, options.sample_ms / 1000 if options.sample_ms else cpu, square)
    unit_costs(costs)
    cluster = Cluster(options.nodes, options.cores, options.gbit, driver_speedup=options.driver_speedup, prefixes=options.prefixes)
    work = Work(options.samples, options.kilobytes * 1000, TABLES, options.gold, options.export_mb_s)
    prices = Prices(options.core_hour, options.gb_month, options.gets_1000, options.puts_1000)
    show(plan(costs, cluster, work, prices), costs, cluster, work)


if __name__ == "__main__":
    main()
