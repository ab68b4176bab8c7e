"""All that the manifest has of a few samples, as small tables beside it.

DuckDB cannot skip a part of a Parquet file by the bounds of a UUID, so whoever looks up a row reads the keys of the whole table,
16 bytes each. A question about one sample needs some rows twice or three times, so each table is read once, into memory.
"""

from collections.abc import Iterable, Sequence

import duckdb

from manifests.connection import id_list, identifier, quote
from manifests.tables import samples_sql, signal_table
from manifests.wide import EXACT, FOLLOWS, KEY_COLUMN, KINDS, LAST_RECIPE, NEAR, CurrentOperator, used_operators, wide_sql, words_of

FEW = "few_"
"""How the names of these tables begin: ``few_refs`` has rows of ``refs``."""
FEW_SAMPLES = f"({samples_sql('few_refs', 'few_media')})"


def copy_few(connection: duckdb.DuckDBPyConnection, operators: Sequence[CurrentOperator], sample_ids: Iterable[str], *texts: str) -> None:
    """Make ``few_refs``, ``few_media``, ``few_tiers`` and ``few_signal_*`` with the rows of these samples, in place of those of the call
    before. Of the tables for signals and tiers only those that columns named in these pieces of SQL need."""
    words = words_of(*texts)
    ids = list(sample_ids)
    _copy(connection, "refs", "sample_id", ids)
    _copy(connection, "media", "ref_hash", _column(connection, "ref_hash", "few_refs"))
    if words is None or words & {"tier", "failed_rules"}:
        _copy(connection, "tiers", "sample_id", ids, f"recipe = ({LAST_RECIPE})")
    rows = connection.execute(f"SELECT {', '.join(KEY_COLUMN.values())} FROM {FEW_SAMPLES}").fetchall()
    keys = {kind: [row[place] for row in rows] for place, kind in enumerate(KEY_COLUMN)}
    names = used_operators(operators, None if words and "error" in words else words)
    kept = list(keys["sample"])  # with what these are copies of, as an operator may have looked at that instead
    for operator in sorted(operators, key=lambda o: list(KINDS).index(o.name) if o.name in KINDS else 0):
        if operator.name in names:
            wanted = kept if operator.name in FOLLOWS else keys[operator.keyed_by]
            table = signal_table(operator.name)
            _copy(connection, table, "key", wanted, f"fingerprint = {quote(operator.fingerprint)}")
            if operator.name in (EXACT, NEAR):
                kept += _column(connection, f"{KINDS[operator.name][1]}_duplicate_of", FEW + table)


def few_rows_sql(operators: Sequence[CurrentOperator], *texts: str) -> str:
    """SQL of the rows that ``wide`` has for the samples of `copy_few`, with the columns of `manifests.wide.narrow`."""
    return wide_sql(operators, words_of(*texts), FEW_SAMPLES, FEW)


def _copy(connection: duckdb.DuckDBPyConnection, table: str, key: str, values: Sequence[object], also: str = "TRUE") -> None:
    found = f"{key} IN {id_list(values)} AND {also}"
    if len(set(values)) > 1:  # DuckDB reads all columns of a table for more than one value of a key, but not for numbers of rows
        found = f"rowid IN (SELECT rowid FROM {identifier(table)} WHERE {found})"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {identifier(FEW + table)} AS SELECT * FROM {identifier(table)} WHERE {found}")


def _column(connection: duckdb.DuckDBPyConnection, column: str, relation: str) -> list[object]:
    return [value for (value,) in connection.execute(f"SELECT {column} FROM {relation}").fetchall()]
