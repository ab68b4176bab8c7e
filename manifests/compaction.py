"""Many small parts become few large ones, sorted by key.

Workers write a part every few thousand samples, so that little is lost when one dies. A thousand samples a file would make
every later query open thousands of files; and keys are hashes, so in unsorted files each of them may hold any key.
DuckLake merges files without losing time travel. The small ones stay on disk until ``goldsieve gc``, for whoever reads them now.
"""

import duckdb

from manifests.connection import ALIAS, identifier

SMALL_FILES = 64
"""A table with at least so many files, smaller than `SMALL_BYTES` on average, is merged."""
SMALL_BYTES = 32 << 20


def compact(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Merge the parts of tables that have many; returns the tables' names."""
    found = connection.execute(
        f"""
        SELECT table_name FROM ducklake_table_info('{ALIAS}')
        WHERE file_count >= {SMALL_FILES} AND file_size_bytes < file_count * {SMALL_BYTES}
            AND (table_name = 'media' OR starts_with(table_name, 'signal_'))
        ORDER BY table_name
        """
    ).fetchall()
    tables = [str(name) for (name,) in found]
    for table in tables:
        connection.execute(f"ALTER TABLE {identifier(table)} SET SORTED BY ({'ref_hash' if table == 'media' else 'key'} ASC)")
        connection.execute(f"CALL ducklake_merge_adjacent_files('{ALIAS}', '{table}')")
    return tables
