"""The lake's tables, and how an older lake becomes a current one.

``refs`` and ``media`` are what sources and the first read tell; users see them together as the view ``samples``.
They are two tables because a reference is known before its bytes are read, and because appending what a read told
never rewrites what was known (millions of updates would).
"""

from collections.abc import Callable

import duckdb
import pyarrow as pa

from manifests.connection import identifier
from manifests.errors import LakeError, PromiseError
from manifests.schema import MEDIA

FORMAT_VERSION = 4

TABLES = {
    "goldsieve": "key VARCHAR, value VARCHAR",
    "refs": """
        sample_id UUID, ref_hash UUID, source VARCHAR, listed_in VARCHAR, key VARCHAR, ordinal INTEGER, uri VARCHAR, byte_offset BIGINT,
        byte_length BIGINT, stamp VARCHAR, modality VARCHAR, caption VARCHAR, captions VARCHAR[], caption_hash UUID, metadata JSON,
        license VARCHAR, author VARCHAR, source_url VARCHAR, parent_id UUID, span_start_s DOUBLE, span_end_s DOUBLE, "error" VARCHAR,
        vanished BOOLEAN, ingested_at TIMESTAMPTZ""",
    "listings": "source VARCHAR, listed_in VARCHAR, digest VARCHAR, listed_at TIMESTAMPTZ",
    "operator_versions": """
        name VARCHAR, fingerprint VARCHAR, version VARCHAR, settings JSON, scope VARCHAR, keyed_by VARCHAR, columns VARCHAR[],
        recorded_at TIMESTAMPTZ""",
    "corpus_runs": "name VARCHAR, fingerprint VARCHAR, input_digest VARCHAR, snapshot BIGINT, run_id UUID",
    "captions": """
        sample_id UUID, caption_hash UUID, kind VARCHAR, text VARCHAR, model VARCHAR, prompt_version VARCHAR, parameters JSON,
        tokens BIGINT, cost DOUBLE, latency_s DOUBLE, checks JSON, accepted BOOLEAN, run_id UUID, created_at TIMESTAMPTZ,
        outcome VARCHAR, "error" VARCHAR, route VARCHAR, plan VARCHAR, structured JSON, media_hash UUID, request_key VARCHAR,
        clip_before FLOAT, clip_after FLOAT""",
    "tiers": "sample_id UUID, tier VARCHAR, failed_rules VARCHAR[], recipe VARCHAR, recipe_digest VARCHAR",
    "tierings": "recipe VARCHAR, recipe_digest VARCHAR, rules JSON, data_version BIGINT, run_id UUID, applied_at TIMESTAMPTZ",
    "runs": """
        run_id UUID, command VARCHAR, recipe VARCHAR, recipe_digest VARCHAR, recipe_text VARCHAR, versions JSON, host VARCHAR,
        engine VARCHAR, status VARCHAR, counts JSON, snapshot BIGINT, started_at TIMESTAMPTZ, finished_at TIMESTAMPTZ""",
    "exports": """
        export_id UUID, run_id UUID, tier VARCHAR, recipe VARCHAR, recipe_digest VARCHAR, snapshot BIGINT, seed BIGINT,
        directory VARCHAR, samples BIGINT, bytes BIGINT, settings JSON, started_at TIMESTAMPTZ, finished_at TIMESTAMPTZ""",
    "shards": "export_id UUID, name VARCHAR, sha256 VARCHAR, bytes BIGINT, samples BIGINT",
    "protected": "source VARCHAR, protected_at TIMESTAMPTZ",
    "labels": "sample_id UUID, label VARCHAR, value VARCHAR, author VARCHAR, created_at TIMESTAMPTZ",
}

_SAMPLE = """
SELECT r.sample_id, r.modality, r.source, r.key, r.uri, r.byte_offset, coalesce(r.byte_length, m.byte_length) AS byte_length,
    m.media_hash, r.caption_hash,
    CASE WHEN m.media_hash IS NOT NULL THEN CAST(md5(concat(m.media_hash, r.caption_hash)) AS UUID) END AS pair_hash,
    m.format, m.width, m.height, m.duration_s, m.fps, r.parent_id, r.span_start_s, r.span_end_s,
    r.caption, r.captions, r.metadata, r.license, r.author, r.source_url, coalesce(r."error", m."error") AS "error",
    r.vanished, r.ingested_at, r.ref_hash
FROM {refs} r LEFT JOIN {media} m ON m.ref_hash = r.ref_hash
"""


def samples_sql(refs: str = "refs", media: str = "media") -> str:
    """``SELECT`` of the view ``samples``, over these two tables."""
    return _SAMPLE.format(refs=refs, media=media)


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """All tables of a new lake."""
    connection.execute("BEGIN")
    for name, columns in TABLES.items():
        connection.execute(f"CREATE TABLE {name} ({columns})")
    create_from_schema(connection, "media", MEDIA)
    connection.execute(f"CREATE OR REPLACE VIEW samples AS {samples_sql()}")
    connection.execute("INSERT INTO goldsieve VALUES ('format_version', ?)", [str(FORMAT_VERSION)])
    connection.execute("COMMIT")


def _add_listings(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CREATE TABLE listings (source VARCHAR, listed_in VARCHAR, digest VARCHAR, listed_at TIMESTAMPTZ)")


def _add_protected(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CREATE TABLE protected (source VARCHAR, protected_at TIMESTAMPTZ)")


def _add_attempts(connection: duckdb.DuckDBPyConnection) -> None:
    for name, kind in (
        *(("outcome", "VARCHAR"), ('"error"', "VARCHAR"), ("route", "VARCHAR"), ("plan", "VARCHAR"), ("structured", "JSON")),
        *(("media_hash", "UUID"), ("request_key", "VARCHAR"), ("clip_before", "FLOAT"), ("clip_after", "FLOAT")),
    ):
        connection.execute(f"ALTER TABLE captions ADD COLUMN {name} {kind}")


MIGRATIONS: tuple[Callable[[duckdb.DuckDBPyConnection], None], ...] = (_add_listings, _add_protected, _add_attempts)
"""``MIGRATIONS[n]`` turns format n + 1 into n + 2. Append only."""


def migrate(connection: duckdb.DuckDBPyConnection) -> bool:
    """Bring a lake to the current format; whether it was an older one. Raises `LakeError` for a lake of a later goldsieve."""
    version = format_version(connection)
    if version > FORMAT_VERSION:
        raise LakeError(f"The lake has format {version}, this goldsieve knows formats up to {FORMAT_VERSION}: upgrade goldsieve.")
    for step in range(version, FORMAT_VERSION):
        connection.execute("BEGIN")
        MIGRATIONS[step - 1](connection)
        connection.execute("UPDATE goldsieve SET value = ? WHERE key = 'format_version'", [str(step + 1)])
        connection.execute("COMMIT")
    return version < FORMAT_VERSION


def require_current(connection: duckdb.DuckDBPyConnection, lake: object) -> None:
    """Raises `LakeError` for a lake that only a command that writes can bring to the current format."""
    version = format_version(connection)
    if version != FORMAT_VERSION:
        what = "upgrade goldsieve" if version > FORMAT_VERSION else f"a command that writes brings it up to date: goldsieve gc {lake}"
        raise LakeError(f"The lake has format {version}, this goldsieve reads format {FORMAT_VERSION}: {what}.")


def format_version(connection: duckdb.DuckDBPyConnection) -> int:
    """The lake's format. Raises `LakeError` when the catalog is not a goldsieve lake."""
    try:
        row = connection.execute("SELECT value FROM goldsieve WHERE key = 'format_version'").fetchone()
    except duckdb.CatalogException as error:
        raise LakeError("This DuckLake catalog is not a goldsieve lake (it has no table 'goldsieve').") from error
    if row is None:
        raise LakeError("The lake was not created completely. Remove it and run goldsieve init again.")
    return int(row[0])


def signal_table(operator: str) -> str:
    return f"signal_{operator}"


def ensure_signal_table(connection: duckdb.DuckDBPyConnection, schema: pa.Schema, operator: str) -> None:
    """Create the operator's table, or add the columns that a newer version of it brings."""
    table = signal_table(operator)
    have = dict(
        connection.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() AND table_name = ?", [table]
        ).fetchall()
    )
    if not have:
        create_from_schema(connection, table, schema)
        return
    wanted = duckdb_types(connection, schema)
    for name, kind in wanted.items():
        if name not in have:
            connection.execute(f"ALTER TABLE {identifier(table)} ADD COLUMN {identifier(name)} {kind}")
        elif have[name] != kind:
            raise PromiseError(
                f"Operator '{operator}' now returns '{name}' as {kind}, the lake has it as {have[name]}. "
                "A column keeps its type: give the new one another name."
            )


def create_from_schema(connection: duckdb.DuckDBPyConnection, table: str, schema: pa.Schema) -> None:
    columns = ", ".join(f"{identifier(name)} {kind}" for name, kind in duckdb_types(connection, schema).items())
    connection.execute(f"CREATE TABLE {identifier(table)} ({columns})")


def duckdb_types(connection: duckdb.DuckDBPyConnection, schema: pa.Schema) -> dict[str, str]:
    """DuckDB's type for every field of an Arrow schema."""
    empty = schema.empty_table()
    connection.register("goldsieve_schema_probe", empty)
    try:
        return {row[0]: row[1] for row in connection.execute("DESCRIBE goldsieve_schema_probe").fetchall()}
    finally:
        connection.unregister("goldsieve_schema_probe")
