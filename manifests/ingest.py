"""References in: new samples are added, changed ones replaced, vanished ones marked.

A sample's identity is (source, key). A key that a source uses more than once gets ordinals 1, 2, ... in listing order, and
keeps them; ``sample_id`` is a hash of source, key and ordinal, so listing the same source again gives the same samples.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import duckdb
import pyarrow as pa

from manifests.connection import identifier, quote
from manifests.schema import REFERENCE

TOGETHER, TOGETHER_BYTES = 16, 128 << 20
"""At most so many batches are added in one statement, which the threads of DuckDB share, and none once they are so large."""


# One definition of each hash, in SQL, because sets of references never visit Python.
def hash_sql(*parts: str) -> str:
    """SQL of the first 128 bits of a SHA-256 over the parts' own SHA-256s (so no separator can be forged)."""
    return _together(*map(_digest, parts))


def sample_id_sql(source: str | None = None) -> str:
    """SQL of a sample's id from source, key and ordinal; of samples of one source only when it is named."""
    return _together(_digest("source") if source is None else _constant(source), _digest("key"), _usually("1", "ordinal"))


def _together(*digests: str) -> str:
    return f"CAST(substr(sha256(concat({', '.join(digests)})), 1, 32) AS UUID)"


def _digest(part: str) -> str:
    return f"sha256(CAST({part} AS VARCHAR))"


def _constant(text: str) -> str:
    """A digest that is not computed for every row."""
    return quote(hashlib.sha256(text.encode()).hexdigest())


def _usually(value: str, part: str) -> str:
    """The digest of a part that nearly always has this value."""
    return f"CASE WHEN {part} = {value} THEN {_constant(value)} ELSE {_digest(part)} END"


def _or(absent: str, part: str) -> str:
    """The digest of a part, or of a word that stands for its absence."""
    return f"CASE WHEN {part} IS NULL THEN {_constant(absent)} ELSE {_digest(part)} END"


REF_HASH = _together(_digest("uri"), _or("whole", "byte_offset"), _or("rest", "byte_length"), _digest("stamp"))
CAPTION_HASH = _together(
    f"CASE WHEN caption IS NULL THEN {_constant('no caption')} ELSE {_constant('caption')} END",
    _or("", "caption"),
    _digest("to_json(captions)"),
)

_INSERT = """
INSERT INTO refs BY NAME
SELECT listed.* EXCLUDE (position), $scope AS listed_in, false AS vanished, now() AS ingested_at"""
_TEMPORARY = ("temp.listed", "temp.compared")


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
    """Bring ``refs`` in line with a listing, inside the caller's transaction.

    ``batches`` have the schema `REFERENCE`. ``scope``: the listed path. Samples of the source below other paths are left alone; a
    source may be fed from several.
    """
    try:
        _list(connection, source, batches)
        _number(connection, source, scope)
        known = connection.execute("SELECT 1 FROM refs WHERE source = ? LIMIT 1", [source]).fetchone()
        return _apply(connection, source, scope) if known else _add(connection, source, scope)
    finally:
        for table in _TEMPORARY:  # they live in memory, and a run goes on for hours with the same connection
            connection.execute(f"DROP TABLE IF EXISTS {table}")


def _list(connection: duckdb.DuckDBPyConnection, source: str, batches: Iterator[pa.RecordBatch]) -> None:
    """Put the listing with its hashes into the table ``listed``, every sample with the ordinal 1 (`_number` gives the others)."""
    rows = f"""
        SELECT *, {sample_id_sql(source)} AS sample_id, {REF_HASH} AS ref_hash, {CAPTION_HASH} AS caption_hash
        FROM (SELECT *, CAST(1 AS INTEGER) AS ordinal FROM listing_batch)"""
    connection.register("listing_batch", REFERENCE.empty_table().append_column("position", pa.array([], pa.int64())))
    columns = connection.execute(f"DESCRIBE {rows}").fetchall()
    # Not CREATE TABLE AS: in one transaction with an empty one, DuckDB 1.5.5 loses what is then inserted by several threads.
    connection.execute(f"CREATE OR REPLACE TEMP TABLE listed ({', '.join(f'{identifier(c[0])} {c[1]}' for c in columns)})")
    position = 0
    with ThreadPoolExecutor(1) as pool:  # what comes next is listed while these are hashed

        def listed() -> Future[list[pa.RecordBatch]]:
            return pool.submit(_some, batches)

        coming = listed()
        while some := coming.result():
            coming = listed()
            table = pa.Table.from_batches(some, schema=REFERENCE)
            table = table.append_column("position", pa.array(range(position, position + table.num_rows), type=pa.int64()))
            position += table.num_rows
            connection.register("listing_batch", table)
            connection.execute(f"INSERT INTO listed {rows}")
    connection.unregister("listing_batch")


def _some(batches: Iterator[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """The next batches, within `TOGETHER` and `TOGETHER_BYTES`; none at the end."""
    found: list[pa.RecordBatch] = []
    for batch in islice(batches, TOGETHER):
        found.append(batch)
        if sum(one.nbytes for one in found) > TOGETHER_BYTES:
            break
    return found


def _number(connection: duckdb.DuckDBPyConnection, source: str, scope: str) -> None:
    """Number the samples whose key occurs more than once: in this listing, in an earlier one of it, or below another path of the source.

    A sample keeps the ordinal it had; a new one gets the next after the highest. All others have 1 already.
    """
    connection.execute(
        f"""
        UPDATE listed SET ordinal = numbered.ordinal, sample_id = numbered.sample_id
        FROM (
            SELECT position, ordinal, {sample_id_sql(source)} AS sample_id FROM (
                SELECT l.position, l.key,
                    CAST(coalesce(here.ordinal, all_of.highest + l.nth - all_of.here, l.nth) AS INTEGER) AS ordinal
                FROM (
                    SELECT key, position, row_number() OVER (PARTITION BY key ORDER BY position) AS nth
                    FROM listed WHERE hash(key) IN (
                        SELECT hash(key) FROM listed GROUP BY ALL HAVING count(*) > 1
                        UNION SELECT hash(key) FROM refs WHERE source = $source AND (ordinal > 1 OR listed_in <> $scope)
                    )
                ) l
                LEFT JOIN (
                    SELECT key, ordinal, row_number() OVER (PARTITION BY key ORDER BY ordinal) AS nth
                    FROM refs WHERE source = $source AND listed_in = $scope
                ) here ON here.key = l.key AND here.nth = l.nth
                LEFT JOIN (
                    SELECT key, max(ordinal) AS highest, count(*) FILTER (listed_in = $scope) AS here
                    FROM refs WHERE source = $source GROUP BY key
                ) all_of ON all_of.key = l.key
            ) WHERE ordinal <> 1
        ) numbered WHERE numbered.position = listed.position
        """,
        {"source": source, "scope": scope},
    )


def _add(connection: duckdb.DuckDBPyConnection, source: str, scope: str) -> IngestResult:
    """All of a new source: there is nothing to compare with."""
    connection.execute(f"{_INSERT} FROM listed", {"scope": scope})
    counts = connection.execute('SELECT count(*), count("error") FROM listed').fetchone()
    assert counts is not None
    return IngestResult(source, counts[0], 0, 0, 0, counts[1])


def _apply(connection: duckdb.DuckDBPyConnection, source: str, scope: str) -> IngestResult:
    """Add what is new, replace what has changed, mark what has vanished."""
    content = ("ref_hash", "caption_hash", "captions", "metadata", "license", "author", "source_url", "modality", '"error"')
    same = " AND ".join(f"r.{c} IS NOT DISTINCT FROM n.{c}" for c in content) + " AND NOT r.vanished"
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE compared AS
        SELECT n.sample_id, r.sample_id IS NULL AS is_new, r.sample_id IS NOT NULL AND NOT ({same}) AS is_changed,
            n."error" IS NOT NULL AS is_bad
        FROM listed n LEFT JOIN (SELECT * FROM refs WHERE source = $source) r USING (sample_id)
        """,
        {"source": source},
    )
    counts = connection.execute(
        "SELECT count(*) FILTER (is_new), count(*) FILTER (is_changed), count(*) FILTER (is_bad), count(*) FROM compared"
    ).fetchone()
    assert counts is not None
    gone = "source = ? AND listed_in = ? AND NOT vanished AND sample_id NOT IN (SELECT sample_id FROM listed)"
    vanished = connection.execute(f"SELECT count(*) FROM refs WHERE {gone}", [source, scope]).fetchone()
    assert vanished is not None
    if counts[1]:
        connection.execute("DELETE FROM refs WHERE sample_id IN (SELECT sample_id FROM compared WHERE is_changed)")
    if vanished[0]:
        connection.execute(f"UPDATE refs SET vanished = true WHERE {gone}", [source, scope])
    if counts[0] or counts[1]:
        connection.execute(
            f"{_INSERT} FROM listed JOIN compared c USING (sample_id) WHERE c.is_new OR c.is_changed ORDER BY position", {"scope": scope}
        )
    added, changed, bad, listed = counts
    return IngestResult(source, added, changed, listed - added - changed, vanished[0], bad)
