"""kill -9 at random moments, then a rerun: the manifest and the shards of an undisturbed run, and no orphan part after `gc`.

    python -m benchmarks.kill_nine [--engine inline] [--kills 10] [--seed 1] [--samples 1500] [--folder DIR]

Kills are spread over the steps: a run on an empty lake is killed a random while after a step begins. At last one lake is
killed seven times in a row. Captions are rewritten by a server on the loopback address, which counts what it is asked: a rerun
repeats at most the requests that were on their way.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from benchmarks.captions import answers, server
from benchmarks.common import GOLDSIEVE, Checks, content, differing, files, goldsieve, parts, tree, write_recipe
from benchmarks.one_bad_file import make_pictures
from manifests import open_lake
from manifests.errors import LakeError

STEPS = ("ingest", "measure", "tier", "rewrite", "export")
CONCURRENCY = 8


def start(recipe: Path, engine: str) -> subprocess.Popen[bytes]:
    command = [GOLDSIEVE, "run", str(recipe), "--engine", engine, "--quiet", "--max-error-rate", "1"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill(process: subprocess.Popen[bytes]) -> bool:
    """Kill -9 of the driver alone; what it started (Ray, decoders) is ended afterwards. False: it had already ended."""
    started = [pid for pid in tree(process.pid) if pid != process.pid]
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL) if alive else None
    process.wait()
    for pid in started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return alive


def begun(step: str, lake: Path) -> bool:
    """Whether a step of a run has begun, by what it leaves behind."""
    match step:
        case "ingest":
            return (lake / "manifest.sqlite").exists()
        case "measure":
            return any((lake / "inflight").glob("*")) if (lake / "inflight").exists() else False
        case "tier":
            return any((lake / "data").glob("main/signal_near_duplicates/*.parquet"))
        case "rewrite":
            return (lake / "caption_answers.sqlite").exists()
    return (lake.parent / "gold").exists()


def timings(recipe: Path, engine: str, lake: Path) -> dict[str, float]:
    """Seconds that each step of an undisturbed run takes; the first is the start of the process."""
    process, marks = start(recipe, engine), [time.monotonic()]
    while process.poll() is None:
        if len(marks) <= len(STEPS) and begun(STEPS[len(marks) - 1], lake):
            marks.append(time.monotonic())
        time.sleep(0.005)
    if process.returncode or len(marks) <= len(STEPS):
        raise SystemExit(f"the undisturbed run ended with {process.returncode} after {len(marks) - 1} of {len(STEPS)} steps")
    marks.append(time.monotonic())
    return dict(zip(["start", *STEPS], [b - a for a, b in pairwise(marks)], strict=True))


def kill_in(step: str, after: float, recipe: Path, engine: str, lake: Path) -> bool:
    """Kill a run ``after`` so many seconds from the beginning of a step. False: it had already ended."""
    process = start(recipe, engine)
    while step != "start" and process.poll() is None and not begun(step, lake):
        time.sleep(0.002)
    time.sleep(after)
    return kill(process)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=("inline", "ray"), default="inline")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--samples", type=int, default=1500)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="kill-nine-"))
    make_pictures(folder / "pictures", options.samples)
    with server({}, latency=0.05) as address:
        run(folder, options, address)


def run(folder: Path, options: argparse.Namespace, address: str) -> None:
    check, chance = Checks(), random.Random(options.seed)

    def recipe(name: str) -> tuple[Path, Path]:
        lake = folder / name / "lake"
        source = [{"path": str(folder / "pictures")}]
        # Small shards, so that there are many moments at which one is finished and the next is not.
        export = {"shard_size": "1MB", "captions": "best"}
        captions = {"models": {"only": {"url": f"{address}/v1", "model": "mock"}}, "concurrency": CONCURRENCY}
        path = folder / name / "recipe.yaml"
        return write_recipe(path, lake=lake, sources=source, to=folder / name / "gold", export=export, captions=captions), lake

    calm, calm_lake = recipe("undisturbed")
    steps = timings(calm, options.engine, calm_lake)
    print("undisturbed: " + ", ".join(f"{step} {took:.1f} s" for step, took in steps.items()))
    with open_lake(calm_lake) as lake:
        wanted = content(lake)
    shards = files(folder / "undisturbed" / "gold")
    check("shards of the undisturbed run", len(shards), "> 3", len(shards) > 3)
    asked = answers(address)
    check("captions asked for in the undisturbed run", asked, f"> {options.samples // 2}", asked > options.samples // 2)

    def settle(name: str, lake_folder: Path, path: Path, told: str, before: int, kills: int = 1) -> None:
        ran = goldsieve("run", path, "--engine", options.engine, "--quiet", "--max-error-rate", "1")
        if ran.code:
            check(f"{name}: {told}; rerun ended with", ran.code, f"0: {ran.err}", False)
            return
        left_before = len(parts(lake_folder))
        goldsieve("gc", lake_folder)
        with open_lake(lake_folder) as lake:
            unlike = differing(wanted, content(lake))
        wrong = [*unlike, *differing(shards, files(path.parent / "gold")), *parts(lake_folder)]
        repeated = answers(address) - before - asked
        if not 0 <= repeated <= kills * CONCURRENCY:
            wrong.append(f"{repeated} answers asked for twice")
        check(f"{name}: {told}; differences", wrong or 0, f"0 ({left_before} orphans before gc)", not wrong)
        if not wrong:
            shutil.rmtree(path.parent)

    order = ["ingest", "measure", "measure", "tier", "rewrite", "export"]
    for n in range(options.kills):
        step = order[n % len(order)]
        after = chance.uniform(0, 0.7 * steps[step])
        path, lake_folder = recipe(f"kill{n}")
        before = answers(address)
        alive = kill_in(step, after, path, options.engine, lake_folder)
        settle(f"kill {n}", lake_folder, path, f"{'' if alive else 'TOO LATE '}{step} + {after:.2f} s{where(lake_folder)}", before)

    path, lake_folder = recipe("again")
    before = answers(address)
    steps_killed = ("start", "ingest", "measure", "measure", "tier", "rewrite", "export")
    for step in steps_killed:
        kill_in(step, chance.uniform(0, 0.7 * steps[step]), path, options.engine, lake_folder)
    settle("one lake", lake_folder, path, f"killed {len(steps_killed)} times in a row", before, len(steps_killed))
    check.end()


def where(lake: Path) -> str:
    """What the lake had when it was killed."""
    try:
        with open_lake(lake) as opened:
            tables = {row["t"] for row in opened.rows("SELECT table_name AS t FROM duckdb_tables() WHERE database_name = 'lake'")}
            count = [
                f"{opened.value(f'SELECT count(*) FROM {t}')} {t}" for t in ("refs", "media", "tiers", "captions", "exports") if t in tables
            ]
        return ", had " + " ".join(count)
    except LakeError as error:
        return f", {str(error)[:60]}"


if __name__ == "__main__":
    main()
