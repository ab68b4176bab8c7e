"""Parquet parts: what workers write and the driver registers.

A part that no transaction registered is invisible; ``goldsieve gc`` collects it.
"""

import contextlib
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from manifests.errors import StorageError, first_line
from manifests.schema import MEDIA
from manifests.storage import filesystem, is_remote

ROW_GROUP = 122_880
"""Rows that DuckDB writes and reads as one group."""


@dataclass(frozen=True)
class Part:
    """One written file: its table, its path, and what the driver needs to know without opening it."""

    table: str
    path: str
    rows: int
    errors: int


def signal_schema(adds: pa.Schema) -> pa.Schema:
    """Columns of an operator's signal table."""
    head = [pa.field("key", pa.uuid()), pa.field("fingerprint", pa.string()), pa.field("run_id", pa.uuid())]
    return pa.schema([*head, *(f.remove_metadata() for f in adds), pa.field("error", pa.string())])


def signal_part(
    data: str, table: str, adds: pa.Schema, keys: pa.Array, fingerprint: str, run_id: uuid.UUID, columns: Mapping[str, pa.Array]
) -> Part:
    """Write one operator's results for some rows as a part of ``table`` below the lake's data path ``data``."""
    rows = len(keys)
    constant = {"key": keys, "fingerprint": pa.repeat(fingerprint, rows), "run_id": uuids([run_id] * rows)}
    error = columns.get("error", pa.nulls(rows, pa.string()))
    schema = signal_schema(adds)
    arrays = [{**constant, **columns, "error": error}[name] for name in schema.names]
    import pyarrow.compute as pc  # here, because it takes longer to import than a short command to run

    # By key: keys are hashes, so that the first rows of a table are a fair sample of all (`quality.percentiles`).
    order = pc.sort_indices(keys.cast(pa.binary(16)))
    return write_part(data, table, pa.table(arrays, schema=schema).take(order))


def media_part(data: str, facts: Sequence[Mapping[str, Any]]) -> Part:
    """Write what reading some references told as a part of the table ``media``."""
    arrays = [
        uuids([fact.get(f.name) for fact in facts]) if f.type == pa.uuid() else pa.array([fact.get(f.name) for fact in facts], type=f.type)
        for f in MEDIA
    ]
    return write_part(data, "media", pa.table(arrays, schema=MEDIA))


def write_part(data: str, table: str, rows: pa.Table) -> Part:
    """Write rows below ``data`` under a new name, complete or not at all."""
    import pyarrow.parquet as pq  # here for the same reason as above

    system, base = filesystem(data)
    folder = f"{base}/main/{table}"
    name = f"part-{uuid.uuid4()}.parquet"
    # An object store shows a file when it is complete. On a disk it gets its name only then.
    started = f"{folder}/{name}" if is_remote(data) else f"{folder}/.{name}"
    try:
        system.create_dir(folder, recursive=True)
        with system.open_output_stream(started) as out:
            pq.write_table(rows, out, compression="zstd", row_group_size=ROW_GROUP, write_page_checksum=True)
        if not is_remote(data):
            system.move(started, f"{folder}/{name}")
    except OSError as error:
        with contextlib.suppress(OSError):  # on a full disk every byte counts
            system.delete_file(started)
        raise StorageError(
            f"A part of {table} cannot be written to {os.path.join(data, 'main', table)}: {_reason(error)} "
            "What was stored before is safe; fix that and run again."
        ) from error
    errors = rows.num_rows - rows.column("error").null_count if "error" in rows.column_names else 0
    return Part(table, os.path.join(data, "main", table, name), rows.num_rows, errors)


def _reason(error: OSError) -> str:
    text = os.strerror(error.errno) if error.errno else first_line(error)[:300]
    return text.rstrip(".") + "."


def uuids(values: list[uuid.UUID | None]) -> pa.Array:
    """UUIDs as the Arrow type the lake uses."""
    storage = pa.array([None if v is None else v.bytes for v in values], type=pa.binary(16))
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)
