"""Are two lakes equal? Row counts and content hashes of every table and view, computed in SQL."""

from dataclasses import dataclass

import duckdb

from manifests.connection import ALIAS, identifier


@dataclass(frozen=True)
class Digest:
    """``rows`` of a relation and a hash of them that does not depend on their order."""

    rows: int
    hash: str


def relations(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Names of the lake's tables and views, sorted."""
    found = connection.execute(
        """SELECT table_name FROM duckdb_tables() WHERE database_name = $lake AND NOT temporary
        UNION ALL SELECT view_name FROM duckdb_views() WHERE database_name = $lake AND NOT internal ORDER BY 1""",
        {"lake": ALIAS},
    ).fetchall()
    return [str(name) for (name,) in found]


def digest(connection: duckdb.DuckDBPyConnection, relation: str, without: tuple[str, ...] = ()) -> Digest:
    """Of one relation. A row's hash is 64 bits of the MD5 of its text; the sum of all is equal for equal rows in any order."""
    names = [name for name, *_ in connection.execute(f"DESCRIBE {identifier(relation)}").fetchall() if name not in without]
    row = ", ".join(map(identifier, names))
    hashed = f"sum(CAST(md5_number_lower(CAST(row({row}) AS VARCHAR)) AS HUGEINT))"
    count, total = connection.execute(f"SELECT count(*), {hashed} FROM {identifier(relation)}").fetchone() or (0, 0)
    return Digest(int(count), f"{int(total or 0):x}")
