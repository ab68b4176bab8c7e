"""Runs one operator on one batch: rows as operators see them, the promise checked, a bad row kept from its neighbours."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, overload

import pyarrow as pa

from manifests.errors import MediaError, PromiseError
from operators.base import Batch, BatchFn, Columns, Operator, View, columns_from
from operators.media import Media
from operators.video.media import VideoMedia


class MediaRow:
    """One sample of a batch: its columns and, where the pass reads media, its lazily decoded views."""

    __slots__ = ("_columns", "media", "media_error", "seconds")

    def __init__(self, columns: dict[str, Any], media: Media | VideoMedia | None, media_error: str | None) -> None:
        self._columns = columns
        self.media = media
        self.media_error = media_error
        self.seconds = 0.0  # that reading it and its views took

    def __getitem__(self, column: str) -> Any:
        return self._columns[column]

    def view(self, view: View) -> Any:
        if self.media is None:
            raise MediaError(self.media_error or "this pass does not read media")
        started = time.perf_counter()
        try:
            return self.media.view(view)
        except MediaError as error:
            self.media_error = str(error)
            raise
        finally:
            self.seconds += time.perf_counter() - started


class ColumnRows(Sequence[MediaRow]):
    """Rows of a table without media, made only if an operator asks for them one by one."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __len__(self) -> int:
        return self._table.num_rows

    @overload
    def __getitem__(self, index: int) -> MediaRow: ...
    @overload
    def __getitem__(self, index: slice) -> "ColumnRows": ...
    def __getitem__(self, index: int | slice) -> "MediaRow | ColumnRows":
        if isinstance(index, slice):
            start, stop, _ = index.indices(len(self))
            return ColumnRows(self._table.slice(start, stop - start))
        return next(iter(ColumnRows(self._table.slice(index, 1))))

    def __iter__(self) -> Iterator[MediaRow]:
        return (MediaRow(record, None, None) for record in self._table.to_pylist())


def run_operator(operator: Operator, run: BatchFn, batch: Batch) -> Columns:
    """The operator's columns for a batch, its promise checked, with ``error`` filled.

    When the function raises, each row is tried alone: only the rows that raise get an error.
    """
    try:
        columns = run(batch)
    except PromiseError:
        raise
    except Exception as error:  # whatever an operator raises on a batch must not cost the other rows
        if len(batch) == 1:
            reason = str(error) if isinstance(error, MediaError) else f"{type(error).__name__}: {error}"
            return columns_from(operator.adds, [reason])
        single = [run_operator(operator, run, Batch(batch.table.slice(i, 1), batch.rows[i : i + 1])) for i in range(len(batch))]
        return {name: pa.concat_arrays([c[name] for c in single]) for name in [*operator.adds.names, "error"]}
    check_promise(operator, columns, len(batch))
    return {**columns, "error": columns.get("error", pa.nulls(len(batch), pa.string()))}


def check_promise(operator: Operator, columns: Columns, rows: int) -> None:
    """Raises `PromiseError` for missing, extra, mistyped or wrongly long columns."""
    expected = {f.name: f.type for f in operator.adds}
    found = {name: array.type for name, array in columns.items() if name != "error"}
    if found != expected:
        raise PromiseError(f"Operator '{operator.name}' promised {expected} and returned {found}.")
    lengths = {name: len(array) for name, array in columns.items() if len(array) != rows}
    if lengths:
        raise PromiseError(f"Operator '{operator.name}' was given {rows} rows and returned columns of other lengths: {lengths}.")
