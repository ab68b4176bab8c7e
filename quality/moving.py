"""Thresholds that move: what each sample's score is, which share of the samples a number turns away, and the number for a share."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from manifests import Lake
from manifests.connection import quote
from manifests.errors import UsageError
from quality.curves import Bools, Floats
from quality.leaves import Leaf, leaves
from quality.rules import Rule, Tier, Tiers
from quality.threshold import numbers_between, text
from quality.tiers import compile_tiers


@dataclass(frozen=True)
class Change:
    """The threshold of one rule: its number now (None: a new rule) and as proposed, and the rule with it."""

    tier: str
    rule: str
    signal: str
    now: float | None
    proposed: float
    sql: str


@dataclass
class Moving:
    """A threshold and every readable sample: ``score`` (higher passes).

    ``new``: the recipe has no such rule yet. ``always`` and ``never``: samples that pass, or fail, wherever the threshold stands.
    """

    leaf: Leaf
    new: bool
    score: Floats
    always: Bools
    never: Bools

    @cached_property
    def known(self) -> Floats:
        """Known scores, rising."""
        return np.sort(self.score[np.isfinite(self.score)])

    @cached_property
    def u(self) -> Floats:
        """Rank of every sample: the share of the known scores that are lower."""
        return np.searchsorted(self.known, self.score, side="left") / max(1, len(self.known))

    @cached_property
    def now(self) -> float:
        """Share of the known samples that the threshold turns away as it is."""
        return self.turns_away(self.leaf.value)

    def turns_away(self, number: float) -> float:
        """Share of the known samples that the threshold ``number`` turns away."""
        known = self.known
        side: Literal["left", "right"] = "left" if self.leaf.op in (">=", "<=") else "right"
        return float(np.searchsorted(known, number if self.leaf.op[0] == ">" else -number, side=side) / max(1, len(known)))

    def passes(self, turned_away: float) -> Bools:
        """Which samples pass where this share of the known ones is turned away."""
        return self.always | (~self.never & (self.u >= turned_away))

    def change(self, turned_away: float) -> Change:
        """The shortest number that turns away this share of the known values."""
        known = self.known
        at = min(round(turned_away * len(known)), len(known) - 1)
        above = float(known[at])
        smaller = known[known < above]
        below = float(smaller[-1]) if len(smaller) else above - max(abs(above), 1.0) * 0.01
        inside = numbers_between(below, above)
        cut = next(inside, above)
        if self.leaf.op in (">", "<") and cut == above:
            cut = below
        number = cut if self.leaf.op[0] == ">" else -cut
        return Change(
            self.leaf.tier,
            self.leaf.rule,
            self.leaf.signal,
            None if self.new else self.leaf.value,
            number + 0.0,
            self.leaf.pattern.format(text(number + 0.0)),
        )


def moving_thresholds(lake: Lake, tiers: Tiers, chosen: Tier, signals: Sequence[str], base: str) -> tuple[list[Moving], Bools]:
    """Thresholds to move, with their values among the readable samples of the table ``base``; and which of these samples pass the tier's
    other plain rules and the tiers below.
    """
    picked = _picked(chosen, signals)
    free = {leaf.rule for leaf, new in picked if not new}
    before = dataclasses.replace(chosen, rules=tuple(r for r in chosen.kind(Rule) if r.name not in free))
    position = tiers.tiers.index(chosen)
    without = compile_tiers(lake.connection, Tiers((*tiers.tiers[:position], before)), base)
    selects = []
    for n, (leaf, _) in enumerate(picked):
        selects.append(f"CAST(TRY(({leaf.signal})) AS DOUBLE) AS v{n}")
        selects += [f"coalesce(TRY(({sql})), false) AS {side}{n}" for side, sql in (("y", leaf.yes), ("f", leaf.no), ("u", leaf.unknown))]
    table = lake.query(
        f"""SELECT {", ".join(selects)}, t.tier = {quote(chosen.name)} AS rest FROM {base} AS wide
        JOIN ({without.select_sql}) t USING (sample_id) WHERE "error" IS NULL ORDER BY sample_id"""
    )

    def column(name: str) -> np.ndarray:
        return np.asarray(table.column(name).combine_chunks().to_numpy(zero_copy_only=False))

    moving = []
    for n, (leaf, new) in enumerate(picked):
        sign = 1.0 if leaf.op[0] == ">" else -1.0
        score = sign * column(f"v{n}").astype(np.float64)
        yes, no, unknown = (column(f"{side}{n}").astype(bool) for side in "yfu")
        missing = ~np.isfinite(score)
        always, never = np.where(missing, unknown, no & yes), np.where(missing, ~unknown, ~yes)
        moving.append(Moving(leaf, new, score, always.astype(bool), never.astype(bool)))
    return moving, column("rest").astype(bool)


def _picked(chosen: Tier, signals: Sequence[str]) -> list[tuple[Leaf, bool]]:
    """The thresholds that move, each with whether it is new: one of every rule, or those on the named signals."""
    found = [leaf for rule in chosen.kind(Rule) for leaf in leaves(chosen.name, rule.name, rule.sql)]
    first: dict[str, Leaf] = {}
    for leaf in found:
        first.setdefault(leaf.rule, leaf)  # one threshold a rule moves
    picked = [(leaf, False) for leaf in (first.values() if not signals else found) if not signals or leaf.signal in signals]
    for signal in signals:
        if not any(leaf.signal == signal for leaf, _ in picked):
            picked.append((Leaf(chosen.name, signal, signal, ">=", -math.inf, False, "true", "false", "NULL", f"{signal} >= {{}}"), True))
    if not picked:
        raise UsageError(f"No rule of tier {chosen.name} compares a signal with a number. Name a signal: --signal aesthetic")
    return picked
