"""Throughput of one pass (read, hash, decode, phash, image_quality, write) inline and on Ray, beside two other tools and bare decoding.

    python -m benchmarks.throughput [--quick] [--images 5000] [--many 50000] [--rounds 3] [--peers DIR | --no-peers]

Pictures are 640x480 JPEGs cropped from photographs (`../shared/data/photos` where it exists, else those that packages
carry). The larger set repeats the smaller one with a numbered JPEG comment in each file: the work of decoding stays the same,
the bytes and so the content addresses differ. The other tools run in environments of their own, made below ``--peers``.
Method and figures: docs/benchmarks.md.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.pictures import make_many, make_pictures, warm
from benchmarks.programs import ONE_THREAD, PEERS, environment, run_json
from manifests.runs import begin_run

TOOLS = {"cleanvision": "cleanvision_issues.py", "data-juicer": "data_juicer_dedup.py"}


# ours


class Stopwatch:
    """An engine that notes when each block of its pass was done."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.marks: list[tuple[float, int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def run(self, *arguments: Any) -> Iterator[Any]:
        for result in self.engine.run(*arguments):
            self.marks.append((time.perf_counter(), result.samples))
            yield result


def measure_folder(engine_name: Any, folder: Path, lake_folder: Path) -> dict[str, Any]:
    """Ingest and measure a folder into a new lake, as `goldsieve measure LAKE phash image_quality` does."""
    from manifests import create_lake
    from pipelines.engine import make_engine
    from pipelines.ingest import ingest
    from pipelines.measure import measure
    from pipelines.progress import Reporter
    from pipelines.run import default_uses
    from pipelines.sources import SourceSpec

    reporter, clock = Reporter(quiet=True), time.perf_counter
    with create_lake(lake_folder) as lake, lake.writing("benchmark"):
        run_id = begin_run(lake, "measure", engine_name)
        started = clock()
        ingest(lake, SourceSpec(str(folder)), reporter)
        ingested = clock()
        engine = Stopwatch(make_engine(engine_name))
        ready = clock()
        measure(lake, default_uses(["phash", "image_quality"]), engine, run_id, reporter)
        ended = clock()
        engine.close()
        counts = lake.rows(
            'SELECT count(*) AS samples, count(phash) AS hashes, count(entropy) AS measures, count("error") AS errors FROM wide'
        )[0]
    (first, head), (last, _) = engine.marks[0], engine.marks[-1]
    samples = sum(n for _, n in engine.marks)
    return {
        **counts,
        "ingest_s": ingested - started,
        "engine_start_s": ready - ingested,
        "first_block_s": first - ready,
        "pass": samples / (ended - ready),
        "steady": (samples - head) / (last - first) if last > first else float("nan"),
    }


def decode_folder(folder: Path) -> dict[str, Any]:
    """Nothing but read and decode at half scale in colour, as the pass does it, a thread a core: what no pass can beat."""
    import simplejpeg

    def decode(path: Path) -> None:
        simplejpeg.decode_jpeg(path.read_bytes(), "RGB", min_width=320, min_height=240, min_factor=2)

    paths = sorted(folder.rglob("*.jpg"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(decode, paths[:200]))
        started = time.perf_counter()
        list(pool.map(decode, paths))
    return {"count": len(paths), "seconds": time.perf_counter() - started, "version": "bare decoding at half scale"}


# programs


def ours(engine: str, folder: Path, scratch: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=scratch) as lake:
        return run_json([sys.executable, "-m", "benchmarks.throughput", "--measure", engine, str(folder), f"{lake}/lake"])


def bare(folder: Path) -> dict[str, Any]:
    return run_json([sys.executable, "-m", "benchmarks.throughput", "--decode", str(folder)])


def peer(name: str, folder: Path, environments: Path) -> dict[str, Any]:
    """Run a tool in its own environment, made at the first call."""
    return run_json([environment(name, environments), PEERS / TOOLS[name], folder], variables=ONE_THREAD)


# the report


def median(rows: list[dict[str, Any]], key: str) -> float:
    return statistics.median(row[key] for row in rows)


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def rounds_of(programs: dict[str, Callable[[], dict[str, Any]]], rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Each program once a round, so that a busy minute hits all of them."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in programs}
    for n in range(rounds):
        for name, run in programs.items():
            row = run()
            found[name].append(row)
            if "seconds" in row:
                row["pass"] = row["count"] / row["seconds"]
            shown = {k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()}
            print(f"  round {n + 1}, load {load()}, {name}: {json.dumps(shown)}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="600 and 3,000 pictures, one round")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--many", type=int, default=50_000, help="pictures for the comparison of engines and of memory; 0: leave it out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quality", type=int, default=85, help="JPEG quality of the pictures")
    parser.add_argument("--folder", type=Path, help="where pictures and lakes go (default: a temporary folder)")
    parser.add_argument("--peers", type=Path, help="where the other tools' environments are kept (default: a temporary folder)")
    parser.add_argument("--no-peers", action="store_true", help="only Goldsieve")
    parser.add_argument("--measure", nargs=3, metavar=("ENGINE", "FOLDER", "LAKE"), help=argparse.SUPPRESS)
    parser.add_argument("--decode", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.decode:
        print(json.dumps(decode_folder(options.decode)))
        return
    if options.measure:
        engine, folder, lake = options.measure
        print(json.dumps(measure_folder(engine, Path(folder), Path(lake))))
        return
    if options.quick:
        options.images, options.many, options.rounds = 600, min(options.many, 3000), 1
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        report(options, Path(scratch))


def report(options: argparse.Namespace, scratch: Path) -> None:
    few, many = scratch / "few", scratch / "many"
    print(f"{os.cpu_count()} cores, load {load()}, Python {sys.version.split()[0]}, pyarrow {pa.__version__}", flush=True)
    make_pictures(few, options.images, options.quality)
    warm(few)
    programs: dict[str, Callable[[], dict[str, Any]]] = {"inline": lambda: ours("inline", few, scratch), "decoding": lambda: bare(few)}
    if not options.no_peers:
        environments = options.peers or scratch / "environments"
        programs |= {name: lambda name=name: peer(name, few, environments) for name in TOOLS}  # type: ignore[misc]
    small = rounds_of(programs, options.rounds)
    speed = median(small["inline"], "pass")
    print(f"\n{options.images} pictures, median of {options.rounds}   pictures/s   inline is faster by   peak memory")
    for name, rows in small.items():
        label = rows[0].get("version", f"Goldsieve {name}")
        rate = median(rows, "pass")
        print(f"{label:34s}{rate:16.0f}{speed / rate:20.1f}x{median(rows, 'peak_mb'):13.0f} MB")
    if options.many:
        make_many(few, many, options.many)
        warm(many)
        print(f"\n{options.many} pictures", flush=True)
        large = rounds_of({name: lambda name=name: ours(name, many, scratch) for name in ("inline", "ray")}, options.rounds)  # type: ignore[misc]
        print(f"\n{options.many} pictures, median of {options.rounds}   whole pass   steady   engine start   to first block   peak memory")
        for name, rows in large.items():
            values = [median(rows, key) for key in ("pass", "steady", "engine_start_s", "first_block_s", "peak_mb")]
            print("Goldsieve {:24s}{:12.0f}{:10.0f}{:13.1f} s{:15.1f} s{:11.0f} MB".format(name, *values))
        steady = [median(large[name], "steady") for name in ("ray", "inline")]
        growth = median(large["inline"], "peak_mb") - median(small["inline"], "peak_mb")
        print(f"Ray's steady state is {steady[0] / steady[1]:.1%} of inline's.")
        print(f"Inline's peak memory at {options.many} pictures is {growth:+.0f} MB of that at {options.images}.")


if __name__ == "__main__":
    main()
