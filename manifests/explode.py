"""Clips of videos become samples: rows that name their parent and a span of its time. Nothing is written but rows."""

from dataclasses import dataclass

import duckdb

from manifests.connection import quote
from manifests.ingest import hash_sql, sample_id_sql
from manifests.tables import signal_table

LISTED_IN = "#clips"
"""``listed_in`` of clips: listing a source again leaves them alone; they follow the videos they come from."""
CLIP_HASH = hash_sql("parent_media_hash", "span_start_s", "span_end_s")
"""Content address of a clip: of its parent's content and the span."""


@dataclass(frozen=True)
class Exploded:
    """What exploding changed. ``clips``: there now."""

    clips: int
    added: int
    removed: int


def explode_clips(connection: duckdb.DuckDBPyConnection, fingerprint: str) -> Exploded:
    """Bring the clip samples in line with what the operator `clips` of this fingerprint says of the videos that are there.

    A clip has its parent's source, caption and metadata; its key is the parent's with ``#t=START,END`` (W3C Media Fragments, seconds).
    A clip that is no longer wanted is marked as vanished, like a file that is gone.
    """
    reference = hash_sql("uri", "coalesce(CAST(byte_offset AS VARCHAR), 'whole')", "stamp", "span_start_s", "span_end_s")
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE wanted_clips AS
        SELECT *, {sample_id_sql()} AS sample_id, {reference} AS ref_hash, {CLIP_HASH} AS media_hash
        FROM (
            SELECT r.source, printf('%s#t=%.3f,%.3f', r.key, c.start_s, c.end_s) AS key, r.ordinal, r.uri, r.byte_offset, r.byte_length,
                r.stamp, r.modality, r.caption, r.captions, r.caption_hash, r.metadata, r.license, r.author, r.source_url,
                r.sample_id AS parent_id,
                c.start_s AS span_start_s, c.end_s AS span_end_s, m.media_hash AS parent_media_hash, m.format, m.width, m.height, m.fps
            FROM refs r JOIN media m ON m.ref_hash = r.ref_hash
            JOIN (SELECT key, unnest(clips) AS c FROM {signal_table("clips")} WHERE fingerprint = {quote(fingerprint)}) s
            ON s.key = m.media_hash
            WHERE r.modality = 'video' AND r.parent_id IS NULL AND NOT r.vanished
        )
        """
    )
    have = "SELECT sample_id, ref_hash, caption_hash, metadata FROM refs WHERE parent_id IS NOT NULL AND NOT vanished"
    same = "h.ref_hash = w.ref_hash AND h.caption_hash = w.caption_hash AND h.metadata IS NOT DISTINCT FROM w.metadata"
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE new_clips AS "
        f"SELECT w.* FROM wanted_clips w ANTI JOIN ({have}) h ON h.sample_id = w.sample_id AND {same}"
    )
    try:
        total, added = (_count(connection, table) for table in ("wanted_clips", "new_clips"))
        gone = "parent_id IS NOT NULL AND NOT vanished AND sample_id NOT IN (SELECT sample_id FROM wanted_clips)"
        removed = _count(connection, f"refs WHERE {gone}")
        if removed:
            connection.execute(f"UPDATE refs SET vanished = true WHERE {gone}")
        if added:
            connection.execute("DELETE FROM refs WHERE sample_id IN (SELECT sample_id FROM new_clips)")
            connection.execute(
                f"""
                INSERT INTO refs BY NAME SELECT * EXCLUDE (parent_media_hash, media_hash, format, width, height, fps),
                    {quote(LISTED_IN)} AS listed_in, false AS vanished, now() AS ingested_at
                FROM new_clips ORDER BY source, uri, byte_offset, span_start_s
                """
            )
            connection.execute(
                """
                INSERT INTO media BY NAME SELECT DISTINCT ON (ref_hash) ref_hash, media_hash, format, width, height, fps,
                    span_end_s - span_start_s AS duration_s
                FROM new_clips n WHERE ref_hash NOT IN (SELECT ref_hash FROM media)
                """
            )
    finally:
        for table in ("wanted_clips", "new_clips"):
            connection.execute(f"DROP TABLE IF EXISTS temp.{table}")
    return Exploded(total, added, removed)


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(row[0]) if row else 0
