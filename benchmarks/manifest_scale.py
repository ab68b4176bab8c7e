"""A manifest of a million samples or more: how long a changed threshold, a question about a sample and a run with nothing to do take.

    python -m benchmarks.manifest_scale [--samples 1000000] [--folder DIR] [--keep] [--repeat 3]
    python -m benchmarks.manifest_scale --samples 10000000 --part-rows 20480 --exact --report --folder DIR --keep

The samples are rows of Parquet files with a picture each, listed and ingested as any other source. Their signals are made up:
parts with the columns of the six default operators (45 columns), registered as workers' parts are. Then the recipe is run,
which groups duplicates and exports, and run again. ``--part-rows``: workers write parts of 2,048 rows, which makes many commits.
A build that was stopped goes on with the source that is there, if it is whole.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import RECIPE, Checks, goldsieve, write_recipe
from benchmarks.made_up_lake import WORKER_ROWS, build, peak
from manifests import open_lake
from pipelines.progress import Reporter
from pipelines.recipe import load_recipe
from pipelines.run import run_recipe
from pipelines.tiering import tier
from quality.status import status
from quality.why import why


def timed(repeat: int, call: Callable[[], Any]) -> tuple[float, str]:
    """Median seconds of calls, and all of them as text, with their processor time."""
    took, cpu = [], []
    for _ in range(repeat):
        started, worked = time.perf_counter(), time.process_time()
        call()
        took.append(time.perf_counter() - started)
        cpu.append(time.process_time() - worked)
    return statistics.median(took), f"{', '.join(f'{t:.2f}' for t in took)}; processor {', '.join(f'{t:.2f}' for t in cpu)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--keep", action="store_true", help="use the lake that is in --folder already, and leave it")
    parser.add_argument("--build", action="store_true", help="make the lake and stop")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--part-rows", type=int, default=WORKER_ROWS)
    parser.add_argument(
        "--exact", action="store_true", help="group equal files only: the search for near duplicates has its own benchmarks"
    )
    parser.add_argument("--report", action="store_true", help="write a report too")
    options = parser.parse_args()
    large = options.samples > 1_000_000
    nothing_s, tier_s, why_s = (30, 20, 2) if large else (10, 5, 1)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="manifest-scale-"))
    rules = {
        "silver": {"big enough": "least(width, height) >= 256", "sharp": "sharpness >= 40", "lit": "brightness >= 30 or contrast >= 50"},
        "gold": {
            "from": "silver",
            "unique": "not is_duplicate",
            "described": "caption_junk is null and caption_words >= 3",
            "top": "2% by sharpness",
        },
    }
    recipe_path = write_recipe(
        folder / "recipe.yaml",
        lake=folder / "lake",
        sources=[{"path": str(folder / "crawl"), "kind": "parquet"}],
        to=folder / "gold",
        tiers=rules,
        operators=[name for name in RECIPE["operators"] if not options.exact or name != "near_duplicates"],
    )
    if not (folder / "lake").exists():
        build(folder, options.samples, recipe_path, options.part_rows)
    if options.build:
        return
    check = Checks()
    ran = goldsieve("run", recipe_path, "--engine", "inline", timeout=7200)
    check("first run (duplicates, tiers, export): exit code", ran.code, "0", ran.code == 0)
    print(f"      {ran.seconds:.1f} s\n" + "\n".join(f"      {line}" for line in (ran.err + ran.out).splitlines()))

    for _ in range(options.repeat):
        ran = goldsieve("run", recipe_path, "--engine", "ray", "--json")
        found = json.loads(ran.out)["samples"] if not ran.code else ran.err
        check(
            f"run with nothing to do, command, {found} samples: seconds",
            f"{ran.seconds:.2f}",
            f"< {nothing_s}   (processor {ran.cpu:.2f})",
            not ran.code and ran.seconds < nothing_s,
        )
    recipe = load_recipe(recipe_path)
    seconds, all_of = timed(options.repeat, lambda: run_recipe(recipe, engine="inline", reporter=Reporter(quiet=True)))
    check("run with nothing to do, function: seconds", f"{seconds:.2f}", f"< {nothing_s}   ({all_of})", seconds < nothing_s)

    for n in range(options.repeat):
        ran = goldsieve("tier", recipe_path, "--set", f"silver.sharp=sharpness >= {41 + n}")
        check(
            "changed threshold, command: seconds",
            f"{ran.seconds:.2f}",
            f"< {tier_s}   (processor {ran.cpu:.2f})",
            not ran.code and ran.seconds < tier_s,
        )
    with open_lake(recipe.lake, read_only=False) as lake, lake.writing("benchmark"):
        thresholds = iter(range(50, 1000))

        def change() -> None:
            assert tier(lake, load_recipe(recipe_path, [f"silver.sharp=sharpness >= {next(thresholds)}"]), uuid.uuid4())

        seconds, all_of = timed(options.repeat, change)
        check("changed threshold, function: seconds", f"{seconds:.2f}", f"< {tier_s}   ({all_of})", seconds < tier_s)
        tier(lake, recipe, uuid.uuid4())
    with open_lake(recipe.lake) as lake:
        (one,) = lake.rows("SELECT CAST(sample_id AS VARCHAR) AS id, key FROM wide WHERE is_duplicate ORDER BY key LIMIT 1")
        seconds, all_of = timed(options.repeat, lambda: why(lake, one["id"]))
        check("why of a duplicate by id, function: seconds", f"{seconds:.2f}", f"< {why_s}   ({all_of})", seconds < why_s)
        seconds, all_of = timed(options.repeat, lambda: why(lake, one["key"]))
        check("why by key, function: seconds", f"{seconds:.2f}", f"< {why_s}   ({all_of})", seconds < why_s)
        seconds, all_of = timed(options.repeat, lambda: status(lake))
        check("status, function: seconds (no target)", f"{seconds:.2f}", f"({all_of})", True)
    for name in (one["id"], one["key"]):
        for _ in range(options.repeat):
            ran = goldsieve("why", folder / "lake", name)
            told = "id" if name == one["id"] else "key"
            check(
                f"why by {told}, command: seconds",
                f"{ran.seconds:.2f}",
                f"< {why_s}   (processor {ran.cpu:.2f})",
                not ran.code and ran.seconds < why_s,
            )
    if options.report:
        ran = goldsieve("report", folder / "lake", "-o", folder / "report.html", timeout=7200)
        check("report, command: seconds", f"{ran.seconds:.1f}", f"< 300   (processor {ran.cpu:.1f})", not ran.code and ran.seconds < 300)
    print(f"      peak memory {peak()}")
    if not options.keep:
        shutil.rmtree(folder)
    check.end()


if __name__ == "__main__":
    main()
