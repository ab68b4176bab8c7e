"""Writes one WebDataset shard: a tar file whose bytes depend on the samples alone.

A sample is two or three adjacent members, ``<sample_id>.<ext>`` (media), ``<sample_id>.json`` (everything known) and
``<sample_id>.txt`` (caption; absent when there is none); a clip may have stills, ``<sample_id>.frame0.jpg`` and so on.
Headers are POSIX ustar (IEEE 1003.1-1988) with owner 0 and
time 0. They are made here because tarfile and webdataset.TarWriter spend longer on three headers than the disk on a
small picture.
"""

import hashlib
import json
import os
import re
import tarfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa

from manifests.errors import GoldsieveError, MediaError
from manifests.schema import media_hash
from pipelines.clip_cutter import BYTES_A_SECOND, Cut
from pipelines.sample_json import Row, described, json_text

BLOCK = 512
READ_AHEAD, FILES_AHEAD = 32 << 20, 2 << 20
"""Bytes that are read in the order in which they are stored: of archives, tables and videos, and of files of their own, whose order
matters less than that they are still in the processor's cache when they are hashed a second time."""
CUTTERS = 2
"""Clips of a shard cut at a time; several shards are written at once."""
TEMPLATE = tarfile.TarInfo("").tobuf(tarfile.USTAR_FORMAT)
EXTENSIONS = {"jpeg": "jpg", "tiff": "tif", "heif": "heic"}
RESERVED = {"json", "txt"}

Read = Callable[[str, int | None, int | None], bytes]
"""``read(uri, byte_offset, byte_length)``: the stored bytes, or `MediaError` or `OSError`."""

CutClip = Callable[[Row], Cut]
"""``cut_clip(row)``: the clip that a row with a parent stands for, or `MediaError`."""

Encode = Callable[[bytes, Row], tuple[bytes, str]]
"""``encode(data, row)``: the bytes to write and their extension, or `MediaError`."""


@dataclass(frozen=True)
class LeftOut:
    """A planned sample that is in no shard, and why."""

    sample_id: str
    key: str
    reason: str


@dataclass(frozen=True)
class ShardRecord:
    """One finished shard. ``bytes`` is the size of the tar file, ``extensions`` counts samples by media extension."""

    name: str
    samples: int
    bytes: int
    sha256: str
    extensions: dict[str, int] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> "ShardRecord":
        """Raises `ValueError`, `KeyError` or `TypeError` when ``text`` is no record."""
        data = json.loads(text)
        return ShardRecord(**{**data, "left_out": tuple(LeftOut(**item) for item in data["left_out"])})


def write_shard(
    target: Path,
    temporary: Path,
    rows: pa.Table,
    read: Read,
    encode: Encode,
    sample_done: Callable[[], None] = lambda: None,
    cut: CutClip | None = None,
) -> ShardRecord:
    """Write ``rows`` (columns of ``wide``, in order) to ``target``; it appears whole or not at all.

    A sample whose bytes are gone, or are not those that were measured, is left out with its reason. When none is left,
    no file is written. ``sample_done`` is called after every sample; what it raises stops the shard.
    Raises `GoldsieveError` when the disk refuses.
    """
    digest = hashlib.sha256()
    extensions: dict[str, int] = {}
    left_out: list[LeftOut] = []
    size = 0
    try:
        with open(temporary, "wb", buffering=1 << 20) as out:
            for row, text, data in with_media(described(rows), read, cut):
                try:
                    if isinstance(data, MediaError):
                        raise data
                    stills: tuple[bytes, ...] = ()
                    if isinstance(data, Cut):
                        content, extension, stills = data.data, data.extension, data.stills
                        text = json_text({**row, "clip": data.facts})
                    else:
                        content, extension = encode(data, row)
                    block = members(str(row["sample_id"]), content, extension, text, row["caption"], stills)
                except MediaError as error:
                    left_out.append(LeftOut(str(row["sample_id"]), row["key"], str(error)))
                else:
                    digest.update(block)
                    out.write(block)
                    size += len(block)
                    extensions[extension] = extensions.get(extension, 0) + 1
                sample_done()
            end = bytes(2 * BLOCK)
            digest.update(end)
            out.write(end)
            out.flush()
            os.fsync(out.fileno())
        samples = sum(extensions.values())
        if samples:
            os.replace(temporary, target)
            sync_folder(target.parent)
    except OSError as error:  # of the disk: one of a file being read is its sample's MediaError
        raise GoldsieveError(
            f"The shard {target} cannot be written: {error.strerror or error}. Repair that and run the command again: finished shards stay."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    counts = dict(sorted(extensions.items()))
    if not samples:
        return ShardRecord(target.name, 0, 0, "", counts, tuple(left_out))
    return ShardRecord(target.name, samples, size + len(end), digest.hexdigest(), counts, tuple(left_out))


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def with_media(
    rows: Iterable[tuple[Row, bytes]], read: Read, cut: CutClip | None = None
) -> Iterator[tuple[Row, bytes, bytes | Cut | MediaError]]:
    """Every row with its media (a clip cut out of its video), or with the reason it has none.

    The order of an export is random; up to `READ_AHEAD` bytes are read in the order in which they are stored, which
    matters for gzip archives, Parquet files and spinning disks.
    """
    group: list[tuple[Row, bytes]] = []
    size = 0
    for item in rows:
        row = item[0]
        length = clip_bytes(row) if is_clip(row) else row["byte_length"] or 0
        ahead = FILES_AHEAD if row["byte_offset"] is None and not is_clip(row) else READ_AHEAD
        if group and size + length > ahead:
            yield from _read_group(group, read, cut)
            group, size = [], 0
        group.append(item)
        size += length
    yield from _read_group(group, read, cut)


def is_clip(row: Row) -> bool:
    return row.get("parent_id") is not None


def clip_bytes(row: Row) -> int:
    """About how large a clip will be, which only cutting it tells."""
    return int((row["span_end_s"] - row["span_start_s"]) * BYTES_A_SECOND)


def _read_group(
    group: Sequence[tuple[Row, bytes]], read: Read, cut: CutClip | None
) -> Iterator[tuple[Row, bytes, bytes | Cut | MediaError]]:
    media: dict[int, bytes | Cut | MediaError] = {}

    def fetch(i: int) -> bytes | Cut | MediaError:
        row = group[i][0]
        try:
            return cut(row) if cut and is_clip(row) else read_checked(row, read)
        except MediaError as error:
            return error

    order = sorted(range(len(group)), key=lambda i: (group[i][0]["uri"], group[i][0]["byte_offset"] or 0))
    if any(is_clip(row) for row, _ in group):  # cutting is work for a processor, reading is not
        with ThreadPoolExecutor(CUTTERS, thread_name_prefix="cut") as pool:
            media.update(zip(order, pool.map(fetch, order), strict=True))
    else:
        media.update((i, fetch(i)) for i in order)
    for i, (row, text) in enumerate(group):
        yield row, text, media.pop(i)


def read_checked(row: Row, read: Read) -> bytes:
    """The bytes that were measured. Raises `MediaError` when they were never read, are gone or have changed."""
    if row["media_hash"] is None:
        raise MediaError("its bytes were never read: measure it first")
    try:
        data = read(row["uri"], row["byte_offset"], row["byte_length"])
    except OSError as error:
        raise MediaError(f"{row['uri']} cannot be read: {error.strerror or error}") from error
    except MediaError as error:
        raise MediaError(f"{row['uri']}: {error}") from error
    if media_hash(data) != uuid.UUID(str(row["media_hash"])):
        raise MediaError(f"{row['uri']} has changed since it was measured: ingest and measure it again")
    return data


def original(data: bytes, row: Row) -> tuple[bytes, str]:
    """The stored bytes as they are."""
    return data, extension_of(row["format"])


def extension_of(media_format: str | None) -> str:
    """File extension for a format name; ``bin`` for none or one that no loader could use."""
    name = EXTENSIONS.get((media_format or "").lower(), (media_format or "").lower())
    return name if re.fullmatch(r"[a-z0-9]{1,8}", name) and name not in RESERVED else "bin"


def members(key: str, data: bytes, extension: str, text: bytes, caption: str | None, stills: Sequence[bytes] = ()) -> bytes:
    """The tar members of one sample."""
    files = [(extension, data), *((f"frame{i}.jpg", still) for i, still in enumerate(stills)), ("json", text)]
    if caption is not None:
        files.append(("txt", caption.encode()))
    return b"".join(part for name, content in files for part in tar_member(f"{key}.{name}", content))


def tar_member(name: str, content: bytes) -> list[bytes]:
    """Header, content and the zeros behind it."""
    return [tar_header(name, len(content)), content, bytes(-len(content) % BLOCK)]


def tar_header(name: str, size: int) -> bytes:
    """The header tarfile writes for ``TarInfo(name)`` of ``size`` bytes; ``name`` is ASCII, up to 100 characters."""
    if size >= 8 << 30:
        raise MediaError(f"{name} is larger than 8 GiB, the most that a ustar member holds")
    head = bytearray(TEMPLATE)
    head[: len(name)] = name.encode("ascii")
    head[124:135] = b"%011o" % size
    head[148:156] = b"        "
    head[148:155] = b"%06o\0" % sum(head)
    return bytes(head)
