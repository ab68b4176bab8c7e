"""The Parquet files that a lake's catalog names: data files and, for rows deleted from them, delete files."""

from dataclasses import dataclass

import duckdb

from manifests.connection import ALIAS

CATALOG = f"__ducklake_metadata_{ALIAS}"
"""DuckLake's name for the catalog of an attached lake."""


@dataclass(frozen=True)
class LakeFile:
    """One file. ``path`` is below the data location, unless ``below`` says that it is not; ``data_file`` is the id of the data file it
    is, or whose rows it deletes; ``current``: the newest snapshot needs it, not only older ones."""

    table: str
    path: str
    below: bool
    data_file: int
    deletes: bool
    rows: int
    size: int
    current: bool


def catalogued(connection: duckdb.DuckDBPyConnection) -> list[LakeFile]:
    """Every file that some snapshot of the lake knows."""
    rows = connection.execute(
        f"""
        WITH files AS (
            SELECT table_id, path, path_is_relative AS below, data_file_id, false AS deletes, record_count AS n, file_size_bytes AS size,
                end_snapshot IS NULL AS is_current FROM {CATALOG}.ducklake_data_file
            UNION ALL SELECT table_id, path, path_is_relative, data_file_id, true, delete_count, file_size_bytes,
                end_snapshot IS NULL FROM {CATALOG}.ducklake_delete_file)
        SELECT arg_max(t.table_name, t.begin_snapshot), s.path || t.path || f.path,
            CAST(f.below AND t.path_is_relative AND s.path_is_relative AS BOOLEAN), data_file_id, deletes, n, size, is_current
        FROM files f JOIN {CATALOG}.ducklake_table t USING (table_id) JOIN {CATALOG}.ducklake_schema s USING (schema_id)
        GROUP BY ALL ORDER BY 2
        """
    ).fetchall()
    return [LakeFile(*row) for row in rows]
