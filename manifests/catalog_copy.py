"""The tables of a DuckLake catalog, copied row by row into another database (SQLite or PostgreSQL).

Both databases have tables of the same names and columns. Types differ where a database lacks DuckDB's: SQLite holds most as text,
PostgreSQL holds text of rows that DuckLake keeps in the catalog (small inserts) as bytes.
"""

import duckdb

from manifests.connection import identifier, quote
from manifests.errors import LakeError

NATIVE = {
    **{name: name for name in ("uuid", "float64", "float32", "boolean", "int64", "int32", "int16", "blob")},
    **{"int8": "int16", "varchar": "blob", "json": "blob"},
}
"""DuckLake's name of a column type -> the type PostgreSQL holds it in; all others as text. (SQLite: see `_held_as`.)"""
SQL = {"float64": "DOUBLE", "float32": "FLOAT", "int64": "BIGINT", "int32": "INTEGER", "int16": "SMALLINT", "int8": "SMALLINT"}
LEFT_OUT = ("ducklake_files_scheduled_for_deletion",)
"""Merged parts wait there for `goldsieve gc`; they are not copied."""


def copy_catalog(connection: duckdb.DuckDBPyConnection, old: str, new: str, data: str) -> None:
    """Fill the empty DuckLake catalog ``new`` with the content of ``old``, for the data path ``data``, in one transaction."""
    attach(connection, old, "old", "READ_ONLY")
    attach(connection, new, "new")
    have = _tables(connection, "new")
    inlined = {name: columns for name, columns in _tables(connection, "old").items() if name.startswith("ducklake_inlined_")}
    types = _inlined_types(connection)
    connection.execute("BEGIN")
    try:
        for name, columns in _tables(connection, "old").items():
            if name in LEFT_OUT:
                continue
            if name in inlined and name not in have:
                made = {column: _held_as(new, kind, types.get(name, {}).get(column)) for column, kind in columns.items()}
                fields = ", ".join(f"{identifier(column)} {kind}" for column, kind in made.items())
                connection.execute(f"CREATE TABLE new.{identifier(name)} ({fields})")
                have[name] = made
            if name not in have:
                raise LakeError(f"The new catalog has no table {name}: both lakes need the same version of DuckLake.")
            connection.execute(f"DELETE FROM new.{identifier(name)}")
            values = ", ".join(_converted(identifier(column), kind, have[name][column]) for column, kind in columns.items())
            names = ", ".join(map(identifier, columns))
            connection.execute(f"INSERT INTO new.{identifier(name)} ({names}) SELECT {values} FROM old.{identifier(name)}")
        connection.execute("UPDATE new.ducklake_metadata SET value = ? WHERE key = 'data_path'", [data])
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def attach(connection: duckdb.DuckDBPyConnection, catalog: str, name: str, *options: str) -> None:
    """Attach the database that holds a catalog, as what it is: tables."""
    connection.execute(f"ATTACH {quote(_path(catalog))} AS {name} ({', '.join((f'TYPE {_kind(catalog)}', *options))})")


def _tables(connection: duckdb.DuckDBPyConnection, database: str) -> dict[str, dict[str, str]]:
    """Tables of an attached database with their columns and types as DuckDB sees them."""
    names = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND starts_with(table_name, 'ducklake_') ORDER BY 1", [database]
    )
    described = {str(name): connection.execute(f"DESCRIBE {database}.{identifier(name)}").fetchall() for (name,) in names.fetchall()}
    return {name: {str(row[0]): str(row[1]) for row in rows} for name, rows in described.items()}


def _inlined_types(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """DuckLake's types of the columns whose rows it keeps in the catalog, by table."""
    rows = connection.execute(
        """SELECT i.table_name, c.column_name, lower(c.column_type) FROM old.ducklake_inlined_data_tables i
        JOIN old.ducklake_column c USING (table_id) WHERE c.parent_column IS NULL"""
    ).fetchall()
    types: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        types.setdefault(str(table), {})[str(column)] = str(kind)
    return types


def _held_as(new: str, old_kind: str, ducklake: str | None) -> str:
    """Type of a column of an inlined table; its own columns (row_id, snapshots) are numbers everywhere."""
    if ducklake is None:
        return old_kind
    if _kind(new) == "sqlite":
        return "BIGINT" if ducklake.startswith("int") or ducklake == "boolean" else "BLOB" if ducklake == "blob" else "VARCHAR"
    held = NATIVE.get(ducklake, "varchar")
    return SQL.get(held, held.upper())


def _converted(column: str, old: str, new: str) -> str:
    """Text and bytes are not cast, which would read escapes."""
    if old == new:
        return column
    if old == "VARCHAR" and new == "BLOB":
        return f"encode({column})"
    if old == "BLOB" and new == "VARCHAR":
        return f"decode({column})"
    return f"CAST({column} AS {new})"


def _kind(catalog: str) -> str:
    return "sqlite" if catalog.startswith("sqlite:") else "postgres"


def _path(catalog: str) -> str:
    return catalog.partition(":")[2]
