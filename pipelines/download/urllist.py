"""Rows of a list of URLs, in blocks. A block becomes one shard, whose name tells which rows are in it.

A list is one or several files. Row ``n`` of the file ``part.parquet`` is the sample ``part-0000000n``, whatever other files there
are, so a file that is added or mended moves nothing.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow.parquet as pq

from manifests.errors import SourceError
from pipelines.download.faults import Fault, without_secrets
from pipelines.sources.paths import MEDIA_COLUMNS, single
from pipelines.sources.records import ENDINGS, HEAD, BrokenTableError, Records, Table, batched, open_table
from pipelines.sources.rows import CAPTION_KEYS, OTHER_CAPTION_KEYS, caption_texts, clean, to_json
from pipelines.sources.spec import SourceSpec, source_files
from pipelines.sources.tables import KEY_COLUMNS, URL_COLUMNS, check_named, is_url, unpack_captions

TEXT_ENDINGS = (".txt", ".lst", ".urls")
LIST_ENDINGS = (*ENDINGS["parquet"], *ENDINGS["csv"], *ENDINGS["jsonl"], *TEXT_ENDINGS)
HASH_COLUMNS = ("sha256", "md5")
LINE_LIMIT = 1 << 16


@dataclass(frozen=True)
class Layout:
    """Which columns of a list are what."""

    url: str
    caption: str | None
    key: str | None
    hash: str | None


@dataclass(frozen=True)
class ListFile:
    """One file of a list. ``stem``: begins the names of its shards and samples; no two files of a list share it."""

    path: str
    stem: str
    kind: str


@dataclass(frozen=True, slots=True)
class UrlRow:
    """One row. ``name``: of the sample in its shard. ``record``: the row as it is, without user names and passwords in its URL.

    ``fault``: the row asks for nothing that could be fetched.
    """

    name: str
    url: str
    record: dict[str, Any]
    caption: str
    expected: str | None
    fault: Fault | None = None


@dataclass(frozen=True)
class Block:
    """Rows that become one shard. ``shard``: its name without ending; the digest of its rows is part of it."""

    stem: str
    number: int
    rows: tuple[UrlRow, ...]
    digest: str

    @property
    def shard(self) -> str:
        return f"{self.stem}-{self.number:05d}-{self.digest}"


def list_files(spec: SourceSpec) -> list[ListFile]:
    """The files of a list. Raises `SourceError` when there are none."""
    files: list[ListFile] = []
    taken: dict[str, int] = {}
    for path in source_files(spec, LIST_ENDINGS):
        kind = next((kind for kind, endings in ENDINGS.items() if path.lower().endswith(endings)), "txt")
        stem = re.sub(r"[^A-Za-z0-9_-]+", "_", os.path.splitext(os.path.basename(path))[0])[:60] or "list"
        taken[stem.lower()] = taken.get(stem.lower(), 0) + 1
        count = taken[stem.lower()]
        files.append(ListFile(path, stem if count == 1 else f"{stem}_{count}_", kind))
    return files


def open_list(spec: SourceSpec, file: ListFile) -> tuple[Table, Layout]:
    """A file of a list and its columns. Raises `SourceError` that names what is wrong."""
    try:
        table = _open_text(file.path) if file.kind == "txt" else open_table(file.path, file.kind)
        if not table.columns:
            raise BrokenTableError("has no rows")
    except BrokenTableError as error:
        raise SourceError(f"{file.path} {error}. Fetch or write the file again, or leave it out.") from error
    except OSError as error:
        raise SourceError(f"{file.path} cannot be read: {error.strerror}. Check the path and its permissions.") from error
    return table, find_layout(spec, file.path, table)


def find_layout(spec: SourceSpec, path: str, table: Table) -> Layout:
    """The columns to use: the named ones, else those with the usual names. Raises `SourceError`."""
    columns = table.columns
    hash_column = spec.download.hash_column if spec.download else ""
    check_named(path, columns, spec.media_column, spec.caption_column, spec.key_column, hash_column)
    lower = {name.lower(): name for name in reversed(columns)}

    def first(*names: str) -> str | None:
        return next((lower[name] for name in names if name in lower and lower[name] != url), None)

    url: str | None = None
    url = spec.media_column or first(*URL_COLUMNS)
    url = url or next((lower[name] for name in MEDIA_COLUMNS if name in lower and is_url(table, lower[name])), None)
    if not url:
        raise SourceError(f"{path} has no column of URLs. Its columns are {', '.join(columns)}; name one with media_column.")
    return Layout(
        url,
        spec.caption_column or first(*CAPTION_KEYS, *OTHER_CAPTION_KEYS),
        spec.key_column or first(*KEY_COLUMNS),
        hash_column or first(*HASH_COLUMNS),
    )


def read_blocks(file: ListFile, table: Table, layout: Layout, rows: int, index: int = 0, of: int = 1) -> Iterator[Block]:
    """Blocks of ``rows`` rows each, the last one shorter; of these every ``of``-th, from ``index`` on.

    Raises `SourceError` where the file is damaged.
    """
    records = enumerate(table.records(None, layout.caption))
    number = 0
    try:
        while chunk := list(islice(records, rows)):
            number += 1
            if (number - 1) % of != index:
                continue
            # The columns are part of the digest: another choice of caption means another shard.
            digest = hashlib.sha256(repr(layout).encode())
            for _, record in chunk:
                digest.update((to_json(record) or "{}").encode() if isinstance(record, dict) else clean(record).encode())
            yield Block(file.stem, number - 1, tuple(_row(file, layout, n, record) for n, record in chunk), digest.hexdigest()[:12])
    except BrokenTableError as error:
        raise SourceError(f"{file.path} {error}. Fetch or write the file again. What was fetched before is kept.") from error


def count_rows(file: ListFile) -> int:
    """How many rows, for the progress bar: exact for Parquet, lines for others."""
    try:
        if file.kind == "parquet":
            return int(pq.read_metadata(file.path).num_rows)
        with open(file.path, "rb", buffering=0) as raw:
            lines = sum(piece.count(b"\n") for piece in iter(lambda: raw.read(1 << 20), b""))
        return max(lines - (file.kind == "csv"), 0)
    except Exception:  # opening it says what is wrong
        return 0


def _row(file: ListFile, layout: Layout, number: int, record: dict[str, Any] | str) -> UrlRow:
    name = f"{file.stem}-{number:08d}"
    if isinstance(record, str):
        return UrlRow(name, "", {}, "", None, Fault("list", clean(record)))
    unpack_captions(record, layout.caption)
    captions = caption_texts(record.get(layout.caption)) if layout.caption else None
    caption = next((text for each in captions or () if (text := clean(each).strip())), "")
    expected = str(record.get(layout.hash) or "").strip() if layout.hash else ""
    try:
        url = single(record.get(layout.url)).strip()
    except ValueError:
        return UrlRow(name, "", record, caption, None, Fault("list", "there is no URL in this row"))
    if len(url) > LINE_LIMIT:
        return UrlRow(name, "", {**record, layout.url: url[:200]}, caption, None, Fault("url", "not a valid URL: too long"))
    return UrlRow(name, url, {**record, layout.url: without_secrets(url)}, caption, expected or None)


def _open_text(path: str) -> Table:
    head = [record for record in islice(_read_text(path), HEAD) if isinstance(record, dict)]
    return Table(["url"] if head else [], [], ["url"], head, lambda media, caption: batched(_read_text(path)))


def _read_text(path: str) -> Records:
    """One URL a line; blank lines and lines that begin with # are left out."""
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline=None) as file:
        for line in iter(lambda: file.readline(LINE_LIMIT), ""):
            if (text := line.strip()) and not text.startswith("#"):
                yield {"url": clean(text)}
