"""Checks one shard of an export on its own: the file, its members, and every sample in it."""

import hashlib
import json
import re
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manifests.errors import MediaError
from manifests.schema import media_hash
from operators.base import Pixels
from operators.media import Media
from pipelines.clip_cutter import frame_hash

MAX_PROBLEMS = 1000
"""So many problems are kept of a shard, and told of an export; all are counted."""
LARGEST_TEXT = 1 << 28
"""Bytes of a ``.json`` or ``.txt`` that is read."""
DECODED_SIDE = 64
"""Shorter side in pixels that pictures are decoded to: what cannot be decoded at all is not decoded small either."""
STILL = re.compile(r"frame\d+\.jpg")


@dataclass(frozen=True)
class Problem:
    """``shard`` and ``key`` are empty where a problem is not about one."""

    shard: str
    key: str
    problem: str


@dataclass
class Findings:
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


def check_shard(folder: Path, entry: Mapping[str, Any], index: Mapping[str, Any], decode: bool) -> Findings:
    """Everything that can be said about one shard on its own."""
    findings = Findings(entry["name"])
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


def samples(path: Path, findings: Findings) -> Iterator[tuple[str, dict[str, bytes]]]:
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


def check_sample(key: str, files: Mapping[str, bytes], index: Mapping[str, Any], decode: bool, findings: Findings) -> Iterator[str]:
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


def check_clip(data: bytes, clip: Mapping[str, Any], decode: bool, findings: Findings) -> Iterator[str]:
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


def key_bytes(key: str) -> bytes:
    """16 bytes for a key: the id itself, or a hash of what is not an id."""
    try:
        return uuid.UUID(key).bytes
    except ValueError:
        return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()[:16]
