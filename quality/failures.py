"""Failed results of a lake, by operator and kind of error."""

from collections.abc import Sequence
from typing import Any

from manifests import Lake
from manifests.connection import identifier, quote
from manifests.tables import signal_table
from manifests.upkeep import failed_sql
from manifests.wide import current_operators

FILES = "files"
"""Stands for reading: files that could not be read or whose header could not."""


def failures(lake: Lake, operators: Sequence[str] = (), error: str = "") -> list[dict[str, Any]]:
    """How many results failed for which reason (numbers in it as N), the most frequent first. ``error``: text the reason has."""
    names = [o.name for o in current_operators(lake.connection) if not operators or o.name in operators]
    tables = {name: signal_table(name) for name in names} | ({} if operators else {FILES: "media"})
    if not tables:
        return []
    texts = " UNION ALL ".join(
        f'SELECT {quote(name)} AS operator, "error" FROM {identifier(table)} WHERE {failed_sql(error)}' for name, table in tables.items()
    )
    return lake.rows(
        f"""SELECT operator, regexp_replace(left("error", 160), '[0-9]+', 'N', 'g') AS reason, count(*) AS results,
        any_value("error") AS example FROM ({texts}) GROUP BY ALL ORDER BY results DESC, operator, reason"""
    )
