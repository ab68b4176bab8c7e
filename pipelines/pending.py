"""What still lacks a current signal: the question that makes every run a resumed one."""

from typing import Any

import pyarrow as pa

from manifests import Lake
from manifests.connection import identifier, quote
from manifests.tables import signal_table
from manifests.wide import KEY_COLUMN, current_operators, narrow
from operators.base import Updatable
from pipelines.passes import OperatorUse, Pass

REFERENCE_COLUMNS = (
    *("sample_id", "ref_hash", "uri", "byte_offset", "byte_length", "media_hash", "caption_hash"),
    *("modality", "span_start_s", "span_end_s"),
)
TODO = "todo"
"""Bit ``i`` is set where operator ``i`` of the pass lacks a result for the row."""
DIGEST = "SELECT concat(count(*), ':', bit_xor(hash(c))) FROM {} c"
KEY = "goldsieve_key"
"""What the result will be stored under, in passes that do not read media (the others know it after reading)."""


def find_pending(lake: Lake, run: Pass, only: str = "") -> int:
    """Find the rows to measure in a pass, one for each distinct content, and return how many; `pending_wave` fetches them.

    ``only``: SQL that limits the samples considered (``--sample``). A sample whose bytes could not be read is not
    asked again (``goldsieve retry`` clears that).
    """
    key = KEY_COLUMN[run.keyed_by]
    todo, joins = [], []
    for i, use in enumerate(run.uses):
        done = f"done{i}"
        joins.append(
            f"LEFT JOIN (SELECT key FROM {identifier(signal_table(use.name))} WHERE fingerprint = {quote(use.fingerprint)}) {done} "
            f"ON {done}.key = w.{key}"
        )
        when = f"AND coalesce(({use.when}), false)" if use.when else ""
        when += f" AND {_videos_sql(lake, use)}" if run.modality == "video" or use.operator.reads.videos == "whole" else ""
        todo.append(f"CASE WHEN {done}.key IS NULL {when} THEN {1 << i} ELSE 0 END")
    if run.reads_media:
        # Bytes that could not be read leave no hash; bytes that were not read yet have none.
        ready = f"w.modality = {quote(run.modality)} AND (w.sample_error IS NULL OR w.media_hash IS NOT NULL)"
        content = {"media": "coalesce(media_hash, ref_hash)", "pair": "coalesce(media_hash, ref_hash), caption_hash"}.get(run.keyed_by, key)
    else:
        ready, content = f"w.{key} IS NOT NULL", key
    wide = narrow(lake.connection, only, *(use.when for use in run.uses))
    lake.connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE pending AS
        SELECT row_number() OVER (ORDER BY uri, byte_offset, sample_id) AS n, sample_id, {TODO} FROM (
            SELECT w.sample_id, w.uri, w.byte_offset, w.ref_hash, w.media_hash, w.caption_hash, w.pair_hash,
                CAST({" | ".join(f"({t})" for t in todo)} AS BIGINT) AS {TODO}
            FROM {wide} w {" ".join(joins)}
            WHERE ({ready}) {f"AND ({only})" if only else ""}
        ) WHERE {TODO} > 0
        QUALIFY row_number() OVER (PARTITION BY {content} ORDER BY uri, byte_offset, sample_id) = 1
        """
    )
    return int(lake.value("SELECT count(*) FROM pending"))


def _videos_sql(lake: Lake, use: OperatorUse) -> str:
    """Which videos an operator looks at: a video that was split into shots is looked at clip by clip."""
    videos = use.operator.reads.videos
    if videos == "any":
        return "true"
    if videos == "whole":
        return "w.parent_id IS NULL AND w.modality = 'video'"
    fingerprint = next((o.fingerprint for o in current_operators(lake.connection) if o.name == "clips"), None)
    if fingerprint is None:
        return "true"
    split = f"SELECT key FROM {signal_table('clips')} WHERE fingerprint = {quote(fingerprint)}"
    return f"(w.parent_id IS NOT NULL OR w.media_hash IS NULL OR w.media_hash NOT IN ({split}))"


def pending_wave(lake: Lake, run: Pass, first: int, count: int) -> pa.Table:
    """``count`` pending rows from the ``first`` on (0-based) with the columns that the pass's operators read."""
    read = sorted({c for use in run.uses for c in use.operator.reads.columns} - {*REFERENCE_COLUMNS})
    columns = [*REFERENCE_COLUMNS, *read]
    wide = narrow(lake.connection, *columns)
    return lake.query(
        f"""
        SELECT {", ".join(f"w.{identifier(c)}" for c in columns)}, w.{KEY_COLUMN[run.keyed_by]} AS {KEY}, p.{TODO}
        FROM (SELECT * FROM pending WHERE n > {int(first)} AND n <= {int(first + count)}) p JOIN {wide} w ON w.sample_id = p.sample_id
        ORDER BY p.n
        """
    )


def corpus_sql(use: OperatorUse) -> tuple[str, ...]:
    """What a corpus operator names of ``wide``."""
    return ("sample_id", "media_hash", *use.operator.reads.columns, use.when, use.operator.reads.order_by)


def corpus_input(lake: Lake, run: Pass, seen: str = "") -> tuple[pa.Table, str, pa.Table | None]:
    """All rows of a corpus operator, best first, and a digest of them that tells whether they changed.

    Also, if the rows with the digest ``seen`` are all there, unchanged and in the same order among themselves, what the operator
    said of each row (null of the others) with a column ``known``; else None.
    """
    (use,) = run.uses
    reads = use.operator.reads
    columns = ", ".join(identifier(c) for c in dict.fromkeys(("sample_id", "media_hash", *reads.columns)))
    when = f"WHERE coalesce(({use.when}), false)" if use.when else ""
    wide = narrow(lake.connection, *corpus_sql(use))
    order = ", ".join(filter(None, (reads.order_by, "media_hash", "sample_id")))
    lake.connection.execute(
        f"CREATE OR REPLACE TEMP TABLE corpus_input AS "
        f"SELECT {columns}, row_number() OVER (ORDER BY {order}) AS preference FROM {wide} wide {when}"
    )
    digest = str(lake.value(DIGEST.format("corpus_input")))
    answers = f"(SELECT * FROM {identifier(signal_table(use.name))} WHERE fingerprint = {quote(use.fingerprint)})"
    rows = "corpus_input {} JOIN " + f"{answers} a ON a.key = sample_id"
    old = f"SELECT {columns}, row_number() OVER (ORDER BY preference) AS preference FROM {rows.format('SEMI')}"
    lake.connection.execute("SET arrow_lossless_conversion = true")  # ids as UUIDs, not as text
    try:
        before = None
        if seen and isinstance(use.operator, Updatable) and digest != seen and lake.value(DIGEST.format(f"({old})")) == seen:
            said = ", ".join(f"a.{identifier(name)}" for name in use.operator.adds.names)
            before = lake.query(f"SELECT {said}, a.key IS NOT NULL AS known FROM {rows.format('LEFT')} ORDER BY preference")
        table = lake.query(f"SELECT {columns} FROM corpus_input ORDER BY preference")
    finally:
        lake.connection.execute("SET arrow_lossless_conversion = false")
        lake.connection.execute("DROP TABLE corpus_input")
    return _plain_booleans(table), digest, _plain_booleans(before) if before is not None else None


def _plain_booleans(table: pa.Table) -> pa.Table:
    """Undo the other thing that lossless conversion changes: booleans come as an extension type."""
    for i, field in enumerate(table.schema):
        if field.type == pa.bool8():
            chunks: list[Any] = table.column(i).chunks
            table = table.set_column(i, field.name, pa.chunked_array([chunk.storage.cast(pa.bool_()) for chunk in chunks], pa.bool_()))
    return table
