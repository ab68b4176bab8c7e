"""The folder of an export, kept such that a kill at any moment loses no finished shard and leaves no half one.

shard-000000.tar ...      appear by rename, complete and synced to disk
index.json                written last: its presence says the export is complete
README.md                 data card
croissant.json            the same for machines (`pipelines.croissant`)
left_out.jsonl            planned samples that could not be written, with reasons (absent when there are none)
.export/journal.jsonl     the plan's digest, then one line a finished shard
.export/*.part            shards being written
"""

import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from manifests.errors import GoldsieveError, UsageError
from pipelines.shards import ShardRecord, sync_folder

SHARD = re.compile(r"shard-\d{6,}\.tar")
FILES = ("index.json", "README.md", "croissant.json", "left_out.jsonl")
STATE = ".export"


class ExportFolder:
    """One export's folder. ``remember`` may be called from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = path / STATE
        self.journal = self.state / "journal.jsonl"
        self.lock = threading.Lock()

    @property
    def complete(self) -> bool:
        return (self.path / "index.json").exists()

    def temporary(self, shard: str) -> Path:
        """Where a shard is written before it gets its name."""
        return self.state / f"{shard}.part"

    def held_plan(self) -> str | None:
        """The plan of the export in the folder; None where there is nothing yet. Raises `UsageError` when it holds anything else."""
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"The export folder {self.path} is a file: choose another folder.")
        if not self.path.is_dir() or not (any(entry.name != STATE for entry in self.path.iterdir()) or self.journal.exists()):
            return None
        plan = self.plan()
        if plan is None:
            raise UsageError(f"The export folder {self.path} is not empty and holds no export: choose another folder.")
        return plan

    def open(self, plan: str, overwrite: bool) -> None:
        """Create the folder, or take it up again. Raises `UsageError` when it holds anything but this plan."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            held = self.held_plan()
            if held not in (None, plan) and not overwrite:
                raise UsageError(
                    f"The export folder {self.path} holds another export (other samples, recipe or settings): "
                    "choose another folder, or export with overwrite to replace it."
                )
            if held is not None and overwrite:
                self._clear()
            self.state.mkdir(exist_ok=True)
            for part in self.state.glob("*.part"):
                part.unlink()
            if not self.journal.exists():
                write_atomic(self.journal, json.dumps({"plan": plan}) + "\n")
        except OSError as error:
            raise GoldsieveError(f"The export folder {self.path} cannot be used: {error.strerror or error}.") from error

    def finished_shards(self) -> dict[str, ShardRecord]:
        """Shards in the journal whose files are as it says, by name.

        Files are hashed while the export is unfinished; of a complete one only the sizes are looked at (`verify` does the rest).
        """
        complete = self.complete
        records: dict[str, ShardRecord] = {}
        for line in self.journal.read_text().split("\n")[1:]:
            try:
                record = ShardRecord.from_json(line)
            except (ValueError, KeyError, TypeError):  # the line that was being written when the process was killed
                continue
            records[record.name] = record
        return {name: record for name, record in records.items() if self._intact(record, hashed=not complete)}

    def remember(self, record: ShardRecord) -> None:
        """Note a finished shard; on disk when this returns."""
        with self.lock, open(self.journal, "a", encoding="ascii") as journal:
            # The newline in front ends a line that a kill left open.
            journal.write("\n" + record.to_json() + "\n")
            journal.flush()
            os.fsync(journal.fileno())

    def finish(self, index: Mapping[str, Any], card: str, description: str, records: Sequence[ShardRecord]) -> None:
        """Write everything beside the shards, the index last."""
        left_out = [{"shard": r.name, **asdict(item)} for r in records for item in r.left_out]
        (self.path / "left_out.jsonl").unlink(missing_ok=True)
        if left_out:
            write_atomic(self.path / "left_out.jsonl", "".join(json.dumps(item, sort_keys=True) + "\n" for item in left_out))
        write_atomic(self.journal, "\n".join([json.dumps({"plan": index["plan"]}), *(r.to_json() for r in records)]) + "\n")
        write_atomic(self.path / "README.md", card)
        write_atomic(self.path / "croissant.json", description)
        write_atomic(self.path / "index.json", json.dumps(index, indent=1, sort_keys=True) + "\n")

    def plan(self) -> str | None:
        """Digest of the plan this folder was made for; None when no export made it."""
        try:
            found = json.loads(self.journal.read_text().split("\n")[0])["plan"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return str(found)

    def _clear(self) -> None:
        """Remove what exports write, and nothing else. The journal goes last: until then the folder is known as an export."""
        (self.path / "index.json").unlink(missing_ok=True)
        for path in self.path.iterdir():
            if path.name in FILES or SHARD.fullmatch(path.name):
                path.unlink()
        shutil.rmtree(self.state)

    def _intact(self, record: ShardRecord, hashed: bool) -> bool:
        path = self.path / record.name
        if not record.samples:
            return True  # every sample of it was left out, so it has no file
        if not path.is_file() or path.stat().st_size != record.bytes:
            return False
        if not hashed:
            return True
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == record.sha256


def write_atomic(path: Path, text: str) -> None:
    """Replace ``path`` by a file with this text, whole or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    with open(temporary, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_folder(path.parent)
