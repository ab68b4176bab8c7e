"""The files of one block: a part file that grows as samples arrive, and the finished shard in the order of the list.

Both are tars. A sample is ``NAME.jpg`` (absent when there is none), ``NAME.txt`` (the caption, if there is one) and last
``NAME.json``, so a sample whose JSON is complete is complete. The part is written in the order of arrival, a sample a write, and is
cut back to its last complete sample when it is opened again. The shard appears whole, by renaming.
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from manifests.errors import GoldsieveError, LakeBusyError
from pipelines.download.fetch import Fetched
from pipelines.download.urllist import UrlRow
from pipelines.shards import BLOCK, sync_folder, tar_header, tar_member
from pipelines.sources.rows import to_json
from pipelines.sources.tar import DamageError, PlainStream, padded, walk
from pipelines.sources.webdataset import DOWNLOAD

COPY = 4 << 20
LOCK_S = 20.0


@dataclass(frozen=True)
class Stored:
    """A complete sample in a tar: from ``start``, ``length`` bytes. ``media``: offset and size of its body, None: it has none.

    ``facts``, ``url``, ``extension``: as they were read from a file; empty for a sample that was just written.
    """

    start: int
    length: int
    media: tuple[int, int] | None
    facts: Mapping[str, Any] = field(default_factory=dict)
    url: str = ""
    extension: str = ""


def read_samples(fd: int, url_column: str = "") -> Iterator[tuple[str, Stored]]:
    """The complete samples of a part or shard by name, up to its end or to where it is damaged."""
    stream, size = PlainStream(fd), os.fstat(fd).st_size
    start, current, media, extension = 0, "", None, ""
    try:
        for member in walk(stream, size):
            name, _, ending = member.name.partition(".")
            if name != current:
                current, start, media, extension = name, member.offset - BLOCK, None, ""
            if ending == "json":
                record = json.loads(stream.read_at(member.offset, member.size))
                length = member.offset + padded(member.size) - start
                yield name, Stored(start, length, media, record[DOWNLOAD], str(record.get(url_column, "")), extension)
            elif ending != "txt":
                media, extension = (member.offset, member.size), ending
    except (DamageError, ValueError, KeyError, TypeError, AttributeError):
        return  # a part ends anywhere


class Part:
    """The part file of a block: what is there is kept, what is new is appended. Not for several threads at a time."""

    def __init__(self, path: Path) -> None:
        """Raises `GoldsieveError` when the disk refuses."""
        self.path = path
        self.samples: dict[str, Stored] = {}
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise _refused(path, error) from error
        try:
            _lock(self._fd, path)
            for name, stored in read_samples(self._fd):
                if not self._whole(stored):  # the machine lost power
                    break
                self.samples[name] = stored
            self._end = max((s.start + s.length for s in self.samples.values()), default=0)
            os.ftruncate(self._fd, self._end)
        except OSError as error:
            os.close(self._fd)
            raise _refused(path, error) from error
        except GoldsieveError:
            os.close(self._fd)
            raise

    def _whole(self, stored: Stored) -> bool:
        if stored.media is None:
            return True
        digest = hashlib.sha256()
        for piece in copied(self._fd, *stored.media):
            digest.update(piece)
        return digest.hexdigest() == stored.facts.get("sha256")

    def append(self, row: UrlRow, fetched: Fetched) -> None:
        """Raises `GoldsieveError` when the disk refuses; what was complete before stays."""
        body, start = fetched.body, self._end
        parts: list[Iterable[bytes]] = []
        if body is not None:
            parts.append([tar_header(f"{row.name}.{body.extension}", body.size)])
            parts.append(body.pieces())
            parts.append([bytes(-body.size % BLOCK)])
        if row.caption:
            parts.append(tar_member(f"{row.name}.txt", row.caption.encode()))
        parts.append(tar_member(f"{row.name}.json", _described(row, fetched.facts)))
        try:
            self._end = _write(self._fd, chain.from_iterable(parts), start)
        except OSError as error:
            raise _refused(self.path, error) from error
        self.samples[row.name] = Stored(start, self._end - start, (start + BLOCK, body.size) if body else None)

    def finish(self, shard: Path, names: Sequence[str], old: Mapping[str, Stored], old_fd: int | None) -> None:
        """Write the shard: each sample from this part, or else from the older shard. Then the part is gone."""
        temporary = shard.with_name(f".{shard.name}.tmp")
        try:
            with open(temporary, "wb", buffering=COPY) as out:
                for name in names:
                    stored, fd = (self.samples[name], self._fd) if name in self.samples else (old[name], old_fd)
                    assert fd is not None
                    out.writelines(copied(fd, stored.start, stored.length))
                out.write(bytes(2 * BLOCK))
                out.flush()
                os.fsync(out.fileno())
            os.replace(temporary, shard)
            sync_folder(shard.parent)
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise _refused(shard, error) from error
        finally:
            temporary.unlink(missing_ok=True)

    def close(self) -> None:
        os.close(self._fd)


def _lock(fd: int, path: Path) -> None:
    """Only one process writes a part; one that belongs to a killed run ends a moment after it. Raises `LakeBusyError`."""
    deadline = time.monotonic() + LOCK_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise LakeBusyError(f"Another process writes {path}. Wait for it to end, or stop it.") from None
            time.sleep(0.05)


def copied(fd: int, start: int, length: int) -> Iterator[bytes]:
    """Bytes of a file in pieces. Raises `OSError` when it ends too early."""
    while length:
        piece = os.pread(fd, min(length, COPY), start)
        if not piece:
            raise OSError("the file is shorter than it was")
        yield piece
        start, length = start + len(piece), length - len(piece)


def _write(fd: int, pieces: Iterable[bytes], at: int) -> int:
    """Writes the pieces one behind the other, small ones together; returns where they end."""
    waiting = bytearray()
    for piece in chain(pieces, [b""]):
        waiting += piece
        if len(waiting) >= COPY or not piece:
            view = memoryview(waiting)
            while view:
                done = os.pwrite(fd, view, at)
                view, at = view[done:], at + done
            view.release()
            waiting = bytearray()
    return at


def _described(row: UrlRow, facts: Mapping[str, Any]) -> bytes:
    record = dict(row.record)
    if DOWNLOAD in record:  # the list has a column of that name
        record[f"list_{DOWNLOAD}"] = record.pop(DOWNLOAD)
    return (to_json({**record, DOWNLOAD: dict(facts)}) or "{}").encode()


def _refused(path: Path, error: OSError) -> GoldsieveError:
    return GoldsieveError(f"{path} cannot be written: {error.strerror or error}. Fix that and run the command again: finished work stays.")
