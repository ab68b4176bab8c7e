"""The view ``wide`` as one table in a temporary file: everything that looks at a whole lake many times joins it once."""

import contextlib
import math
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb

from manifests import Lake
from manifests.connection import identifier, quote
from manifests.wide import narrow
from quality.sql_guard import ORDERABLE, relation_columns

FLAT = "flat.wide"
PART = 1_000_000
"""Samples that are joined at a time: a dozen joins over ten million at once want more memory than there is, and take no less time."""
LEFT_OUT = ("metadata", "captions", "media_hash", "caption_hash", "pair_hash", "ref_hash", "parent_id")
"""Large, or of no use to look at."""
AIGC_EVIDENCE = ("aigc_evidence", "video_aigc_evidence")
LISTS_KEPT = ("failed_rules", *AIGC_EVIDENCE)
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


@contextlib.contextmanager
def flattened(lake: Lake) -> Iterator[dict[str, str]]:
    """Inside, the table `FLAT` is ``wide``. Gives its columns with their types. NaN becomes null, as rules see it."""
    columns = flat_columns(lake)
    select = ", ".join(
        f"CASE WHEN isnan({identifier(name)}) THEN NULL ELSE {identifier(name)} END AS {identifier(name)}"
        if kind in ("FLOAT", "DOUBLE")
        else identifier(name)
        for name, kind in columns.items()
    )
    with tempfile.TemporaryDirectory(prefix="goldsieve-flat-") as folder:
        lake.connection.execute(f"ATTACH {quote(str(Path(folder) / 'wide.duckdb'))} AS flat")
        try:
            copy_wide(lake.connection, FLAT, columns, select)
            yield columns
        finally:
            lake.connection.execute("DETACH flat")


def copy_wide(connection: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], select: str, order: str = "") -> None:
    """Create ``table`` from ``wide``: ``select`` over ``columns``, joined in parts of about `PART` samples, by rising sample_id.
    ``order``: SQL that sorts each part."""
    (samples,) = connection.execute("SELECT count(*) FROM refs").fetchone() or (0,)
    parts = max(1, math.ceil(samples / PART))
    bounds = [f"CAST('{i * 16**8 // parts:08x}-0000-0000-0000-000000000000' AS UUID)" for i in range(parts)]
    wide = narrow(connection, *columns, samples="temp.part")
    for i, low in enumerate(bounds):
        below = f" AND sample_id < {bounds[i + 1]}" if i + 1 < parts else ""
        # A table of its own: DuckDB then knows how few rows it has, and probes it with the signals instead of the reverse.
        connection.execute(f"CREATE OR REPLACE TEMP TABLE part AS SELECT * FROM samples WHERE sample_id >= {low}{below}")
        into = f"INSERT INTO {table}" if i else f"CREATE TABLE {table} AS"
        connection.execute(f"{into} SELECT {select} FROM {wide} {order}")
    connection.execute("DROP TABLE temp.part")


def measures(columns: Mapping[str, str]) -> list[str]:
    """Numeric columns whose distribution is worth a look, the sample's own facts last."""
    own = ("byte_length", "width", "height", "duration_s", "fps", "aspect")
    found = [name for name, kind in columns.items() if ORDERABLE.match(kind) and name not in NO_MEASURE and not name.endswith("_seed")]
    return [name for name in found if name not in own] + [name for name in own if name in found]
