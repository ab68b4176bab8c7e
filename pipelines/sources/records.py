"""Reads the records of a table one by one: Parquet, CSV and JSON lines behind one shape."""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.errors import first_line
from pipelines.sources.rows import BATCH_ROWS, CONVERSATIONS, clean, parse_json

ENDINGS: dict[str, tuple[str, ...]] = {"parquet": (".parquet", ".pq"), "csv": (".csv", ".tsv"), "jsonl": (".jsonl", ".ndjson")}
LINE_LIMIT = 16 << 20
"""Lines longer than this many characters are no records."""
HEAD = 100
"""So many records are looked at to find the columns."""

Record = dict[str, Any]
Records = Iterator[Record | str]
"""Records in row order; a string is the reason why a row is none."""


class BrokenTableError(Exception):
    """The table is damaged. The text goes behind its name."""


Some = pa.RecordBatch | list[Record | str]
"""At most `BATCH_ROWS` records, in columns where a file has them."""


@dataclass(frozen=True)
class Table:
    """``bytes_columns`` can hold pictures, ``path_columns`` paths; ``head`` is the first records, without pictures.

    ``batches(media, caption)`` reads from the beginning; of the columns of bytes it reads the paths in ``media`` alone.
    """

    columns: list[str]
    bytes_columns: list[str]
    path_columns: list[str]
    head: list[Record]
    batches: Callable[[str | None, str | None], Iterator[Some]]

    def records(self, media: str | None, caption: str | None) -> Records:
        """What `batches` reads, one by one."""
        return _chained(self.batches(media, caption))


def open_table(path: str, kind: str) -> Table:
    """The table in a file of kind parquet, csv or jsonl. Raises `BrokenTableError` when it is damaged."""
    if kind == "parquet":
        return _open_parquet(path)
    read = _read_csv if kind == "csv" else _read_jsonl
    first = list(islice(read(path), HEAD))
    head = [record for record in first if isinstance(record, dict)]
    if first and not head:
        raise BrokenTableError(f"begins with no record. {first[0]}")
    columns = list(dict.fromkeys(name for record in head for name in record))
    return Table(columns, [], columns, head, lambda media, caption: batched(read(path)))


def batched(records: Records) -> Iterator[Some]:
    """Records in lists."""
    while some := list(islice(records, BATCH_ROWS)):
        yield some


def _open_parquet(path: str) -> Table:
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise BrokenTableError(f"is not a readable Parquet file: {first_line(error)}") from error
    types = {field.name: field.type for field in schema if not field.name.startswith("__index_level_")}
    in_bytes = [name for name, kind in types.items() if _holds_bytes(kind)]
    paths = [name for name, kind in types.items() if _holds_text(kind)]

    def batches(media: str | None, caption: str | None) -> Iterator[pa.RecordBatch]:
        flat = [name for name, kind in types.items() if not pa.types.is_nested(kind) and not _is_bytes(kind)]
        nested = [name for name in paths if name not in flat and name in (media, caption)]
        nested += [name for name in CONVERSATIONS if name in types and name not in flat and caption is None]
        inner = [f"{media}.path"] if media and pa.types.is_struct(types[media]) and types[media].get_field_index("path") >= 0 else []
        return _read_parquet(path, flat + nested + inner)

    head = [record for record in islice(_chained(_read_parquet(path, paths, HEAD)), HEAD) if isinstance(record, dict)]
    return Table(list(types), in_bytes, paths, head, batches)


def _read_parquet(path: str, columns: list[str], rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
            yield from file.iter_batches(rows, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise BrokenTableError(f"is damaged: {first_line(error)}") from error


def _chained(batches: Iterator[Some]) -> Records:
    row = 0
    for some in batches:
        yield from records_of(some, row)
        row += len(some)


def records_of(batch: Some, first: int) -> Records:
    """The records of a batch that begins with the table's row ``first``."""
    if isinstance(batch, list):
        yield from batch
        return
    try:
        yield from batch.to_pylist() if batch.num_columns else [{} for _ in range(batch.num_rows)]
    except UnicodeDecodeError:  # Parquet demands UTF-8, but nobody checked it
        for i in range(batch.num_rows):
            try:
                yield from batch.slice(i, 1).to_pylist()
            except UnicodeDecodeError:
                yield f"Row {first + i} has text that is not UTF-8."


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_bytes(kind.field("bytes").type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _holds_bytes(kind.value_type)
    return _is_bytes(kind) and not pa.types.is_fixed_size_binary(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return any(test(kind) for test in tests)


def _holds_text(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _holds_text(kind.value_type)
    if pa.types.is_dictionary(kind):
        return _holds_text(kind.value_type)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _read_csv(path: str) -> Records:
    csv.field_size_limit(LINE_LIMIT)
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        first = file.readline(LINE_LIMIT)
        _refuse_utf16(first)
        file.seek(0)
        delimiter = "\t" if path.lower().endswith(".tsv") else max(",\t;|", key=first.count)
        quotes = 0

        def lines() -> Iterator[str]:
            nonlocal quotes
            while line := file.readline(LINE_LIMIT):
                quotes += line.count('"')
                yield line

        reader = csv.reader(lines(), delimiter=delimiter)
        try:
            header = [name.strip() for name in next(reader)]
        except (StopIteration, csv.Error) as error:
            raise BrokenTableError(f"has no header line {error}".rstrip()) from error
        if twice := [name for name in header if header.count(name) > 1]:
            raise BrokenTableError(f"has the column {twice[0]!r} more than once")
        while True:
            begin, quotes = reader.line_num + 1, 0
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield f"Line {reader.line_num} is not valid CSV: {error}."
                continue
            if not values:
                continue
            if quotes % 2 and reader.line_num > begin:
                yield f"Lines {begin} to {reader.line_num} are one record: a quote in it is not closed."
            elif len(values) != len(header):
                yield f"Line {reader.line_num} has {len(values)} fields, the header {len(header)}."
            else:
                yield dict(zip(header, values, strict=True))


def _read_jsonl(path: str) -> Records:
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        first = file.readline(LINE_LIMIT)
        _refuse_utf16(first)
        if re.match(r"\s*\[\s*(\{|$)", first):
            raise BrokenTableError("is a JSON list, not a record a line: name it .json (LLaVA), or write one object a line")
        file.seek(0)
        for number, line in enumerate(iter(lambda: file.readline(LINE_LIMIT), ""), 1):
            if len(line) == LINE_LIMIT and not line.endswith("\n"):
                yield f"Line {number} is longer than {LINE_LIMIT} characters."
                while (rest := file.readline(LINE_LIMIT)) and not rest.endswith("\n"):
                    pass
            elif line.strip():
                try:
                    record = parse_json(line)
                    yield record if isinstance(record, dict) else f"Line {number} is no JSON object."
                except ValueError as error:
                    yield f"Line {number} is not valid JSON: {clean(str(error))}."


def _refuse_utf16(first: str) -> None:
    if first.startswith(("\udcff\udcfe", "\udcfe\udcff")):
        raise BrokenTableError("is UTF-16 text: save it as UTF-8")
