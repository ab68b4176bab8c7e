"""Tables with a picture a row: a column of paths, or (Parquet) a column of bytes. Parquet, CSV and JSON lines.

Columns are found by their usual names or named in the source. Pictures in Parquet are not read by listing: a sample names
the file, the column and the row.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from manifests.errors import SourceError
from manifests.schema import REFERENCE
from pipelines.reader import column_uri
from pipelines.sources.columns import Columns, Values, field_text, or_else, plain_columns, replaced, rows_of
from pipelines.sources.paths import MEDIA_COLUMNS, is_path, locate, single
from pipelines.sources.records import ENDINGS, BrokenTableError, Record, Some, Table, open_table, records_of
from pipelines.sources.rows import (
    CAPTION_KEYS,
    OTHER_CAPTION_KEYS,
    Row,
    caption_texts,
    conversation_captions,
    error_row,
    parse_json,
    printable,
    sample_row,
    stamp_of,
    take_captions,
)
from pipelines.sources.spec import SourceSpec, guess_kind, source_files, source_name

BYTES_COLUMNS = ("content", "data", "image_data", "img_bytes")
"""Further usual names of columns of bytes."""
URL_COLUMNS = ("url", "image_url", "img_url", "urls")
KEY_COLUMNS = ("key", "__key__", "id", "uid", "image_id", "sample_id")
TOKENS = re.compile(r"\s*(<__dj__\w+>|<\|__dj__eoc\|>)\s*")
"""Data-Juicer marks the place of a picture in its text so."""
LOCATED = ("uri", "byte_length", "stamp", "error")
UNDECODED = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class Layout:
    """Which columns of a table are what. ``in_bytes``: the media column holds pictures, not paths."""

    media: str
    in_bytes: bool
    caption: str | None
    key: str | None


@dataclass(frozen=True)
class _File:
    """A table that is listed."""

    source: str
    path: str
    stamp: str
    root: str
    confine: bool
    layout: Layout

    @cached_property
    def stem(self) -> str:
        return printable(os.path.splitext(os.path.basename(self.path))[0])

    @cached_property
    def cells(self) -> str:
        """The URI of what is in a column of bytes."""
        return column_uri(printable(self.path), self.layout.media)

    def name(self, number: int) -> str:
        """The key of a record that names itself in no way."""
        return f"{self.stem}#{number}"


def list_table(spec: SourceSpec) -> Iterator[Row | pa.RecordBatch]:
    """Samples of all tables of a source. A broken table among several is one row that says what is wrong."""
    source = source_name(spec)
    kind = spec.kind or guess_kind(spec.path)
    files, rows = source_files(spec, ENDINGS[kind]), 0
    for number, path in enumerate(files):
        try:
            for some in _list_file(spec, source, kind, path):
                rows += 1
                yield some
        except SourceError as error:  # the columns do not fit: for the first table a mistake in the call, later an odd table
            if number == 0:
                raise
            yield error_row(source, os.path.basename(path), path, str(error))
        except BrokenTableError as error:
            text = f"{path} {str(error).rstrip('.')}. Fetch or write the file again."
            if len(files) == 1:
                raise SourceError(text) from error
            rows += 1
            yield error_row(source, os.path.basename(path), path, text)
    if not rows:
        raise SourceError(f"{spec.path} holds no sample: its tables have no rows. Check the path.")


def _list_file(spec: SourceSpec, source: str, kind: str, path: str) -> Iterator[Row | pa.RecordBatch]:
    try:
        stamp = stamp_of(os.stat(path))
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}. Check the path and its permissions.") from error
    table = open_table(path, kind)
    if not table.columns:
        raise BrokenTableError("has no records")
    layout = find_layout(spec, path, table)
    file = _File(source, path, stamp, os.path.abspath(spec.media_root or os.path.dirname(path)), spec.media_root is not None, layout)
    media = layout.media if layout.in_bytes else None
    first = 0
    for batch in table.batches(media, layout.caption):
        yield from _rows(file, batch, first)
        first += len(batch)


def _rows(file: _File, batch: Some, first: int) -> Iterator[Row | pa.RecordBatch]:
    """Rows of the records of a batch: all at once but for odd ones, or each for itself."""
    columns = plain_columns(batch)
    places = None if columns is None else _places(file, columns.pop(file.layout.media, None), first, len(batch))
    made = None if columns is None or places is None else rows_of(columns, places, file.source, file.layout.caption, file.layout.key)
    if made is None:
        yield from (_row(file, record, number) for number, record in enumerate(records_of(batch, first), first))
        return
    rows, odd = made
    if numbers := np.flatnonzero(odd).tolist():
        records = [batch[n] for n in numbers] if isinstance(batch, list) else batch.take(numbers).to_pylist()
        others = [_row(file, record, first + number) for number, record in zip(numbers, records, strict=True)]
        rows = replaced(rows, numbers, pa.RecordBatch.from_pylist(others, schema=REFERENCE))
    yield rows


def _row(file: _File, record: Record | str, number: int) -> Row:
    if isinstance(record, str):
        return error_row(file.source, file.name(number), file.path, record, file.stamp)
    layout = file.layout
    row, where = _reference(file, record, number)
    key = record.pop(layout.key, None) if layout.key else None
    blank = key is None or not str(key)
    row |= {"source": file.source, "stamp": row.get("stamp") or file.stamp, "modality": "image"}
    row["key"] = printable((where or file.name(number)) if blank else str(key))
    return _captioned(row, record, layout.caption)


def check_named(path: str, columns: Sequence[str], *named: str | None) -> None:
    """Raises `SourceError` for a column that the source names and the table lacks."""
    for name in named:
        if name and name not in columns:
            raise SourceError(f"{path} has no column {name!r}. Its columns are {', '.join(columns)}.")


def find_layout(spec: SourceSpec, path: str, table: Table) -> Layout:
    """The columns to use. Raises `SourceError` that names the table's columns when none fits."""
    columns = table.columns
    check_named(path, columns, spec.media_column, spec.caption_column, spec.key_column)
    lower = {name.lower(): name for name in reversed(columns)}
    usual = [lower[name] for name in MEDIA_COLUMNS if name in lower]
    media = spec.media_column
    if not media:
        in_bytes = [name for name in (*usual, *(lower.get(n) for n in BYTES_COLUMNS)) if name in table.bytes_columns]
        in_files = [name for name in usual if name in table.path_columns]
        only = table.bytes_columns if len(table.bytes_columns) == 1 else []
        media = next(iter(in_bytes or in_files or only), None)
    urls = [lower[name] for name in URL_COLUMNS if name in lower]
    if media and media not in table.bytes_columns and is_url(table, media):
        urls, media = [media], None
    if not media:
        if urls:
            raise SourceError(f"{path} has URLs only (column {urls[0]!r}). To download them give it the kind urls: --kind urls.")
        names = ", ".join(columns) + (", as its first line says" if path.lower().endswith(ENDINGS["csv"]) else "")
        raise SourceError(f"{path} has no column of pictures or paths. Its columns are {names}; name one with media_column.")
    captions = [lower[name] for name in (*CAPTION_KEYS, *OTHER_CAPTION_KEYS) if name in lower and lower[name] != media]
    keys = [lower[name] for name in KEY_COLUMNS if name in lower and lower[name] != media]
    return Layout(
        media, media in table.bytes_columns, spec.caption_column or next(iter(captions), None), spec.key_column or next(iter(keys), None)
    )


def is_url(table: Table, column: str) -> bool:
    values = [value for record in table.head if isinstance(value := record.get(column), str)]
    return bool(values) and all("://" in value for value in values)


def _reference(file: _File, record: Record, number: int) -> tuple[Row, str | None]:
    """The reference columns of a record, and the path it names, which is its key unless it has one."""
    value = record.pop(file.layout.media, None)
    if file.layout.in_bytes:
        where = value.get("path") if isinstance(value, dict) else None
        return {"uri": file.cells, "byte_offset": number}, where
    try:
        where = single(value)
    except ValueError as error:
        return {"uri": printable(file.path), "error": str(error)}, None
    return locate(file.root, where, file.confine), where


def _places(file: _File, media: Values | None, first: int, count: int) -> Columns | None:
    """What `_reference` finds for many records, null where it finds no place; None: this kind of column is not read so."""
    if not file.layout.in_bytes:
        if media is None or not pa.types.is_string(media.type):
            return None
        located = [locate(file.root, text, file.confine) if text and is_path(text) else {} for text in media.to_pylist()]
        found: Columns = {name: pa.array([row.get(name) for row in located], REFERENCE.field(name).type) for name in LOCATED}
        return found | {"stamp": or_else(found["stamp"], file.stamp), "key": media}
    names: Values = pa.array(map(file.name, range(first, first + count)), pa.string())
    if media is not None:
        names = or_else(field_text(media, "path"), names)
    uris, stamps = pa.repeat(file.cells, count), pa.repeat(file.stamp, count)
    return {"uri": uris, "byte_offset": pa.array(range(first, first + count), pa.int64()), "stamp": stamps, "key": names}


def unpack_captions(record: Record, column: str | None) -> None:
    """A JSON list of captions in a CSV cell becomes a list."""
    value = record.get(column) if column else None
    if isinstance(value, str) and value.startswith("["):
        with contextlib.suppress(ValueError):
            record[str(column)] = caption_texts(parse_json(value)) or value


def _captioned(row: Row, record: Record, column: str | None) -> Row:
    notes: dict[str, Any] = {}
    unpack_captions(record, column)
    captions = take_captions(record, column) if column else []
    if any("<__dj__" in caption for caption in captions):
        notes["raw_text"] = captions[0] if len(captions) == 1 else list(captions)
        captions = [TOKENS.sub(" ", caption) for caption in captions]
    if any(UNDECODED.search(caption) for caption in captions):
        notes["caption_encoding"] = "not UTF-8: undecodable bytes were replaced"
    return sample_row(row, record, captions or conversation_captions(record), notes)
