"""Which samples to look at next: those that leave the widest gaps between the labels there are.

Samples are put in the order of the signal and cut into as many equal parts as there will be labels; parts that have no label yet
give their middle sample. Precision, recall and the balance of both are counts over the whole order, and a count over an even grid
varies less than one over random samples (systematic sampling; Cochran, Sampling Techniques, 1977, chapter 8). Taking more of
them near the present threshold was tried: it makes precision and recall at it look worse or better than the lake's
(`benchmarks/label_efficiency.py` has both).
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from manifests import Lake
from manifests.errors import UsageError
from quality.curves import Bools
from quality.labels import Labels
from quality.sql_guard import check_expression


@dataclass(frozen=True)
class ToLabel:
    """One sample to label."""

    sample_id: str
    key: str
    source: str
    value: float


def next_to_label(lake: Lake, signal: str, count: int, known: Labels | None = None) -> list[ToLabel]:
    """``count`` readable samples whose labels help most to choose a threshold on ``signal``, lowest value first.

    ``known``: the labels there are already. The same lake and labels give the same samples. Raises `SqlError` for a signal
    that is not there, `UsageError` when all have labels.
    """
    check_expression(lake.connection, signal, "wide", "NUMBER", "signal")
    known = known or Labels((), (), "key")
    sources: tuple[str | None, ...] = known.sources or (None,) * len(known.keys)
    lake.connection.register("goldsieve_known", pa.table({"name": pa.array(known.keys, pa.string()), "of": pa.array(sources, pa.string())}))
    try:
        table = lake.query(
            f"""SELECT CAST(sample_id AS VARCHAR) AS id, key, source, value, id IN (
                SELECT CAST(w.sample_id AS VARCHAR) FROM wide w
                JOIN goldsieve_known k ON k.name = CAST(w.{known.by} AS VARCHAR) AND (k.of IS NULL OR k.of = w.source)
            ) AS labelled FROM (SELECT sample_id, key, source, CAST(TRY(({signal}\n)) AS DOUBLE) AS value FROM wide WHERE "error" IS NULL)
            WHERE isfinite(value) ORDER BY value, md5(id)"""
        )
    finally:
        lake.connection.unregister("goldsieve_known")
    chosen = widest_gaps(table.column("labelled").to_numpy(), count)
    if not len(chosen):
        raise UsageError(f"No readable sample without a label has a value of {signal}.")
    rows = table.take(pa.array(chosen)).to_pylist()
    return [ToLabel(row["id"], row["key"], row["source"], row["value"]) for row in rows]


def widest_gaps(labelled: Bools, count: int) -> np.ndarray:
    """Places of at most ``count`` samples without a label, in order. ``labelled``: the samples in the order of the signal."""
    total = int(labelled.sum()) + min(count, int((~labelled).sum()))
    edges = (np.arange(total + 1) * len(labelled)) // max(total, 1)
    sums = np.concatenate(([0], np.cumsum(labelled)))
    empty = np.flatnonzero(sums[edges[1:]] == sums[edges[:-1]])  # at least ``count``: every label fills at most one part
    if len(empty) > count:
        empty = empty[((np.arange(count) + 0.5) * len(empty) / count).astype(int)]
    return (edges[empty] + edges[empty + 1] - 1) // 2
