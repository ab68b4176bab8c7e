"""Goldsieve beside other tools, one run: the same input and processors, each tool in its own environment; writes docs/scoreboard.md.

    python -m benchmarks.scoreboard                     # all parts, each some minutes at most
    python -m benchmarks.scoreboard --only images clip  # some of them; the page keeps the others
    python -m benchmarks.scoreboard --full              # larger inputs, hours
    python -m benchmarks.scoreboard --render            # the page from the JSON file, nothing is run

The environments are made with pip below ``--peers`` and kept there (about 8 GB, most of it Data-Juicer's). A tool that cannot be installed
or run is a row that says why. Figures are kept in docs/scoreboard.json.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from benchmarks.common import ROOT
from benchmarks.scores.bad_file import bad_file
from benchmarks.scores.clip import clip
from benchmarks.scores.download import download
from benchmarks.scores.duplicates import duplicates
from benchmarks.scores.files import export, ingest
from benchmarks.scores.images import images
from benchmarks.scores.page import from_json, render, to_json
from benchmarks.scores.rows import Bench, Part
from benchmarks.scores.shots import shots

PARTS: dict[str, Callable[[Bench], Part]] = {
    **{"images": images, "duplicates": duplicates, "clip": clip, "shots": shots, "bad_file": bad_file},
    **{"export": export, "ingest": ingest, "download": download},
}


def run_part(name: str, bench: Bench) -> Part:
    """One part, in a folder of its own that is removed afterwards; with the load and how long it took."""
    print(f"== {name}", file=sys.stderr, flush=True)
    before, started = processors_in_use(), time.monotonic()
    with tempfile.TemporaryDirectory(dir=bench.scratch) as folder:
        part = PARTS[name](replace(bench, scratch=Path(folder)))
    return replace(part, load=(before, os.getloadavg()[0]), seconds=time.monotonic() - started)


def processors_in_use(seconds: float = 2.0) -> float:
    """How many processors others keep busy just now. Not the load of the last minute: the part before this one would be in it."""

    def ticks() -> tuple[int, int]:
        fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        return sum(fields[:8]), fields[3] + fields[4]

    try:
        every, idle = ticks()
        time.sleep(seconds)
        later, later_idle = ticks()
    except OSError:  # no Linux
        return os.getloadavg()[0]
    return (os.cpu_count() or 1) * (1 - (later_idle - idle) / max(later - every, 1))


def in_order(parts: Mapping[str, Part]) -> list[Part]:
    return [parts[name] for name in PARTS if name in parts]


def machine() -> dict[str, str]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    packages = ("ray", "pyarrow", "numpy", "duckdb", "torch")
    return {
        "machine": f"{os.cpu_count()} processors, {model or platform.machine()}, {memory:.0f} GiB, {platform.system()}",
        "software": f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in packages),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*PARTS], metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--full", action="store_true", help="larger inputs, programs may take half an hour each")
    parser.add_argument("--no-peers", action="store_true", help="only Goldsieve, and programs of the system")
    parser.add_argument("--peers", type=Path, default=Path(tempfile.gettempdir()) / "goldsieve-peers", help="keeps the tools' environments")
    parser.add_argument("--scratch", type=Path, help="where pictures and lakes are written (default: the temporary folder)")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "scoreboard.md")
    parser.add_argument("--render", action="store_true", help="run nothing")
    options = parser.parse_args()
    kept = options.page.with_suffix(".json")
    run, known = from_json(kept)
    parts = {part.name: part for part in known}
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        bench = Bench(Path(scratch), options.peers.absolute(), options.full, not options.no_peers)
        for name in [] if options.render else options.only or PARTS:
            parts[name], run = run_part(name, bench), machine()
            print(f"   {name}: {parts[name].seconds:.0f} s", file=sys.stderr, flush=True)
            to_json(kept, run, in_order(parts))
    if not parts:
        parser.error(f"{kept} is not there: nothing was run yet")
    options.page.write_text(render(run, in_order(parts)))
    print(options.page)


if __name__ == "__main__":
    main()
