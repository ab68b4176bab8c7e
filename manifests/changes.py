"""When the lake last changed: what is computed from its tables is computed again only after a later snapshot than this."""

from collections.abc import Set

from manifests.connection import ALIAS
from manifests.store import Lake
from manifests.tables import signal_table
from manifests.wide import current_operators, used_operators

NO_CHANGE = "('merge_adjacent', 'tables_altered')"
"""Kinds of change that DuckLake records and that leave every row as it was (see `manifests.compaction`)."""


def data_version(lake: Lake) -> int:
    """The last snapshot that changed what tiers are computed from (not tiers, runs or exports)."""
    tables = ["refs", "media", "labels", "captions", "protected"]
    return _changed_at(lake, "list_contains(?, table_name) OR starts_with(table_name, 'signal_')", tables)


def inputs_version(lake: Lake, words: Set[str] | None) -> int:
    """The last snapshot that changed what ``wide`` tells in columns with these names (lower case); None: in any column."""
    tables = ["refs", "media", "operator_versions", "protected"]
    tables += ["captions"] if words is None else []
    tables += ["tiers", "tierings"] if words is None or words & {"tier", "failed_rules"} else []
    tables += [signal_table(name) for name in used_operators(current_operators(lake.connection), words)]
    return _changed_at(lake, "list_contains(?, table_name)", tables)


def _changed_at(lake: Lake, condition: str, tables: list[str]) -> int:
    """The last snapshot that changed a table for which the condition on ``table_name`` holds; 0: none did."""
    query = f"""
        WITH wanted AS (SELECT CAST(table_id AS VARCHAR) AS id FROM ducklake_table_info('{ALIAS}') WHERE {condition}),
        changes AS (
            SELECT snapshot_id, flatten([e.value FOR e IN map_entries(changes) IF e.key NOT IN {NO_CHANGE}]) AS tables
            FROM ducklake_snapshots('{ALIAS}'))
        SELECT coalesce(max(snapshot_id), 0) FROM changes WHERE list_has_any(tables, (SELECT list(id) FROM wanted))"""
    return int(lake.value(query, [tables]))
