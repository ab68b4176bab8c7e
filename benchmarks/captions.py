"""Rewriting against a flaky server on the loopback address: throughput, nothing lost, reruns, kill -9, memory.

    python -m benchmarks.captions [--samples 10000] [--concurrency 64] [--engine inline]

The server has 200 ms latency, 10 % 429 with Retry-After, 5 % 500, 2 % malformed JSON, 1 % truncated, 1 % refusals, 1 % hang. The ideal
is what the same number of slots gives when each is busy all the time: mean seconds of a request times requests a sample needs.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.common import GOLDSIEVE, Checks
from manifests import open_lake

LATENCY, TIMEOUT, RETRY_AFTER = 0.2, 10.0, 1.0
FAULTS = {"rate_limit": 0.10, "server_error": 0.05, "malformed": 0.02, "truncated": 0.01, "refusal": 0.01, "hang": 0.01}
AGAIN = ("rate_limit", "server_error", "malformed", "hang")
WHO = ("man", "woman", "boy", "girl", "dog", "cat", "farmer", "cyclist", "painter", "nurse")
WHAT = ("walks", "sits", "waits", "sleeps", "runs", "stands", "smiles", "eats", "reads", "sings")
WHERE = ("park", "street", "kitchen", "garden", "harbour", "forest", "station", "market", "school", "field")
NEAR = ("bench", "tree", "fence", "bus", "river", "table", "tower", "wall", "bridge", "boat")


@contextlib.contextmanager
def server(faults: dict[str, float], latency: float = LATENCY) -> Iterator[str]:
    """A flaky server in a process of its own; gives its address."""
    command = [sys.executable, "-m", "pipelines.captions.mock_server", "--latency", str(latency), "--retry-after", str(RETRY_AFTER)]
    for name, share in faults.items():
        command += ["--fault", f"{name}={share}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()


def stats(address: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{address}/stats", timeout=30) as reply:
        found: dict[str, int] = json.load(reply)
    return found


def answers(address: str) -> int:
    """Requests that the server answered with a caption, a cut one or a refusal."""
    found = stats(address)
    return sum(found.get(name, 0) for name in ("answered", "truncated", "refusal"))


def prepare(folder: Path, samples: int, address: str, concurrency: int) -> Path:
    """A lake of so many samples with different captions (and one picture), and the recipe."""
    folder.mkdir(parents=True)
    Image.new("RGB", (64, 48), (20, 120, 90)).save(folder / "one.jpg")
    with open(folder / "samples.jsonl", "w") as out:
        for n in range(samples):
            words = [part[n // 10**i % 10] for i, part in enumerate((WHO, WHAT, WHERE, NEAR))]
            caption = f"a {words[0]} {words[1]} in the {words[2]} near a {words[3]}" + (f" number {n}" if n >= 10_000 else "")
            out.write(json.dumps({"key": f"{n:07d}", "image": "one.jpg", "caption": caption}) + "\n")
    recipe = {
        "lake": "lake",
        "sources": [{"path": "samples.jsonl", "kind": "jsonl"}],
        "captions": {
            "models": {"only": {"url": f"{address}/v1", "model": "mock", "timeout_s": TIMEOUT, "input_price": 0.15, "output_price": 0.6}},
            "concurrency": concurrency,
            "retries": 8,
        },
    }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe))
    subprocess.run(
        [GOLDSIEVE, "ingest", str(folder / "lake"), str(folder / "samples.jsonl"), "--quiet"], check=True, stdout=subprocess.DEVNULL
    )
    return path


def rewrite(recipe: Path, engine: str, *more: str) -> tuple[dict[str, Any], list[float]]:
    """Run the command to its end; its counts, and the memory (MB) of its process every half second."""
    process = subprocess.Popen(
        [GOLDSIEVE, "rewrite", str(recipe), "--engine", engine, "--json", "--quiet", "--max-error-rate", "1", *more],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    memory: list[float] = []

    def watch() -> None:
        while process.poll() is None:
            with contextlib.suppress(OSError, IndexError):
                memory.append(int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6)
            time.sleep(0.5)

    thread = threading.Thread(target=watch)
    thread.start()
    out, _ = process.communicate(timeout=1800)
    thread.join()
    if process.returncode:
        raise SystemExit(f"goldsieve rewrite ended with {process.returncode}")
    return json.loads(out), memory


def ideal_seconds(samples: int, concurrency: int) -> float:
    again = sum(FAULTS[name] for name in AGAIN)
    mean = LATENCY * (1 - FAULTS["hang"]) + TIMEOUT * FAULTS["hang"]
    return samples * mean / (1 - again) / concurrency


def lost(recipe: Path) -> tuple[int, int, int]:
    """Samples without any row, rows that are not accepted and say no reason, samples accepted."""
    with open_lake(recipe.parent / "lake") as lake:
        nowhere = lake.value("SELECT count(*) FROM refs WHERE sample_id NOT IN (SELECT sample_id FROM captions)")
        silent = lake.value("SELECT count(*) FROM captions WHERE NOT accepted AND coalesce(\"error\", '') = ''")
        accepted = lake.value("SELECT count(DISTINCT sample_id) FROM captions WHERE accepted")
        for row in lake.rows('SELECT outcome, "error", count(*) AS n FROM captions GROUP BY ALL ORDER BY n DESC LIMIT 8'):
            print(f"      {row['n']:>7,}  {row['outcome']:<9} {row['error'] or ''}")
    return int(nowhere), int(silent), int(accepted)


def undisturbed(check: Checks, folder: Path, samples: int, concurrency: int, engine: str) -> None:
    with server(FAULTS) as address:
        recipe = prepare(folder, samples, address, concurrency)
        before = os.times()
        found, memory = rewrite(recipe, engine)
        cpu = os.times().children_user + os.times().children_system - before.children_user - before.children_system
        ideal = ideal_seconds(samples, concurrency)
        share = ideal / found["seconds"]
        print(f"      processor time of the command {cpu:.1f} s, {1000 * cpu / samples:.1f} ms a sample (with its start)")
        print(
            f"      {found['seconds']:.1f} s for {samples:,} samples ({samples / found['seconds']:.0f}/s); ideal for this mix {ideal:.1f} s"
        )
        check("throughput, share of the ideal", f"{share:.1%}", ">= 85 %", share >= 0.85)
        nowhere, silent, accepted = lost(recipe)
        check("samples without a row", nowhere, "0", nowhere == 0)
        check("failures without a reason", silent, "0", silent == 0)
        early, late = memory[len(memory) // 4], max(memory[len(memory) // 2 :])
        check("memory, MB at a quarter -> most in the second half", f"{early:.0f} -> {late:.0f}", "< 15 % more", late < 1.15 * early)
        before = stats(address)["requests"]
        again, _ = rewrite(recipe, engine)
        sent = stats(address)["requests"] - before
        check(
            "requests of a rerun (samples without an answer)",
            f"{sent} ({found['failed']})",
            "0 if none",
            (sent > 0) == (found["failed"] > 0),
        )
        before = answers(address)
        third, _ = rewrite(recipe, engine, "--retry-rejected")
        asked = answers(address) - before
        wanted = samples - accepted - again["accepted"]
        check("answers of --retry-rejected (samples not accepted)", f"{asked} ({wanted})", "equal", asked == wanted == third["samples"])


def killed(check: Checks, folder: Path, samples: int, concurrency: int, engine: str) -> None:
    with server(FAULTS) as address:
        recipe = prepare(folder, samples, address, concurrency)
        process = subprocess.Popen([GOLDSIEVE, "rewrite", str(recipe), "--engine", engine, "--quiet"], stdout=subprocess.DEVNULL)
        while stats(address).get("requests", 0) < samples // 2:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(2 * LATENCY)
        first = answers(address)
        found, _ = rewrite(recipe, engine)
        total = answers(address)
        repeated = total - (samples - found["failed"])
        print(
            f"      killed after {first:,} answers; the rerun took {found['from_cache']:,} from the cache and asked for {total - first:,}"
        )
        check("answers asked for twice after kill -9", repeated, f"<= {concurrency}", 0 <= repeated <= concurrency)
        nowhere, silent, _ = lost(recipe)
        check("samples without a row, failures without a reason", f"{nowhere}, {silent}", "0, 0", nowhere == silent == 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--engine", choices=("inline", "ray"), default="inline")
    parser.add_argument("--only", choices=("undisturbed", "killed"))
    given = parser.parse_args()
    check = Checks()
    with tempfile.TemporaryDirectory() as folder:
        for name, run in (("undisturbed", undisturbed), ("killed", killed)):
            if given.only in (None, name):
                run(check, Path(folder) / name, given.samples, given.concurrency, given.engine)
    check.end()


if __name__ == "__main__":
    main()
