"""Throughput of `goldsieve ingest --kind urls` beside img2dataset: the same list, the same loopback server, one after the other.

    python -m benchmarks.download --urls 20000 --rounds 3

The server is a process of its own. Neither side resizes or decodes; img2dataset gets one process a core, as it recommends. Both hash.
Times are of the whole command, from an empty folder to finished shards. `--latency` makes the server wait as one far away would.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.common import GOLDSIEVE, Checks
from benchmarks.programs import PEERS, MemoryWatch, environment

CORES = os.cpu_count() or 1


@dataclass
class Run:
    """``seconds`` on the clock, ``cpu`` seconds of all its processes, ``peak``: their memory in bytes, ``pictures`` in its shards."""

    seconds: float
    cpu: float
    peak: int
    pictures: int
    load: float


def timed(command: Sequence[object], shards: Path) -> Run:
    load, before, started = os.getloadavg()[0], os.times(), time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    watch = MemoryWatch(process.pid, 0.25)
    watch.start()
    _, errors = process.communicate()
    seconds, after = time.monotonic() - started, os.times()
    watch.ended.set()
    watch.join()
    if process.returncode:
        raise SystemExit(f"{command[0]} failed:\n{errors[-2000:]}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(seconds, cpu, watch.peak, sum(count_pictures(path) for path in shards.glob("*.tar")), load)


def count_pictures(shard: Path) -> int:
    listed = subprocess.run(["tar", "-tf", str(shard)], capture_output=True, text=True, check=True).stdout
    return sum(name.endswith(".jpg") for name in listed.splitlines())


def ours(listing: Path, folder: Path) -> Run:
    options = [f"--download={text}" for text in ("allow_private=true", "per_host=256", "concurrency=256")]
    return timed([GOLDSIEVE, "ingest", folder / "lake", listing, "--kind", "urls", "--quiet", *options], folder / "lake/downloads/list")


def theirs(python: Path, listing: Path, folder: Path) -> Run:
    options = {
        "url_list": listing,
        "input_format": "parquet",
        "url_col": "url",
        "caption_col": "caption",
        "output_format": "webdataset",
        "output_folder": folder / "shards",
        "processes_count": CORES,
        "thread_count": 256 // CORES,
        "resize_mode": "no",
        "disable_all_reencoding": True,
        "enable_wandb": False,
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    return timed([python.with_name("img2dataset"), *arguments], folder / "shards")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--urls", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds the server waits before it answers")
    parser.add_argument("--side", type=int, default=256, help="pixels of a side of the pictures")
    parser.add_argument("--peers", type=Path, help="folder in which environments are kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        python = environment("img2dataset", options.peers or place)
        server = subprocess.Popen(
            [sys.executable, "-c", f"from benchmarks.download_server import main; main({options.side}, {options.latency})"],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout
            port = int(server.stdout.readline())
            table = {
                "url": [f"http://127.0.0.1:{port}/pictures/{n}.jpg" for n in range(options.urls)],
                "caption": [f"a picture of thing number {n}" for n in range(options.urls)],
            }
            listing = place / "list.parquet"
            pq.write_table(pa.table(table), listing)
            runs: dict[str, list[Run]] = {"goldsieve": [], "img2dataset": []}
            for number in range(options.rounds):
                order = ["goldsieve", "img2dataset"] if number % 2 == 0 else ["img2dataset", "goldsieve"]
                for name in order:
                    folder = place / "out"
                    folder.mkdir()
                    run = ours(listing, folder) if name == "goldsieve" else theirs(python, listing, folder)
                    shutil.rmtree(folder)
                    runs[name].append(run)
                    print(
                        f"{name:12} {options.urls / run.seconds:8,.0f} URLs/s  {run.seconds:6.1f} s  {run.cpu:6.1f} s of processor  "
                        f"{run.peak / 1e6:6,.0f} MB  {run.pictures:,} pictures  (load {run.load:.1f})",
                        flush=True,
                    )
        finally:
            server.kill()
            server.wait()
    peer = (PEERS / "requirements-img2dataset.txt").read_text().strip()
    print(f"goldsieve {version('goldsieve')} with aiohttp {version('aiohttp')}, {peer}, {CORES} cores")
    check = Checks()
    mine, other = runs["goldsieve"], runs["img2dataset"]
    speed = statistics.median(r.seconds for r in other) / statistics.median(r.seconds for r in mine)
    cpu = statistics.median(r.cpu for r in other) / statistics.median(r.cpu for r in mine)
    room = max(r.peak for r in mine) / max(r.peak for r in other)
    check("pictures, all rounds", sum(r.pictures for r in mine), "= URLs x rounds", all(r.pictures == options.urls for r in mine))
    check("speed, times img2dataset's (median)", f"{speed:.2f}", ">= 1.0", speed >= 1.0)
    check("processor time, times less than img2dataset's", f"{cpu:.2f}", ">= 1.0", cpu >= 1.0)
    check("memory, share of img2dataset's", f"{room:.2f}", "<= 1.0", room <= 1.0)
    check.end()


if __name__ == "__main__":
    main()
