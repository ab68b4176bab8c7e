"""What a folder of downloads remembers about itself: the source that it belongs to, and which files of the list are done."""

import contextlib
import dataclasses
import fcntl
import json
import os
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic

from manifests.errors import GoldsieveError, LakeBusyError, UsageError
from pipelines.shards import sync_folder
from pipelines.sources.spec import SourceSpec, source_name

NAME = "download.json"
OLD = "old"
"""Shards of rows that the list no longer has are moved here; nobody deletes them."""
FORMAT = 1
NUMBERED = r"-(\d{5,})-(?:[0-9a-f]{12}|damaged)"
"""What follows a file's stem in the name of a shard: the block's number and the digest of its rows."""


@dataclass
class State:
    """``done``: by a file's stem, what it was (size, time, settings) when all its shards were finished, and how many these are."""

    folder: Path
    spec: SourceSpec
    done: dict[str, tuple[str, int]] = field(default_factory=dict)

    def save(self) -> None:
        path = self.folder / NAME
        spec = dataclasses.asdict(self.spec)
        data = {"format": FORMAT, "source": source_name(self.spec), "spec": spec, "done": self.done}
        temporary = path.with_suffix(".tmp")
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(self.folder)


def shards_of(folder: Path, stem: str) -> dict[int, list[Path]]:
    """Finished shards of a file of the list, by the number of their block: one each, or more after the list was edited."""
    pattern = re.compile(re.escape(stem) + NUMBERED + r"\.tar")
    found: dict[int, list[Path]] = {}
    for name in sorted(os.listdir(folder)):
        if match := pattern.fullmatch(name):
            found.setdefault(int(match[1]), []).append(folder / name)
    return found


def put_away(folder: Path, stem: str, current: Set[str]) -> None:
    """Move shards that the list no longer asks for out of the way; parts of such go, as no shard will come of them."""
    pattern = re.compile(r"\.?(" + re.escape(stem) + NUMBERED + r")\.(tar|part)")
    for name in os.listdir(folder):
        match = pattern.fullmatch(name)
        if match is None or match[1] in current:
            continue
        if name.endswith(".part"):
            (folder / name).unlink(missing_ok=True)
        else:
            (folder / OLD).mkdir(exist_ok=True)
            (folder / name).rename(folder / OLD / name)


def load(folder: Path) -> State | None:
    """The folder's own account; None where there is none. Raises `GoldsieveError` when it is damaged."""
    path = folder / NAME
    try:
        data: dict[str, Any] = json.loads(path.read_bytes())
        spec = pydantic.TypeAdapter(SourceSpec).validate_python(data["spec"])
        return State(folder, spec, {stem: (str(what), int(count)) for stem, (what, count) in data["done"].items()})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GoldsieveError(
            f"{path} cannot be read ({type(error).__name__}). Delete it and ingest the list again: shards stay."
        ) from error


def open_state(folder: Path, spec: SourceSpec) -> State:
    """The state of a source's folder, made when there is none. Raises `UsageError` when the folder belongs to another list."""
    known = load(folder)
    if known and known.spec.path != spec.path:
        raise UsageError(
            f"{folder} holds what was downloaded from {known.spec.path}. Give this list another name (name, --name) or a folder of its own "
            f"(download: {{to: ...}}). If it is the same list at a new place, delete {folder / NAME}: what was fetched is kept."
        )
    return State(folder, spec, known.done if known else {})


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Only one process downloads into a folder. Raises `LakeBusyError`."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LakeBusyError(f"Another process downloads into {folder}. Wait for it to end, or stop it.") from None
        yield
