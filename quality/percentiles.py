"""Where a sample's numbers stand among all that an operator measured."""

import math
from collections.abc import Mapping
from typing import Any

import duckdb

from manifests import Lake
from manifests.connection import identifier, quote
from manifests.tables import signal_table
from manifests.wide import CurrentOperator
from quality.flat import NO_MEASURE

MOST = 30_000
"""Results that are counted at the most. Signal tables are sorted by a hash, so the first ones are a fair sample, always the same."""


def percentiles(lake: Lake, operator: CurrentOperator, values: Mapping[str, Any]) -> dict[str, float]:
    """Column -> 0-100: the share of the operator's results that are smaller, with half of those that are equal.

    Counted over what the operator measured, so copies of a file count once; over `MOST` of it where there is more. Flags, hashes and
    texts have none.
    """
    some = f"(SELECT * FROM {signal_table(operator.name)} WHERE fingerprint = {quote(operator.fingerprint)} LIMIT {MOST})"
    return places(lake.connection, some, values)


def places(connection: duckdb.DuckDBPyConnection, relation: str, values: Mapping[str, Any]) -> dict[str, float]:
    """Percentiles of numbers among the columns of the same names of a relation."""
    numbers = {name: float(value) for name, value in values.items() if has_place(name, value)}
    if not numbers:
        return {}
    counts = []
    for name, number in numbers.items():
        column, exact = f"CAST({identifier(name)} AS DOUBLE)", f"{number!r}::DOUBLE"
        known = f"isfinite({column})"
        counts += [
            f"count(*) FILTER ({known} AND {column} < {exact})",
            f"count(*) FILTER ({column} = {exact})",
            f"count(*) FILTER ({known})",
        ]
    row = connection.execute(f"SELECT {', '.join(counts)} FROM {relation}").fetchone()
    assert row is not None
    found = {}
    for n, name in enumerate(numbers):
        below, equal, total = row[3 * n : 3 * n + 3]
        if total > 1:
            found[name] = 100.0 * (below + equal / 2) / total
    return found


def has_place(name: str, value: Any) -> bool:
    """Whether a column's value is a quantity: not a flag, a hash, a position or a seed."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return name not in NO_MEASURE and not name.endswith("_seed")
