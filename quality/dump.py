"""Everything known as one plain ``.duckdb`` file that any DuckDB client opens: tables, the views over them, small pictures."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from manifests import Lake
from manifests.connection import identifier, quote
from manifests.errors import UsageError
from manifests.tables import samples_sql
from manifests.wide import PLACE_COLUMNS, create_wide, narrow
from quality.sql_guard import check_query, relation_columns

_PICTURE_FIELDS: tuple[pa.Field, ...] = (
    pa.field("sample_id", pa.string()),
    pa.field("width", pa.int32()),
    pa.field("height", pa.int32()),
    pa.field("picture", pa.binary()),
    pa.field("why", pa.string()),
)
PICTURES = pa.schema(_PICTURE_FIELDS)
"""What the drawing of thumbnails yields; ``picture`` is a JPEG, or null with the reason in ``why``."""
Draw = Callable[[list[dict[str, Any]]], pa.Table]
PICTURES_AT_ONCE = 1000


def dump(lake: Lake, path: Path, query: str | None = None, draw: Draw | None = None, overwrite: bool = False) -> dict[str, int]:
    """Write the file; returns the rows of every table in it.

    Without ``query``: all tables of the lake as they are now, and the views over them. With it: the table ``result``, and, when it
    has a column ``sample_id``, the table ``wide`` with these samples. ``draw`` adds the table ``thumbnails`` for the samples of
    ``wide``. The file appears when it is complete. Raises `UsageError` for a file that is there already, `SqlError` for the query.
    """
    if path.exists() and not overwrite:
        raise UsageError(f"{path} already exists. Give --overwrite to replace it.")
    if query is not None:
        check_query(lake.connection, query)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        lake.connection.execute(f"ATTACH {quote(str(new))} AS dump")
        try:
            _fill(lake, query)
        finally:
            lake.connection.execute("DETACH dump")
        with duckdb.connect(str(new)) as plain:
            plain.execute("SET TimeZone = 'UTC'")
            if query is None:
                plain.execute(f"CREATE OR REPLACE VIEW samples AS {samples_sql()}")
                create_wide(plain)
            if draw is not None:
                _thumbnails(plain, draw)
            counts = _counts(plain)
        os.replace(new, path)
        return counts
    finally:
        for left in (new, new.with_name(new.name + ".wal")):
            left.unlink(missing_ok=True)


def _fill(lake: Lake, query: str | None) -> None:
    connection = lake.connection
    if query is None:
        names = [
            str(r[0])
            for r in connection.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake' ORDER BY 1").fetchall()
        ]
        for name in names:
            connection.execute(f"CREATE TABLE dump.{identifier(name)} AS SELECT * FROM lake.{identifier(name)}")
        return
    connection.execute(f"CREATE TABLE dump.result AS {query}")
    columns = relation_columns(connection, "dump.result")
    if columns.get("sample_id") in ("UUID", "VARCHAR"):
        connection.execute(
            f"""CREATE TABLE dump.wide AS SELECT * FROM {narrow(connection, "columns")}
            WHERE sample_id IN (SELECT TRY_CAST(sample_id AS UUID) FROM dump.result)"""
        )


def _thumbnails(plain: duckdb.DuckDBPyConnection, draw: Draw) -> None:
    if not plain.execute("SELECT count(*) FROM duckdb_columns() WHERE table_name = 'wide'").fetchone()[0]:  # type: ignore[index]
        raise UsageError("Thumbnails need samples: let the query return the column sample_id.")
    plain.execute("CREATE TABLE thumbnails (sample_id UUID, width INTEGER, height INTEGER, picture BLOB, why VARCHAR)")
    with plain.cursor() as reading:
        reading.execute(
            f"""SELECT CAST(sample_id AS VARCHAR) AS id, {", ".join(PLACE_COLUMNS)}, sample_error AS "error"
            FROM wide ORDER BY uri, byte_offset"""
        )
        names = [column[0] for column in reading.description or ()]
        while rows := reading.fetchmany(PICTURES_AT_ONCE):
            plain.register("new_thumbnails", draw([dict(zip(names, row, strict=True)) for row in rows]))
            plain.execute("INSERT INTO thumbnails SELECT CAST(sample_id AS UUID), width, height, picture, why FROM new_thumbnails")
            plain.unregister("new_thumbnails")


def _counts(plain: duckdb.DuckDBPyConnection) -> dict[str, int]:
    names = [str(r[0]) for r in plain.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY 1").fetchall()]
    return {name: int((plain.execute(f"SELECT count(*) FROM {identifier(name)}").fetchone() or (0,))[0]) for name in names}
