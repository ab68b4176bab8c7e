"""Checks an exported folder: that the shards are what the index says, and that every sample can be used."""

import hashlib
import json
import os
import re
import tarfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from manifests.errors import MediaError, UsageError
from manifests.schema import media_hash
from operators.base import Pixels
from operators.media import Media
from pipelines.clip_cutter import frame_hash
from pipelines.export_folder import FILES, STATE
from pipelines.export_plan import FORMAT

MAX_PROBLEMS = 1000
LARGEST_TEXT = 1 << 28
DECODED_SIDE = 64
STILL = re.compile(r"frame\d+\.jpg")


@dataclass(frozen=True)
class Problem:
    """``shard`` and ``key`` are empty where a problem is not about one."""

    shard: str
    key: str
    problem: str


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


@dataclass
class _Findings:
    """One shard's share of the report; ``keys`` holds 16 bytes a sample."""

    shard: str
    samples: int = 0
    bytes: int = 0
    decoded: int = 0
    count: int = 0
    keys: bytearray = field(default_factory=bytearray)
    problems: list[Problem] = field(default_factory=list)

    def add(self, problem: str, key: str = "") -> None:
        self.count += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(self.shard, key, problem))


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
    found: list[_Findings] = []
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
        raise UsageError(f"{folder} has no index.json: it is no export, or an unfinished one (run the export again).") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder}/index.json cannot be read ({type(error).__name__}: {error}): export again.") from error
    result: dict[str, Any] = index
    return result


def check_shard(folder: Path, entry: Mapping[str, Any], index: Mapping[str, Any], decode: bool) -> _Findings:
    """Everything that can be said about one shard on its own."""
    findings = _Findings(entry["name"])
    path = folder / entry["name"]
    try:
        findings.bytes = path.stat().st_size
        if findings.bytes != entry["bytes"]:
            findings.add(f"the file has {findings.bytes} bytes, the index says {entry['bytes']}")
        with open(path, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                findings.add("the SHA-256 of the file is not the one in the index")
        for key, files in samples(path, findings):
            findings.samples += 1
            findings.keys += key_bytes(key)
            for problem in check_sample(key, files, index, decode, findings):
                findings.add(problem, key)
    except FileNotFoundError:
        findings.add("the file is missing")
        return findings
    except (OSError, tarfile.TarError, EOFError, ValueError) as error:
        findings.add(f"the file cannot be read as a tar archive: {error}")
    if findings.samples != entry["samples"]:
        findings.add(f"the file has {findings.samples} samples, the index says {entry['samples']}")
    return findings


def samples(path: Path, findings: _Findings) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Samples of a shard: neighbouring members with one key."""
    key = ""
    files: dict[str, bytes] = {}
    with tarfile.open(path, "r:") as tar:
        while (member := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined]  # tarfile remembers every member
            name, _, extension = member.name.partition(".")
            if not member.isreg() or not name or "/" in member.name or not extension:
                findings.add(f"the member {member.name[:200]!r} is no file of a sample")
                continue
            if extension in ("json", "txt") and member.size > LARGEST_TEXT:
                findings.add(f"the .{extension} has {member.size} bytes", name)
                continue
            stream = tar.extractfile(member)
            data = stream.read() if stream else b""
            if len(data) != member.size:
                raise tarfile.ReadError(f"{member.name} is cut off")
            if name != key and files:
                yield key, files
                files = {}
            key = name
            if extension in files:
                findings.add(f"two members are named {member.name}", name)
            files[extension] = data
    if files:
        yield key, files


def check_sample(key: str, files: Mapping[str, bytes], index: Mapping[str, Any], decode: bool, findings: _Findings) -> Iterator[str]:
    """What is wrong with one sample."""
    media = [name for name in files if name not in ("json", "txt") and not STILL.fullmatch(name)]
    if len(media) != 1:
        yield f"it has {len(media)} media files"
    try:
        record = json.loads(files["json"])
        if record["sample_id"] != key:
            yield f"its .json is about {str(record['sample_id'])[:80]!r}"
    except KeyError as error:
        yield "it has no .json" if "json" not in files else f"its .json has no {error}"
        return
    except (ValueError, TypeError, RecursionError) as error:
        yield f"its .json cannot be read: {error}"
        return
    try:
        caption = files["txt"].decode("utf-8") if "txt" in files else None
        if caption != record.get("caption"):
            yield "its .txt is not the caption in its .json"
    except UnicodeDecodeError as error:
        yield f"its .txt is not UTF-8: {error}"
    if len(media) != 1:
        return
    data = files[media[0]]
    if record.get("clip"):
        yield from check_clip(data, record["clip"], decode, findings)
        return
    if index["settings"]["resize"] is None and str(record.get("media_hash")) != str(media_hash(data)):
        yield "its media are not those that were measured (media_hash differs)"
    if decode and record.get("modality") == "image":
        try:
            Media(data).view(Pixels(min_side=DECODED_SIDE))
            findings.decoded += 1
        except MediaError as error:
            yield f"its picture cannot be decoded: {error}"


def check_clip(data: bytes, clip: Mapping[str, Any], decode: bool, findings: _Findings) -> Iterator[str]:
    """What is wrong with a clip: its bytes, or with ``decode`` its frames, are not those that were written."""
    try:
        if hashlib.sha256(data).hexdigest() != clip["sha256"]:
            yield "its video is not the one that was written (sha256 differs)"
        if decode:
            frames, hashed = frame_hash(data)
            findings.decoded += 1
            if (frames, hashed) != (clip["frames"], clip["frame_hash"]):
                yield f"its video decodes to other frames than were written ({frames} of {clip['frames']})"
    except MediaError as error:
        yield f"its video cannot be decoded: {error}"
    except (KeyError, TypeError) as error:
        yield f"its .json does not say how its video was cut: {error}"


def _stray(folder: Path, index: Mapping[str, Any]) -> _Findings:
    findings = _Findings("")
    known = {*FILES, STATE, *(shard["name"] for shard in index["shards"])}
    for name in islice(sorted(p.name for p in folder.iterdir() if p.name not in known), MAX_PROBLEMS):
        findings.add(f"the file {name!r} is not in the index")
    return findings


def _totals(whole: _Findings, found: list[_Findings], index: Mapping[str, Any]) -> None:
    for name, total in (("samples", sum(f.samples for f in found)), ("bytes", sum(f.bytes for f in found))):
        if total != index[name]:
            whole.add(f"the shards have {total} {name}, the index says {index[name]}")


def key_bytes(key: str) -> bytes:
    """16 bytes for a key: the id itself, or a hash of what is not an id."""
    try:
        return uuid.UUID(key).bytes
    except ValueError:
        return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()[:16]


def _repeated(found: list[_Findings]) -> None:
    """Ids that occur more than once, in one shard or in two."""
    keys = np.frombuffer(b"".join(f.keys for f in found), dtype=">u8").reshape(-1, 2)
    order = np.lexsort(keys.T)
    same = np.flatnonzero((keys[order[1:]] == keys[order[:-1]]).all(axis=1))
    ends = np.cumsum([f.samples for f in found])
    for position in np.sort(order[same + 1]):
        shard = found[int(np.searchsorted(ends, position, side="right"))]
        shard.add("the sample occurs more than once", str(uuid.UUID(bytes=keys[position].tobytes())))
