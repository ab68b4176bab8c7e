"""Does memory stay level over a long run? The image pass over half a million pictures, every process looked at for as long as it lives.

    python -m benchmarks.long_run [--pictures 500000] [--engine inline] [--folder DIR]

Pictures are 320x240 JPEGs: 2,000 different crops of photographs, told apart by a comment. Each second the anonymous memory
(RssAnon) of the command and all below it is noted, with the number of pictures measured so far. The slope is a line through the
second half of the pass; flat means that at this rate another 500,000 pictures would add less than 5 %
of what the process has.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import numpy as np

from benchmarks.common import GOLDSIEVE, Checks, goldsieve, tree
from benchmarks.pictures import make_many, make_pictures
from manifests import open_lake

SIZE = (320, 240)
OPERATORS = ("media_facts", "phash", "image_quality", "caption_quality")
Seen = dict[int, list[tuple[float, float]]]
"""Process -> (seconds since the epoch, MB)."""


def watch(process: subprocess.Popen[bytes]) -> tuple[Seen, dict[int, str]]:
    seen: Seen = defaultdict(list)
    names: dict[int, str] = {}
    while process.poll() is None:
        for pid in tree(process.pid):
            try:
                facts = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
                names.setdefault(pid, Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()[:40])
            except OSError:
                continue
            seen[pid].append((time.time(), int(facts.get("RssAnon", "0 kB").split()[0]) / 1000))
        time.sleep(1)
    return seen, names


def progress(lake: Path) -> list[tuple[float, float]]:
    """(seconds since the epoch, pictures measured by then) at each commit of the last run, from its log."""
    log = max((lake / "logs").glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    commits = [row for row in rows if row["event"] == "commit"]
    return [(datetime.fromisoformat(row["time"]).timestamp(), row["samples"]) for row in commits]


def run(options: argparse.Namespace, scratch: Path) -> None:
    pictures, lake = scratch / "pictures", scratch / "lake"
    make_pictures(scratch / "few", min(2000, options.pictures), 85, SIZE)
    make_many(scratch / "few", pictures, options.pictures)
    ingested = goldsieve("ingest", lake, pictures, "--quiet", timeout=7200)
    print(f"ingest: {options.pictures / ingested.seconds:,.0f}/s", flush=True)
    command = [GOLDSIEVE, "measure", str(lake), *OPERATORS, "--engine", options.engine, "--quiet"]
    started = time.time()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    seen, names = watch(process)
    took = time.time() - started
    check = Checks()
    check("exit code", process.returncode, "0", process.returncode == 0)
    with open_lake(lake) as opened:
        counts = opened.rows('SELECT count(*) AS n, count(phash) AS hashes, count("error") AS errors FROM wide')[0]
    check("samples, hashes, errors", list(counts.values()), "all, all, 0", list(counts.values()) == [options.pictures, options.pictures, 0])
    print(f"{options.pictures:,} pictures in {took:.0f} s, {options.pictures / took:,.0f}/s with start and merging of parts")
    times, done = (np.array(values) for values in zip(*progress(lake), strict=True))
    for pid, moments in seen.items():
        when, mb = (np.array(values) for values in zip(*moments, strict=True))
        n = np.interp(when, times, done, left=np.nan, right=np.nan)
        half = n > done[-1] / 2
        if half.sum() < 20:  # not there for the second half
            continue
        slope = float(np.polyfit(n[half], mb[half], 1)[0]) * 500_000
        level = float(np.median(mb[half]))
        what = f"{names[pid]}: {mb[np.isfinite(n)][0]:.0f} MB at first, {level:.0f} later; MB a 500,000"
        check(what, f"{slope:+.1f}", f"< 5 % of it, or 5 MB (most ever: {mb.max():.0f} MB)", slope < max(0.05 * level, 5))
    check.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=500_000)
    parser.add_argument("--engine", choices=("inline", "ray"), default="inline")
    parser.add_argument("--folder", type=Path, help="where pictures and the lake go (default: a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        run(options, Path(scratch))


if __name__ == "__main__":
    main()
