"""Part `download`: a list of URLs against img2dataset, by `benchmarks.download` where this version has it."""

import importlib.util
import re
import subprocess
import sys

from benchmarks.programs import Unavailable, environment, last_words
from benchmarks.scores.rows import Bench, Part, Row, left_out

LINE = re.compile(r"(goldsieve|img2dataset) +([\d,]+) URLs/s +([\d.]+) s .* ([\d,]+) MB +([\d,]+) pictures")
DIFFERS = {"goldsieve": "also checks addresses, opt-outs and hashes", "img2dataset": "one process a core; neither resizes nor re-encodes"}


def download(bench: Bench) -> Part:
    urls = 20_000 if bench.full else 3_000
    return Part("download", "Download of URLs", "URLs/s", f"{urls:,} pictures of a loopback server", measured(bench, urls))


def measured(bench: Bench, urls: int) -> tuple[Row, ...]:
    if importlib.util.find_spec("benchmarks.download") is None:
        return left_out(
            {"Goldsieve": "not run: this version has no benchmarks/download.py", "img2dataset": "not run: nothing to compare with"}
        )
    if not bench.peers:
        return left_out({"img2dataset": "left out on request (--no-peers)"})
    command = [sys.executable, "-m", "benchmarks.download", "--urls", str(urls), "--rounds", "1", "--peers", str(bench.environments)]
    try:
        environment("img2dataset", bench.environments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=bench.limit * 2, check=False)
    except Unavailable as reason:
        return left_out({"img2dataset": str(reason)})
    except subprocess.TimeoutExpired:
        return left_out({"Goldsieve and img2dataset": f"stopped after {bench.limit * 2:.0f} s"})
    found = LINE.findall(done.stdout)
    if not found:
        return left_out({"Goldsieve and img2dataset": f"failed: {last_words(done.stderr)}"})
    versions = next((line for line in done.stdout.splitlines() if line.startswith("goldsieve ") and "cores" in line), "")
    return tuple(
        Row(
            name.capitalize() if name == "goldsieve" else name,
            next((part for part in versions.split(", ") if name in part), ""),
            float(rate.replace(",", "")),
            float(seconds),
            float(memory.replace(",", "")),
            {"pictures": pictures},
            DIFFERS[name],
        )
        for name, rate, seconds, memory, pictures in found
    )
