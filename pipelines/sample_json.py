"""The ``.json`` of a sample: everything the manifest knows about it, in a form that is the same on every run."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

ROWS_AT_ONCE = 256
Row = Mapping[str, Any]


def described(rows: pa.Table) -> Iterator[tuple[Row, bytes]]:
    """Every row as a mapping, with its JSON text: sorted keys, ASCII, one line."""
    for start in range(0, rows.num_rows, ROWS_AT_ONCE):
        part = rows.slice(start, ROWS_AT_ONCE)
        columns = [plain(column) for column in part.columns]
        for values in zip(*columns, strict=True):
            row = dict(zip(part.column_names, values, strict=True))
            yield row, json_text(row)


def plain(column: pa.ChunkedArray) -> Sequence[Any]:
    """A column as Python values fit for JSON.

    Floats that are not finite become null. 32-bit floats are given the shortest decimal that reads back as the same
    32-bit float (0.1, not 0.10000000149011612). Unsigned 64-bit numbers (hashes) become 16 hex digits: most JSON
    readers, Arrow's among them, hold 63 bits at most.
    """
    kind = column.type
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, kind))
        if not pa.types.is_float64(kind):
            column = pc.cast(pc.cast(column, pa.string()), pa.float64())
    values: list[Any] = column.to_pylist()
    if pa.types.is_uint64(kind):
        return [None if value is None else f"{value:016x}" for value in values]
    return values


def json_text(row: Row) -> bytes:
    """``row`` as a JSON object; ``metadata`` is nested when it is JSON, else kept as text."""
    try:
        record = {**row, "metadata": json.loads(row["metadata"])} if row.get("metadata") else row
    except (ValueError, RecursionError):  # not JSON, or nested deeper than Python follows
        record = row
    for attempt in (record, row):
        try:
            return _dump(attempt)
        except ValueError:
            return _dump(_finite(attempt))
        except RecursionError:
            continue
    raise AssertionError("a row of the manifest is not nested")


def _dump(record: Any) -> bytes:
    return json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_text).encode("ascii")


def _text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    return [_finite(v) for v in value] if isinstance(value, list) else value
