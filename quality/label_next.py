"""Which samples to look at next: where a label tells most about a threshold.

Half of them lie nearest to the threshold, where good and bad are mixed; the other half are spread evenly over all quantiles of the
signal, because labels from the border alone would say nothing of the samples far from it (and would make precision and recall
of the whole look worse than they are). Without a threshold all are spread.
"""

from dataclasses import dataclass

import numpy as np

from manifests import Lake
from manifests.errors import UsageError
from quality.sql_guard import check_expression


@dataclass(frozen=True)
class ToLabel:
    """One sample to label. ``why``: 'near the threshold' or 'spread'."""

    sample_id: str
    key: str
    source: str
    value: float
    why: str


def next_to_label(lake: Lake, signal: str, count: int, threshold: float | None = None) -> list[ToLabel]:
    """``count`` readable samples without a label whose labels help most to choose a threshold on ``signal``, lowest value first.

    The same lake gives the same ones. Raises `SqlError` for a signal that is not there, `UsageError` when all have labels.
    """
    check_expression(lake.connection, signal, "wide", "NUMBER", "signal")
    table = lake.query(
        f"""SELECT CAST(sample_id AS VARCHAR) AS id, key, source, CAST(TRY(({signal}\n)) AS DOUBLE) AS value FROM wide
        WHERE "error" IS NULL AND isfinite(value) AND sample_id NOT IN (SELECT sample_id FROM labels) ORDER BY value, md5(id)"""
    )
    if not table.num_rows:
        raise UsageError(f"No readable sample without a label has a value of {signal}.")
    values = table.column("value").to_numpy()
    count = min(count, len(values))
    near: set[int] = set()
    if threshold is not None:
        at = int(np.searchsorted(values, threshold))
        half = count // 2
        start = min(max(0, at - half // 2), len(values) - half)
        near = set(range(start, start + half))
    others = np.array([i for i in range(len(values)) if i not in near])
    spread = others[np.unique(np.linspace(0, len(others) - 1, count - len(near)).round().astype(int))] if len(others) else others
    chosen = sorted(near | set(spread.tolist()))
    return [
        ToLabel(row["id"], row["key"], row["source"], row["value"], "near the threshold" if i in near else "spread")
        for i, row in zip(chosen, table.take(chosen).to_pylist(), strict=True)
    ]
