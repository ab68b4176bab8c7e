"""Tables with a picture a row: a column of paths, or (Parquet) a column of bytes. Parquet, CSV and JSON lines.

Columns are found by their usual names or named in the source. Pictures in Parquet are not read by listing: a sample names
the file, the column and the row.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from manifests.errors import SourceError
from pipelines.reader import column_uri
from pipelines.sources.coco_llava import conversation_captions
from pipelines.sources.paths import locate, single
from pipelines.sources.records import ENDINGS, BrokenTableError, Record, Table, open_table
from pipelines.sources.rows import (
    CAPTION_KEYS,
    OTHER_CAPTION_KEYS,
    Row,
    caption_texts,
    error_row,
    parse_json,
    printable,
    sample_row,
    stamp_of,
    take_captions,
)
from pipelines.sources.spec import SourceSpec, guess_kind, source_files, source_name

MEDIA_COLUMNS = (
    "image", "images", "image_bytes", "img", "picture", "jpg", "jpeg", "png", "webp", "image_path", "image_file", "img_path",
    "path", "file_path", "filepath", "file", "file_name", "filename", "bytes",
)  # fmt: skip
URL_COLUMNS = ("url", "image_url", "img_url", "urls")
KEY_COLUMNS = ("key", "__key__", "id", "uid", "image_id", "sample_id")
TOKENS = re.compile(r"\s*(<__dj__\w+>|<\|__dj__eoc\|>)\s*")
"""Data-Juicer marks the place of a picture in its text so."""
UNDECODED = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class Layout:
    """Which columns of a table are what. ``in_bytes``: the media column holds pictures, not paths."""

    media: str
    in_bytes: bool
    caption: str | None
    key: str | None


def list_table(spec: SourceSpec) -> Iterator[Row]:
    """Samples of all tables of a source. A broken table among several is one row that says what is wrong."""
    source = source_name(spec)
    kind = spec.kind or guess_kind(spec.path)
    files = source_files(spec, ENDINGS[kind])
    for number, path in enumerate(files):
        try:
            yield from _list_file(spec, source, kind, path)
        except SourceError as error:  # the columns do not fit: for the first table a mistake in the call, later an odd table
            if number == 0:
                raise
            yield error_row(source, os.path.basename(path), path, str(error))
        except BrokenTableError as error:
            text = f"{path} {error}. Fetch or write the file again."
            if len(files) == 1:
                raise SourceError(text) from error
            yield error_row(source, os.path.basename(path), path, text)


def _list_file(spec: SourceSpec, source: str, kind: str, path: str) -> Iterator[Row]:
    try:
        stamp = stamp_of(os.stat(path))
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}. Check the path and its permissions.") from error
    table = open_table(path, kind)
    if not table.columns:
        raise BrokenTableError("has no records")
    layout = find_layout(spec, path, table)
    root = os.path.abspath(spec.media_root or os.path.dirname(path))
    stem = os.path.splitext(os.path.basename(path))[0]
    for number, record in enumerate(table.records(layout.media if layout.in_bytes else None, layout.caption)):
        fallback = f"{stem}#{number}"
        if isinstance(record, str):
            yield error_row(source, fallback, path, record, stamp)
            continue
        row, where = _reference(layout, record, path, root, number, spec.media_root is not None)
        key = record.pop(layout.key, None) if layout.key else None
        blank = key is None or not str(key)
        row |= {"source": source, "key": printable((where or fallback) if blank else str(key)), "stamp": row.get("stamp") or stamp}
        yield _captioned(row, record, layout.caption)


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
        in_bytes = [name for name in usual if name in table.bytes_columns]
        if not in_bytes and len(table.bytes_columns) == 1:
            in_bytes = list(table.bytes_columns)
        media = next(iter(in_bytes or [name for name in usual if name in table.path_columns]), None)
    urls = [lower[name] for name in URL_COLUMNS if name in lower]
    if media and media not in table.bytes_columns and is_url(table, media):
        urls, media = [media], None
    if not media:
        if urls:
            raise SourceError(f"{path} has URLs only (column {urls[0]!r}). To download them give it the kind urls: --kind urls.")
        raise SourceError(f"{path} has no column of pictures or paths. Its columns are {', '.join(columns)}; name one with media_column.")
    captions = [lower[name] for name in (*CAPTION_KEYS, *OTHER_CAPTION_KEYS) if name in lower and lower[name] != media]
    keys = [lower[name] for name in KEY_COLUMNS if name in lower and lower[name] != media]
    return Layout(
        media, media in table.bytes_columns, spec.caption_column or next(iter(captions), None), spec.key_column or next(iter(keys), None)
    )


def is_url(table: Table, column: str) -> bool:
    values = [value for record in table.head if isinstance(value := record.get(column), str)]
    return bool(values) and all("://" in value for value in values)


def _reference(layout: Layout, record: Record, path: str, root: str, number: int, confine: bool) -> tuple[Row, str | None]:
    """The reference columns of a record, and the path it names, which is its key unless it has one."""
    value = record.pop(layout.media, None)
    if layout.in_bytes:
        where = value.get("path") if isinstance(value, dict) else None
        return {"uri": column_uri(printable(path), layout.media), "byte_offset": number, "modality": "image"}, where
    try:
        where = single(value)
    except ValueError as error:
        return {"uri": printable(path), "modality": "image", "error": str(error)}, None
    return locate(root, where, confine), where


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
