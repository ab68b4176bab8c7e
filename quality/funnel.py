"""What rules keep and drop, and what applying them would move, before anything is written."""

from dataclasses import dataclass
from typing import TypedDict

import duckdb

from quality.rules import SET_RULES, Rule
from quality.tiers import CompiledTiers, seen_by


class FunnelRow(TypedDict):
    """How one rule works on its tier's candidates.

    ``passed``: samples that pass this rule alone; ``remaining``: those that pass it and everything before it;
    ``unknown``: samples for which its value is null. Set rules count among the samples that reach them.
    """

    tier: str
    rule: str
    passed: int
    remaining: int
    unknown: int


@dataclass(frozen=True)
class Movement:
    """``count`` samples go from one tier to another (``from_tier`` None: not yet tiered); up to five ids, smallest first."""

    from_tier: str | None
    to_tier: str
    count: int
    examples: tuple[str, ...]


def funnel(con: duckdb.DuckDBPyConnection, compiled: CompiledTiers) -> list[FunnelRow]:
    """What every rule keeps and drops, in the order in which rules apply. The first row counts readable samples."""
    keys: list[tuple[str, str]] = [("bronze", "readable")]
    counts = ["count(*) FILTER (ok), count(*) FILTER (ok), 0"]
    for i, tier in enumerate(compiled.tiers.tiers):
        base = next((f"in_{k}" for k, other in enumerate(compiled.tiers.tiers) if other.name == tier.base), "ok")
        passed = base
        for rule in [*tier.kind(Rule), *(rule for kind in SET_RULES for rule in tier.kind(kind))]:
            verdict = f"r{i}_{tier.rules.index(rule)}"
            unknown = f"{verdict} IS NULL" if isinstance(rule, Rule) else f"{seen_by(compiled.tiers, i, rule)} AND {verdict} IS NULL"
            passed += f" AND coalesce({verdict}, false)"
            keys.append((tier.name, rule.name))
            counts.append(f"count(*) FILTER ({verdict}), count(*) FILTER ({passed}), count(*) FILTER ({unknown})")
    row = con.execute(f"{compiled.verdicts}\nSELECT {', '.join(counts)} FROM final").fetchone()
    assert row is not None
    return [
        FunnelRow(tier=tier, rule=rule, passed=int(row[3 * n]), remaining=int(row[3 * n + 1]), unknown=int(row[3 * n + 2]))
        for n, (tier, rule) in enumerate(keys)
    ]


def movement(con: duckdb.DuckDBPyConnection, compiled: CompiledTiers, current_select_sql: str) -> list[Movement]:
    """Which samples would change their tier. ``current_select_sql`` gives (sample_id, tier) as they are now."""
    rows = con.execute(
        f"WITH new AS MATERIALIZED (SELECT sample_id, tier FROM ({compiled.select_sql})), old AS ({current_select_sql}) "
        "SELECT old.tier, new.tier, count(*) AS moved, min(sample_id::VARCHAR, 5) FROM new LEFT JOIN old USING (sample_id) "
        "WHERE new.tier IS DISTINCT FROM old.tier GROUP BY 1, 2 ORDER BY moved DESC, 1, 2"
    ).fetchall()
    return [Movement(before, after, int(count), tuple(examples)) for before, after, count, examples in rows]
