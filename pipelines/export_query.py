"""What an export reads from a lake: which columns of which samples, in which order, as SQL.

The order of samples is the order of MD5(seed ":" sample_id): stable across versions and machines, and uniform at random.
"""

from dataclasses import dataclass

import pyarrow as pa

from manifests import Lake
from manifests.captions import ORIGINAL, chosen_sql
from manifests.connection import identifier, quote
from manifests.errors import UsageError
from operators.plugins import nearest
from pipelines.clip_cutter import BYTES_A_SECOND
from pipelines.export_plan import ExportSettings

PROVENANCE = (
    *("sample_id", "key", "source", "modality", "uri", "byte_offset", "byte_length", "media_hash", "format", "width", "height"),
    *("caption", "metadata", "license", "author", "source_url", "tier", "parent_id", "span_start_s", "span_end_s"),
)
"""Columns every ``.json`` has."""
CAPTION_COLUMNS = ("caption_original", "caption_kind", "caption_model", "caption_choices")
"""Beside them, when the lake has other captions than the originals and the policy may choose one."""
VOLATILE = {"ingested_at", "ref_hash", "stamp", "run_id"}
"""Columns that differ between two undisturbed runs over the same data."""


@dataclass(frozen=True)
class ExportQuery:
    """``relation``: ``wide`` or a subquery like it, with the captions that the policy chooses. ``columns``: its columns that the
    ``.json`` has, sorted."""

    settings: ExportSettings
    columns: tuple[str, ...]
    relation: str = "wide"

    @property
    def _samples(self) -> str:
        """The samples of the tier with their order key."""
        where = f"tier = {quote(self.settings.tier)} AND NOT is_protected"
        return f"SELECT *, {order_sql(self.settings.seed)} AS order_key FROM {self.relation} WHERE {where}"

    def plan_sql(self) -> str:
        """What `pipelines.export_plan.plan_export` takes: one row a sample, in order."""
        record = ", ".join(f"{identifier(c)} := {identifier(c)}" for c in self.columns)
        media = "coalesce(byte_length, 0)"
        if side := self.settings.resize:  # bytes go with the area
            media = f"CAST({media} * least(1.0, coalesce(pow({side} / nullif(least(width, height), 0.0), 2), 1.0)) AS BIGINT)"
        media = f"CASE WHEN parent_id IS NULL THEN {media} ELSE CAST((span_end_s - span_start_s) * {BYTES_A_SECOND} AS BIGINT) END"
        limit = f"LIMIT {self.settings.max_samples}" if self.settings.max_samples else ""
        return (
            f"SELECT order_key, {media} AS media, CAST(coalesce(strlen(caption), 0) AS BIGINT) AS caption, "
            "CAST(strlen(record) AS BIGINT) AS record, md5_number_upper(record) AS content "
            f"FROM (SELECT *, CAST(to_json(struct_pack({record})) AS VARCHAR) AS record FROM ({self._samples})) "
            f"ORDER BY order_key, sample_id {limit}"
        )

    def rows_sql(self, first: int, last: int) -> str:
        """The full rows with order keys ``first..last``, in order."""
        names = ", ".join(identifier(c) for c in self.columns)
        return (
            f"SELECT {names} FROM ({self._samples}) "
            f"WHERE order_key BETWEEN CAST({first} AS UBIGINT) AND CAST({last} AS UBIGINT) ORDER BY order_key, sample_id"
        )

    def breakdown_sql(self, last: int) -> str:
        """Samples with order keys up to ``last`` by source and licence, most first; 50 rows at most."""
        return (
            f"SELECT source, license, count(*) AS samples, count(caption) AS captioned, sum(coalesce(byte_length, 0)) AS bytes FROM wide "
            f"WHERE tier = {quote(self.settings.tier)} AND {order_sql(self.settings.seed)} <= CAST({last} AS UBIGINT) "
            "GROUP BY ALL ORDER BY samples DESC, source, license LIMIT 50"
        )


def export_query(lake: Lake, settings: ExportSettings) -> ExportQuery:
    """What these settings export from the lake. Raises `UsageError` for a column that it does not have."""
    relation = relation_sql(settings, bool(lake.value("SELECT count(*) FROM captions WHERE accepted")))
    schema = lake.query(f"SELECT * FROM {relation} LIMIT 0").schema
    return ExportQuery(settings, tuple(export_columns(schema, settings)), relation)


def export_columns(schema: pa.Schema, settings: ExportSettings) -> list[str]:
    """Names of the ``wide`` columns that the ``.json`` of this export has, sorted. Raises `UsageError` for an unknown one."""
    for name in settings.columns or ():
        if name not in schema.names:
            raise UsageError(f"Export setting columns names {name!r}, which the lake does not have.{nearest(name, schema.names)}")
    if settings.columns is not None:
        made = {name for name in schema.names if name in CAPTION_COLUMNS}
        return sorted({*PROVENANCE, *settings.columns, *made})
    return sorted(f.name for f in schema if f.name not in VOLATILE and not pa.types.is_temporal(f.type) and not _is_vector(f.type))


def _is_vector(kind: pa.DataType) -> bool:
    """Numbers by the hundred, such as embeddings, or a list of such lists."""
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        return False
    return pa.types.is_floating(kind.value_type) or _is_vector(kind.value_type)


def order_sql(seed: int) -> str:
    """SQL of the 64-bit key that orders samples: the upper half of MD5(seed ":" sample_id)."""
    return f"md5_number_upper({quote(f'{int(seed)}:')} || CAST(sample_id AS VARCHAR))"


def relation_sql(settings: ExportSettings, versions: bool) -> str:
    """What is exported: ``wide``, with the captions that the policy chooses in place of the originals. ``versions``: the lake has any."""
    if not versions or set(settings.caption_shares) == {ORIGINAL}:
        return "wide"
    several = ", list_transform(v.chosen, lambda c: c.text) AS caption_choices" if settings.captions_per_sample > 1 else ""
    chosen = chosen_sql(settings.caption_shares, settings.captions_per_sample, settings.seed)
    return f"""(
        SELECT w.* REPLACE (coalesce(v.chosen[1].text, w.caption) AS caption), w.caption AS caption_original,
            coalesce(v.chosen[1].kind, 'original') AS caption_kind, v.chosen[1].model AS caption_model{several}
        FROM wide w LEFT JOIN ({chosen}) v ON v.sample_id = w.sample_id)"""
