"""Checks an exported folder: that the shards are what the index says, and that every sample can be used."""

import json
import os
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from manifests.errors import UsageError
from pipelines.export_folder import FILES, STATE
from pipelines.export_plan import FORMAT
from pipelines.verify_shard import MAX_PROBLEMS, Findings, Problem, check_shard


@dataclass(frozen=True)
class Report:
    """What was checked. ``problems`` keeps the first 1000 in shard order, ``problem_count`` counts all of them."""

    directory: Path
    shards: int
    samples: int
    bytes: int
    decoded: int
    problem_count: int
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return self.problem_count == 0


def verify(
    directory: Path | str, decode: bool = True, progress: Callable[[int, int], None] | None = None, workers: int | None = None
) -> Report:
    """Check every shard of an export against its index.

    Sizes, SHA-256, sample counts, unique ids, adjacency and names of members, JSON and captions, media hashes, stray
    and missing files; with ``decode`` also that every picture decodes, and every clip to the frames that were written. Memory: one sample a
    worker and 16 bytes a sample. ``progress(shards_done, shards)``. Raises `UsageError` when there is no readable index.
    """
    folder = Path(directory)
    index = read_index(folder)
    entries = index["shards"]
    workers = workers or os.cpu_count() or 1
    whole = _stray(folder, index)
    found: list[Findings] = []
    with ThreadPoolExecutor(workers, thread_name_prefix="verify") as pool:
        work = pool.map(lambda entry: check_shard(folder, entry, index, decode), entries)
        for done, findings in enumerate(work, start=1):
            found.append(findings)
            if progress:
                progress(done, len(entries))
    _totals(whole, found, index)
    _repeated(found)
    problems = [problem for findings in [whole, *found] for problem in findings.problems]
    return Report(
        directory=folder,
        shards=len(entries),
        samples=sum(f.samples for f in found),
        bytes=sum(f.bytes for f in found),
        decoded=sum(f.decoded for f in found),
        problem_count=sum(f.count for f in [whole, *found]),
        problems=tuple(problems[:MAX_PROBLEMS]),
    )


def read_index(folder: Path) -> dict[str, Any]:
    """The content of ``index.json``. Raises `UsageError` when it is missing, damaged or not of this format."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        if index["format"] != FORMAT:
            raise UsageError(f"{folder}/index.json has the format {index['format']!r}; this goldsieve knows {FORMAT!r}.")
        names = [
            str(shard["name"]) for shard in index["shards"] if int(shard["samples"]) >= 0 and int(shard["bytes"]) >= 0 and shard["sha256"]
        ]
        if len(names) != len(index["shards"]) or any("/" in name or name.startswith(".") for name in names):
            raise ValueError("a shard's entry is not valid")
        int(index["samples"]), int(index["bytes"]), index["settings"]["resize"]
    except FileNotFoundError as error:
        raise UsageError(f"{folder} has no index.json: it is not an export, or an unfinished one (run the export again).") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder}/index.json cannot be read ({type(error).__name__}: {error}): export again.") from error
    result: dict[str, Any] = index
    return result


def _stray(folder: Path, index: Mapping[str, Any]) -> Findings:
    findings = Findings("")
    known = {*FILES, STATE, *(shard["name"] for shard in index["shards"])}
    for name in islice(sorted(p.name for p in folder.iterdir() if p.name not in known), MAX_PROBLEMS):
        findings.add(f"the file {name!r} is not in the index")
    return findings


def _totals(whole: Findings, found: list[Findings], index: Mapping[str, Any]) -> None:
    for name, total in (("samples", sum(f.samples for f in found)), ("bytes", sum(f.bytes for f in found))):
        if total != index[name]:
            whole.add(f"the shards have {total} {name}, the index says {index[name]}")


def _repeated(found: list[Findings]) -> None:
    """Ids that occur more than once, in one shard or in two."""
    keys = np.frombuffer(b"".join(f.keys for f in found), dtype=">u8").reshape(-1, 2)
    order = np.lexsort(keys.T)
    same = np.flatnonzero((keys[order[1:]] == keys[order[:-1]]).all(axis=1))
    ends = np.cumsum([f.samples for f in found])
    for position in np.sort(order[same + 1]):
        shard = found[int(np.searchsorted(ends, position, side="right"))]
        shard.add("the sample occurs more than once", str(uuid.UUID(bytes=keys[position].tobytes())))
