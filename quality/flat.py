"""The view ``wide`` as one table in memory: everything that looks at a whole lake many times joins it once."""

from collections.abc import Mapping

from manifests import Lake
from manifests.connection import identifier
from manifests.wide import narrow
from quality.sql_guard import ORDERABLE, relation_columns

FLAT = "temp.flat"
LEFT_OUT = ("metadata", "captions", "media_hash", "caption_hash", "pair_hash", "ref_hash", "parent_id")
"""Large, or of no use to look at."""
LISTS_KEPT = ("failed_rules", "aigc_evidence")
NO_MEASURE = (
    *("byte_offset", "phash", "dhash", "flip_phash", "clip_best_caption", "orientation", "span_start_s", "span_end_s"),
    *("near_distance", "near_check", "near_points", "seed"),
)
"""Numbers whose distribution says nothing: positions, hashes, codes."""


def flat_columns(lake: Lake) -> dict[str, str]:
    """The columns of ``wide`` that are looked at, with their types: no embeddings, no hashes, no metadata."""
    every = relation_columns(lake.connection, "wide")
    return {
        name: kind
        for name, kind in every.items()
        if name not in LEFT_OUT and (name in LISTS_KEPT or not kind.endswith("]")) and kind not in ("BLOB", "JSON")
    }


def flatten(lake: Lake) -> dict[str, str]:
    """(Re)make the table from ``wide``; returns its columns with their types. NaN becomes null, as rules see it."""
    columns = flat_columns(lake)
    select = ", ".join(
        f"CASE WHEN isnan({identifier(name)}) THEN NULL ELSE {identifier(name)} END AS {identifier(name)}"
        if kind in ("FLOAT", "DOUBLE")
        else identifier(name)
        for name, kind in columns.items()
    )
    lake.connection.execute(f"CREATE OR REPLACE TEMP TABLE flat AS SELECT {select} FROM {narrow(lake.connection, *columns)}")
    return columns


def measures(columns: Mapping[str, str]) -> list[str]:
    """Numeric columns whose distribution is worth a look, the sample's own facts last."""
    own = ("byte_length", "width", "height", "duration_s", "fps", "aspect")
    found = [name for name, kind in columns.items() if ORDERABLE.match(kind) and name not in NO_MEASURE and not name.endswith("_seed")]
    return [name for name in found if name not in own] + [name for name in own if name in found]
