"""What the benchmarks share: recipes, digests of a lake's content and of shards, one line a check, the load of the machine."""

import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manifests import Lake, open_lake
from manifests.digest import digest, relations

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
"""The evaluation data folder `../shared/data`."""
GOLDSIEVE = str(Path(sys.executable).with_name("goldsieve"))

RECIPE: dict[str, Any] = {
    "operators": ["media_facts", "phash", "image_quality", "caption_quality", "exact_duplicates", "near_duplicates"],
    "tiers": {
        "silver": {"big enough": "least(width, height) >= 100", "sharp": "sharpness >= 20", "not blank": "not is_uniform"},
        "gold": {"from": "silver", "unique": "not is_duplicate", "described": "caption_junk is null and caption_words >= 3"},
    },
}

UNLIKE = {
    "runs": "*",
    "snapshots": "*",
    "tierings": ("data_version", "run_id", "applied_at"),
    "exports": ("export_id", "run_id", "snapshot", "directory", "started_at", "finished_at"),
    "shards": ("export_id",),
    "operator_versions": ("recorded_at",),
    "corpus_runs": ("snapshot", "run_id"),
    "refs": ("ingested_at",),
    "listings": ("listed_at",),
    "captions": ("run_id", "created_at", "latency_s", "parameters"),  # parameters: how many requests it took
}
"""What two undisturbed runs over the same data do not have in common: run ids, times, snapshots, folders."""


@dataclass
class Checks:
    """Lines of a benchmark: what was found, what was wanted, PASS or MISS."""

    missed: list[str] = field(default_factory=list)

    def __call__(self, what: str, found: object, wanted: str, passed: bool) -> None:
        print(f"{'PASS' if passed else 'MISS'}  {what:<58} {found!s:>16}   {wanted}   (load {os.getloadavg()[0]:.1f})", flush=True)
        if not passed:
            self.missed.append(what)

    def end(self) -> None:
        """Say how it went and leave with exit code 1 when something was missed."""
        print("all passed" if not self.missed else f"{len(self.missed)} missed: {'; '.join(self.missed)}")
        sys.exit(bool(self.missed))


def write_recipe(path: Path, *, lake: Path, sources: Sequence[Mapping[str, Any]], to: Path | None = None, **changes: Any) -> Path:
    """A recipe file (JSON is YAML) with `RECIPE`'s operators and rules."""
    recipe = {"lake": str(lake), "sources": list(sources), **RECIPE, **changes}
    if to is not None:
        recipe["export"] = {"tier": "gold", "to": str(to), "seed": 7, "shard_size": "20MB"} | changes.get("export", {})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(recipe, indent=1))
    return path


def content(lake: Lake) -> dict[str, str]:
    """Rows and an order-free digest of every table and of ``wide``, without what `UNLIKE` names."""
    found = {}
    for table in relations(lake.connection):
        if table == "samples":  # it is in ``wide``
            continue
        unlike = UNLIKE.get(table, ("run_id",) if table.startswith("signal_") else ("ingested_at",) if table == "wide" else ())
        if unlike != "*":
            of = digest(lake.connection, table, tuple(unlike))
            found[table] = f"{of.rows} rows {of.hash}"
    return found


def lake_content(folder: Path) -> dict[str, str]:
    """`content` of the lake in a folder."""
    with open_lake(folder) as lake:
        return content(lake)


def differing(one: Mapping[str, str], two: Mapping[str, str]) -> list[str]:
    """Names whose values differ."""
    return sorted(name for name in {*one, *two} if one.get(name) != two.get(name))


def files(folder: Path) -> dict[str, str]:
    """SHA-256 of the shards, the index and the list of left-out samples of an export."""
    wanted = [*sorted(folder.glob("shard-*.tar")), folder / "index.json", folder / "left_out.jsonl"]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in wanted if path.exists()}


def parts(folder: Path) -> list[str]:
    """Files below the lake's data path that the current snapshot does not use and no older one does."""
    with open_lake(folder) as lake:
        known = {
            os.path.basename(name)
            for (name,) in lake.connection.execute(
                "SELECT path FROM __ducklake_metadata_lake.ducklake_data_file UNION ALL "
                "SELECT path FROM __ducklake_metadata_lake.ducklake_delete_file"
            ).fetchall()
        }
    return sorted(p.name for p in (folder / "data").rglob("*") if p.is_file() and p.name not in known)


@dataclass
class Ran:
    """A command that ended."""

    code: int
    out: str
    err: str
    seconds: float
    cpu: float
    """Processor time in seconds, which other work on the machine disturbs less."""


def goldsieve(*arguments: object, timeout: float = 1200) -> Ran:
    """The command line as a process of its own."""
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([GOLDSIEVE, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ran(done.returncode, done.stdout, done.stderr, time.monotonic() - started, cpu)


def tree(pid: int) -> Iterator[int]:
    """The process and all that descend from it (Linux)."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                stat = Path(entry.path, "stat").read_text()
            except OSError:
                continue
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    todo = [pid]
    while todo:
        found = todo.pop()
        yield found
        todo += children.get(found, [])


def memory(pids: Sequence[int]) -> int:
    """Proportional memory of processes in bytes: what they share is counted once (Linux)."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)
    return total
