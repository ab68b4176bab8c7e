"""What the page needs to say how many samples each tier would hold when thresholds move, several at once.

For every sample (of a large lake: of a fixed random part) the page gets where its values lie among the positions of the
sliders, and whether it passes everything that no slider moves. The rest is AND, on the reader's machine.
Rules over several samples (top, balance, mix) keep their present verdict.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from manifests import Lake
from manifests.connection import quote
from quality.distributions import Distribution, positions
from quality.flat import FLAT
from quality.leaves import Leaf

MOST_SAMPLES = 100_000
"""With one byte a sample and threshold, some hundred kilobytes a threshold."""


@dataclass(frozen=True)
class RuleText:
    """One rule of the tiering that ``wide`` shows, as it recorded it."""

    tier: str
    name: str
    sql: str

    @property
    def full(self) -> str:
        return f"{self.tier}.{self.name}"


def failed(rule: RuleText) -> str:
    """SQL over ``wide``: whether a sample failed the rule, unknown values included."""
    return f"(list_contains(failed_rules, {quote(rule.full)}) OR list_contains(failed_rules, {quote(rule.full + ' (unknown)')}))"


def simulation(
    lake: Lake,
    bases: Mapping[str, str | None],
    rules: Sequence[RuleText],
    moved: Sequence[tuple[Leaf, Distribution, str]],
    total: int,
) -> dict[str, Any]:
    """Plain data for the page. ``bases``: tier -> the tier it builds on, in order. ``moved``: thresholds with their sliders and types."""
    free = {(leaf.tier, leaf.rule) for leaf, _, _ in moved}
    select = ["true AS here"]
    for i, tier in enumerate(bases):
        fixed = [f"NOT {failed(rule)}" for rule in rules if rule.tier == tier and (tier, rule.name) not in free]
        select.append(f"{' AND '.join(fixed) or 'true'} AS rest_{i}")
    for j, (leaf, _, _) in enumerate(moved):
        select.append(f"CAST(TRY(({leaf.signal})) AS DOUBLE) AS value_{j}")
        select += [f"coalesce(TRY(({sql})), false) AS {name}_{j}" for name, sql in _sides(leaf).items()]
    part = f"ORDER BY md5(CAST(sample_id AS VARCHAR)) LIMIT {MOST_SAMPLES}" if total > MOST_SAMPLES else ""
    table = lake.query(f'SELECT {", ".join(select)} FROM {FLAT} AS wide WHERE "error" IS NULL AND tier IS NOT NULL {part}')

    def column(name: str) -> np.ndarray:
        return np.asarray(table.column(name).combine_chunks().to_numpy(zero_copy_only=False))

    rest = np.zeros(table.num_rows, np.uint8)
    for i in range(min(8, len(bases))):
        rest |= column(f"rest_{i}").astype(np.uint8) << i
    leaves = []
    for j, (leaf, one, kind) in enumerate(moved):
        known = column(f"value_{j}").astype(np.float64)
        sides = sum(
            column(f"{name}_{j}").astype(np.uint8) << bit for bit, name in enumerate(("no", "yes", "unknown")) if name in _sides(leaf)
        )
        leaves.append(
            {
                "tier": leaf.tier,
                "rule": leaf.rule,
                "signal": leaf.signal,
                "op": leaf.op,
                "at": int(np.flatnonzero(one.cuts == leaf.value)[0]),
                "pattern": leaf.pattern,
                "positions": packed(positions(one, known, leaf.op, kind, leaf.exact)),
                "sides": None if leaf.whole else packed(np.asarray(sides, np.uint8)),
            }
        )
    return {
        "samples": table.num_rows,
        "of": total,
        "tiers": [{"name": tier, "base": list(bases).index(base) if base is not None else None} for tier, base in bases.items()],
        "rest": packed(rest),
        "leaves": leaves,
    }


def _sides(leaf: Leaf) -> dict[str, str]:
    return {} if leaf.whole else {"no": leaf.no, "yes": leaf.yes, "unknown": leaf.unknown}


def packed(values: np.ndarray) -> str:
    """Bytes as base64."""
    return base64.b64encode(values.astype(np.uint8).tobytes()).decode("ascii")
