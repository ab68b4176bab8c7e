"""Near-duplicate groups over partitions: neither pairs nor an index of all hashes need fit one machine.

Hashes are cut into slices; a task searches one slice against another, so it holds two slices and their pairs, and writes them
as one file named after its inputs. A task that is tried again writes the same file again: nothing is counted twice. Groups
are then settled in order of preference, reading the pairs in runs sorted by their better row.
"""

import itertools
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.hamming import Hashes, cross_blocks, pair_blocks
from operators.near_rule import Index, nodes

RETRIES = 5


@dataclass(frozen=True)
class Plan:
    """``slices``: first and last row of each; ``folder``: where pairs are written, shared by all workers."""

    folder: str
    slices: tuple[tuple[int, int], ...]
    radius: int
    check_radius: int

    def tasks(self) -> list[tuple[int, int]]:
        """Every two slices once, each with itself as well."""
        return list(itertools.combinations_with_replacement(range(len(self.slices)), 2))


def plan(folder: Path, rows: int, partitions: int, radius: int, check_radius: int) -> Plan:
    edges = np.linspace(0, rows, partitions + 1).astype(int).tolist()
    return Plan(str(folder), tuple(itertools.pairwise(edges)), radius, check_radius)


def write_slices(made: Plan, phash: Hashes, dhash: Hashes) -> None:
    """One file a slice, complete or not there."""
    Path(made.folder).mkdir(parents=True, exist_ok=True)
    for number, (first, last) in enumerate(made.slices):
        _save(Path(made.folder, f"slice-{number}.npy"), np.stack([phash[first:last], dhash[first:last]]))


def search_task(made: Plan, one: int, two: int, threads: int = 1) -> str:
    """The pairs (better row, worse row) between two slices, sorted, as a file; its name. Does nothing if it is there."""
    path = Path(made.folder, f"pairs-{one}-{two}.npy")
    if path.exists():
        return str(path)
    left = np.load(Path(made.folder, f"slice-{one}.npy"))
    first, other = made.slices[one][0], made.slices[two][0]
    if one == two:
        blocks = pair_blocks(left[0], made.radius, left[1], made.check_radius, threads=threads)
    else:
        right = np.load(Path(made.folder, f"slice-{two}.npy"))
        blocks = cross_blocks(left[0], right[0], made.radius, left[1], right[1], made.check_radius, threads=threads)
    found = [np.stack([i.astype(np.int64) + first, j.astype(np.int64) + other], axis=1) for i, j, _ in blocks]
    _save(path, np.concatenate([np.zeros((0, 2), np.int64), *found]))
    return str(path)


def settle(made: Plan, rows: int) -> Index:
    """The kept row of every row, best first, from the files of all tasks; they are read as they are needed."""
    leader = np.arange(rows)
    for one in range(len(made.slices)):
        files = [np.load(Path(made.folder, f"pairs-{one}-{two}.npy"), mmap_mode="r") for two in range(one, len(made.slices))]
        for better, worse in _merged(files):
            if leader[better] == better and leader[worse] == worse:
                leader[worse] = better
    return leader


def _merged(files: list[npt.NDArray[np.int64]], step: int = 1 << 20) -> Iterator[tuple[int, int]]:
    """Pairs of several sorted files, by their better row; a million rows of it at a time."""
    places = [0] * len(files)
    while any(place < len(pairs) for place, pairs in zip(places, files, strict=True)):
        ends = [int(pairs[min(place + step, len(pairs)) - 1, 0]) for place, pairs in zip(places, files, strict=True) if place < len(pairs)]
        until = min(ends)
        parts = []
        for k, pairs in enumerate(files):
            stop = places[k] + int(np.searchsorted(pairs[places[k] :, 0], until, side="right"))
            parts.append(np.asarray(pairs[places[k] : stop]))
            places[k] = stop
        block = np.concatenate(parts)
        yield from map(tuple, block[np.lexsort((block[:, 1], block[:, 0]))].tolist())


def kept_rows_in(folder: Path, partitions: int, ray: Any, phash: Hashes, dhash: Hashes, radius: int, check_radius: int) -> Index:
    """The kept row of every row, best first: what `operators.near_duplicates.kept_rows` gives, by tasks on a Ray that is running.

    ``folder`` must be one that all workers reach. Worker processes may die: their tasks are tried again.
    """
    node, best = nodes(phash, dhash)
    with tempfile.TemporaryDirectory(dir=_made(folder)) as files:
        made = plan(Path(files), len(best), partitions, radius, check_radius)
        write_slices(made, phash[best], dhash[best])
        remote = ray.remote(num_cpus=1, max_retries=RETRIES)(search_task)
        ray.get([remote.remote(made, one, two) for one, two in made.tasks()])
        kept: Index = best[settle(made, len(best))[node]]
    return kept


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _save(path: Path, array: np.ndarray) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "wb") as stream:
        np.save(stream, array)
    os.replace(temporary, path)
