"""What differs between two ways to sort a lake: two snapshots, two recipes, or one of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from manifests import Lake
from manifests.connection import id_list
from manifests.errors import UsageError

EXAMPLES = 5


@dataclass(frozen=True)
class Cause:
    """``count`` of the moved samples fail ``rule`` now and did not before, or the other way round (``fails`` False)."""

    rule: str
    fails: bool
    count: int


@dataclass(frozen=True)
class Move:
    """``count`` samples went from one tier to another. None: the sample was not there, or had no tier.

    ``causes``: rules whose verdict changed for some of them, most frequent first. ``examples``: (sample_id, key).
    """

    from_tier: str | None
    to_tier: str | None
    count: int
    causes: tuple[Cause, ...]
    examples: tuple[tuple[str, str], ...]


def snapshot_sql(lake: Lake, snapshot: int) -> str:
    """SQL of (sample_id, tier, failed_rules) as ``wide`` showed them at a snapshot. Raises `UsageError` for one that is not there."""
    if not lake.value("SELECT count(*) FROM ducklake_snapshots('lake') WHERE snapshot_id = ?", [snapshot]):
        raise UsageError(f"The lake has no snapshot {snapshot}; `goldsieve snapshots {lake.address}` lists them.")
    at = f"AT (VERSION => {int(snapshot)})"
    return f"""SELECT t.sample_id, t.tier, t.failed_rules FROM (SELECT * FROM tiers {at}) t
        SEMI JOIN (SELECT sample_id FROM refs {at} WHERE NOT vanished) r ON r.sample_id = t.sample_id
        WHERE t.recipe = (SELECT arg_max(recipe, applied_at) FROM tierings {at})"""


def moves(lake: Lake, before: str, after: str) -> list[Move]:
    """Samples whose tier differs, by the tiers they left and reached. ``before`` and ``after``: SQL of
    (sample_id, tier, failed_rules), of `snapshot_sql` or of compiled rules."""
    lake.connection.execute(f"CREATE OR REPLACE TEMP TABLE diff_before AS {before}")
    lake.connection.execute(f"CREATE OR REPLACE TEMP TABLE diff_after AS {after}")
    plain = "list_transform({}, lambda r: replace(r, ' (unknown)', ''))"
    lake.connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE diff_moved AS
        SELECT coalesce(a.sample_id, b.sample_id) AS sample_id, b.tier AS from_tier, a.tier AS to_tier,
            {plain.format("coalesce(b.failed_rules, [])")} AS failed_before, {plain.format("coalesce(a.failed_rules, [])")} AS failed_after
        FROM diff_before b FULL JOIN diff_after a ON a.sample_id = b.sample_id WHERE a.tier IS DISTINCT FROM b.tier"""
    )
    try:
        causes: dict[tuple[Any, Any], list[Cause]] = {}
        for fails, (one, other) in ((True, ("failed_after", "failed_before")), (False, ("failed_before", "failed_after"))):
            for row in lake.rows(
                f"""SELECT from_tier, to_tier, rule, count(*) AS n FROM (
                    SELECT from_tier, to_tier, unnest(list_filter({one}, lambda r: NOT list_contains({other}, r))) AS rule
                    FROM diff_moved WHERE from_tier IS NOT NULL AND to_tier IS NOT NULL
                ) GROUP BY ALL ORDER BY n DESC, rule"""
            ):
                causes.setdefault((row["from_tier"], row["to_tier"]), []).append(Cause(row["rule"], fails, row["n"]))
        found = lake.rows(
            f"""SELECT from_tier, to_tier, count(*) AS n, min(CAST(sample_id AS VARCHAR), {EXAMPLES}) AS ids FROM diff_moved
            GROUP BY ALL ORDER BY n DESC, from_tier, to_tier"""
        )
        keys = _keys(lake, [i for row in found for i in row["ids"]])
    finally:
        for table in ("diff_before", "diff_after", "diff_moved"):
            lake.connection.execute(f"DROP TABLE IF EXISTS temp.{table}")
    return [
        Move(
            row["from_tier"],
            row["to_tier"],
            row["n"],
            tuple(sorted(causes.get((row["from_tier"], row["to_tier"]), ()), key=lambda c: (-c.count, c.rule))),
            tuple((i, keys.get(i, "")) for i in row["ids"]),
        )
        for row in found
    ]


def _keys(lake: Lake, ids: list[str]) -> Mapping[str, str]:
    found = lake.rows(f"SELECT CAST(sample_id AS VARCHAR) AS id, key FROM refs WHERE sample_id IN {id_list(ids)}")
    return {row["id"]: row["key"] for row in found}
