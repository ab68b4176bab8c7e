"""Parts that workers wrote become rows of a table."""

from duckdb import DuckDBPyConnection

from manifests.connection import ALIAS, identifier, quote


def register(connection: DuckDBPyConnection, table: str, paths: list[str]) -> list[str]:
    """Add the files as they are when all their keys are new; else insert the new rows only and return the files, now useless."""
    files = "[" + ", ".join(quote(p) for p in paths) + "]"
    key, same = ("ref_hash", "") if table == "media" else ("key", "AND t.fingerprint = n.fingerprint")
    source = f"read_parquet({files})"
    clash = connection.execute(
        f"""
        SELECT (SELECT count(*) - count(DISTINCT {key}) FROM {source})
             + (SELECT count(*) FROM {source} n SEMI JOIN {identifier(table)} t ON t.{key} = n.{key} {same})
        """
    ).fetchone()
    assert clash is not None
    if clash[0] == 0:
        for path in paths:
            connection.execute(f"CALL ducklake_add_data_files('{ALIAS}', {quote(table)}, {quote(path)})")
        return []
    connection.execute(
        f"""
        INSERT INTO {identifier(table)} BY NAME
        SELECT DISTINCT ON ({key}) n.* FROM {source} n ANTI JOIN {identifier(table)} t ON t.{key} = n.{key} {same}
        """
    )
    return paths
