"""References in: new samples are added, changed ones replaced, vanished ones marked.

A sample's identity is (source, key). A key that a source uses more than once gets ordinals 1, 2, ... in listing order, and
keeps them; ``sample_id`` is a hash of source, key and ordinal, so listing the same source again gives the same samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from manifests.schema import REFERENCE


# One definition of each hash, in SQL, because sets of references never visit Python.
def hash_sql(*parts: str) -> str:
    """SQL of the first 128 bits of a SHA-256 over the parts' own SHA-256s (so no separator can be forged)."""
    digests = ", ".join(f"sha256(CAST({part} AS VARCHAR))" for part in parts)
    return f"CAST(substr(sha256(concat({digests})), 1, 32) AS UUID)"


SAMPLE_ID = hash_sql("source", "key", "ordinal")
REF_HASH = hash_sql("uri", "coalesce(CAST(byte_offset AS VARCHAR), 'whole')", "coalesce(CAST(byte_length AS VARCHAR), 'rest')", "stamp")
CAPTION_HASH = hash_sql("CASE WHEN caption IS NULL THEN 'no caption' ELSE 'caption' END", "coalesce(caption, '')", "to_json(captions)")


_TEMPORARY = ("temp.listed", "temp.numbered", "temp.compared")


@dataclass(frozen=True)
class IngestResult:
    """What listing one source changed."""

    source: str
    added: int
    changed: int
    unchanged: int
    vanished: int
    errors: int


def ingest_references(connection: duckdb.DuckDBPyConnection, source: str, scope: str, batches: Iterator[pa.RecordBatch]) -> IngestResult:
    """Bring ``refs`` in line with a listing, in one transaction.

    ``scope``: the listed path. Samples of the source below other paths are left alone; a source may be fed from several.
    """
    try:
        _number(connection, source, scope, batches)
        return _apply(connection, source, scope)
    finally:
        for table in _TEMPORARY:  # they live in memory, and a run goes on for hours with the same connection
            connection.execute(f"DROP TABLE IF EXISTS {table}")


def _number(connection: duckdb.DuckDBPyConnection, source: str, scope: str, batches: Iterator[pa.RecordBatch]) -> None:
    """The listing with ordinals and hashes, as the table ``numbered``."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE listed AS SELECT * FROM {_empty(connection)} LIMIT 0")
    connection.execute("ALTER TABLE listed ADD COLUMN position BIGINT")
    position = 0
    for batch in batches:
        table = pa.Table.from_batches([batch], schema=REFERENCE)
        table = table.append_column("position", pa.array(range(position, position + table.num_rows), type=pa.int64()))
        position += table.num_rows
        connection.register("listing_batch", table)
        connection.execute("INSERT INTO listed SELECT * FROM listing_batch")
        connection.unregister("listing_batch")
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE numbered AS
        SELECT *, {SAMPLE_ID} AS sample_id, {REF_HASH} AS ref_hash, {CAPTION_HASH} AS caption_hash
        FROM (
            SELECT l.* EXCLUDE (nth), CAST(coalesce(here.ordinal, all_of.highest + l.nth - all_of.here, l.nth) AS INTEGER) AS ordinal
            FROM (SELECT *, row_number() OVER (PARTITION BY key ORDER BY position) AS nth FROM listed) l
            LEFT JOIN (
                SELECT key, ordinal, row_number() OVER (PARTITION BY key ORDER BY ordinal) AS nth
                FROM refs WHERE source = $source AND listed_in = $scope
            ) here ON here.key = l.key AND here.nth = l.nth
            LEFT JOIN (
                SELECT key, max(ordinal) AS highest, count(*) FILTER (listed_in = $scope) AS here
                FROM refs WHERE source = $source GROUP BY key
            ) all_of ON all_of.key = l.key
        )
        """,
        {"source": source, "scope": scope},
    )
    connection.execute("DROP TABLE listed")


def _apply(connection: duckdb.DuckDBPyConnection, source: str, scope: str) -> IngestResult:
    content = ("ref_hash", "caption_hash", "captions", "metadata", "license", "author", "source_url", "modality", '"error"')
    same = " AND ".join(f"r.{c} IS NOT DISTINCT FROM n.{c}" for c in content) + " AND NOT r.vanished"
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE compared AS
        SELECT n.sample_id, r.sample_id IS NULL AS is_new, r.sample_id IS NOT NULL AND NOT ({same}) AS is_changed,
            n."error" IS NOT NULL AS is_bad
        FROM numbered n LEFT JOIN (SELECT * FROM refs WHERE source = $source) r USING (sample_id)
        """,
        {"source": source},
    )
    counts = connection.execute(
        "SELECT count(*) FILTER (is_new), count(*) FILTER (is_changed), count(*) FILTER (is_bad), count(*) FROM compared"
    ).fetchone()
    assert counts is not None
    gone = "source = ? AND listed_in = ? AND NOT vanished AND sample_id NOT IN (SELECT sample_id FROM numbered)"
    vanished = connection.execute(f"SELECT count(*) FROM refs WHERE {gone}", [source, scope]).fetchone()
    assert vanished is not None
    if counts[1]:
        connection.execute("DELETE FROM refs WHERE sample_id IN (SELECT sample_id FROM compared WHERE is_changed)")
    if vanished[0]:
        connection.execute(f"UPDATE refs SET vanished = true WHERE {gone}", [source, scope])
    if counts[0] or counts[1]:
        connection.execute(
            """
            INSERT INTO refs BY NAME
            SELECT n.* EXCLUDE (position), $scope AS listed_in, false AS vanished, now() AS ingested_at
            FROM numbered n JOIN compared c USING (sample_id) WHERE c.is_new OR c.is_changed ORDER BY n.position
            """,
            {"scope": scope},
        )
    added, changed, bad, listed = counts
    return IngestResult(source, added, changed, listed - added - changed, vanished[0], bad)


def _empty(connection: duckdb.DuckDBPyConnection) -> str:
    connection.register("reference_schema", REFERENCE.empty_table())
    return "reference_schema"
