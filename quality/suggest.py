"""Thresholds that keep a wanted share of a lake: all thresholds of a tier moved together, and each one moved alone.

Together means equally strict. Let c be the share of samples that a threshold turns away now. Tightening by s (0 to 1) puts it where
it turns away c + s (1 - c), loosening by s where it turns away c (1 - s). Every sample has a largest s at which it still passes all
thresholds, so the wanted share is one order statistic. What is proposed is then counted by the rules themselves, in SQL.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from manifests import Lake
from manifests.connection import quote
from manifests.errors import UsageError
from manifests.wide import narrow
from quality.curves import Bools, Floats
from quality.leaves import Leaf, leaves
from quality.rules import Rule, Tier, Tiers
from quality.threshold import numbers_between, text
from quality.tiers import compile_tiers

BASE = "temp.suggest_base"
CLOSE = 0.005
"""A share this near to the wanted one needs no further search."""
ROUNDS = 14
"""Steps of the search where rules over several samples have a say as well."""


@dataclass(frozen=True)
class Change:
    """The threshold of one rule: its number now (None: a new rule) and as proposed, and the rule with it."""

    tier: str
    rule: str
    signal: str
    now: float | None
    proposed: float
    sql: str


@dataclass(frozen=True)
class Proposal:
    """``kept`` of ``samples`` readable ones get into the tier with these changes. ``what``: 'together', or the signal that moves alone.

    ``lost`` and ``won``: samples that leave and enter the tier.
    """

    what: str
    changes: tuple[Change, ...]
    kept: int
    samples: int
    lost: int
    won: int

    @property
    def share(self) -> float:
        return self.kept / self.samples if self.samples else 0.0


@dataclass
class _Moving:
    """A threshold on every readable sample: ``score`` (higher passes), rank ``u`` (share of samples with lower scores)."""

    leaf: Leaf
    new: bool
    score: Floats
    u: Floats
    now: float
    always: Bools
    never: Bools

    @property
    def known(self) -> Floats:
        """Known scores, rising."""
        return np.sort(self.score[np.isfinite(self.score)])

    def turns_away(self, number: float) -> float:
        """Share of the known samples that the threshold ``number`` turns away."""
        known = self.known
        side: Literal["left", "right"] = "left" if self.leaf.op in (">=", "<=") else "right"
        return float(np.searchsorted(known, number if self.leaf.op[0] == ">" else -number, side=side) / max(1, len(known)))


def suggest(lake: Lake, tiers: Tiers, keep: float, tier: str | None = None, signals: Sequence[str] = ()) -> tuple[int, list[Proposal]]:
    """How many samples the tier (by default the last) holds now, and proposals that keep ``keep`` (0-1) of the readable samples.

    ``signals``: move only thresholds on these; one that the tier's rules do not look at gets a new rule ``signal >= x``.
    Raises `UsageError` when there is nothing to move.
    """
    if not 0 < keep <= 1:
        raise UsageError(f"--keep is {keep:g}; a share over 0 and at most 1 is needed, such as 0.3 or 30%.")
    chosen = next((t for t in tiers.tiers if t.name == tier), None) if tier else (tiers.tiers[-1] if tiers.tiers else None)
    if chosen is None:
        raise UsageError(f"The recipe has no tier {tier or ''!r}. It has: {', '.join(t.name for t in tiers.tiers) or 'none'}.")
    words = (*compile_tiers(lake.connection, tiers, narrow=narrow).columns, *signals)
    lake.connection.execute(f"CREATE OR REPLACE TEMP TABLE suggest_base AS SELECT * FROM {narrow(lake.connection, *words)}")
    try:
        return _suggest(lake, tiers, chosen, keep, signals)
    finally:
        for table in ("suggest_base", "suggest_now"):
            lake.connection.execute(f"DROP TABLE IF EXISTS temp.{table}")


def _suggest(lake: Lake, tiers: Tiers, chosen: Tier, keep: float, signals: Sequence[str]) -> tuple[int, list[Proposal]]:
    samples = int(lake.value(f'SELECT count(*) FROM {BASE} WHERE "error" IS NULL'))
    moving, rest = _moving(lake, tiers, chosen, signals)
    lake.connection.execute(f"CREATE OR REPLACE TEMP TABLE suggest_now AS {_members(lake, tiers, chosen.name)}")
    present = int(lake.value("SELECT count(*) FROM temp.suggest_now"))
    proposals = []
    for group in ([moving] if len(moving) > 1 else []) + [[one] for one in moving]:
        fixed = rest.copy()
        for one in moving:
            if one not in group:
                fixed &= _passes(one, one.now)
        found = _search(lake, tiers, chosen, group, fixed, samples, keep)
        if found is not None and len(group) > 1 and abs(found[1] - keep * samples) > CLOSE * samples:
            found = _fine_tuned(lake, tiers, chosen, group, fixed, samples, keep, found)
        if found is not None:
            changes, kept = found
            lost = _lost(lake, _with(tiers, chosen, changes), chosen.name)
            what = "together" if len(group) > 1 else group[0].leaf.signal
            proposals.append(Proposal(what, changes, kept, samples, lost, kept - present + lost))
    return present, sorted(proposals, key=lambda p: abs(p.share - keep) > 2 * CLOSE)  # those that meet it first


def _fine_tuned(
    lake: Lake,
    tiers: Tiers,
    chosen: Tier,
    group: Sequence[_Moving],
    fixed: Bools,
    samples: int,
    keep: float,
    found: tuple[tuple[Change, ...], int],
) -> tuple[tuple[Change, ...], int]:
    """Equal values (of whole numbers, say) leave or stay together: the threshold with the most different values makes up for them."""
    finest = max(group, key=lambda one: len(np.unique(one.score[np.isfinite(one.score)])))
    others = [change for one, change in zip(group, found[0], strict=True) if one is not finest]
    for one, change in zip(group, found[0], strict=True):
        if one is not finest:
            fixed = fixed & _passes(one, one.turns_away(change.proposed))
    settled = _with(tiers, chosen, others)
    alone = _search(lake, settled, next(t for t in settled.tiers if t.name == chosen.name), [finest], fixed, samples, keep)
    if alone is None or abs(alone[1] - keep * samples) >= abs(found[1] - keep * samples):
        return found
    return (*others, *alone[0]), alone[1]


def _moving(lake: Lake, tiers: Tiers, chosen: Tier, signals: Sequence[str]) -> tuple[list[_Moving], Bools]:
    """Thresholds to move, with their values; which samples pass everything else before set rules."""
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
    free = {leaf.rule for leaf, new in picked if not new}
    before = dataclasses.replace(chosen, rules=tuple(r for r in chosen.kind(Rule) if r.name not in free))
    position = tiers.tiers.index(chosen)
    without = compile_tiers(lake.connection, Tiers((*tiers.tiers[:position], before)), BASE)
    selects = []
    for n, (leaf, _) in enumerate(picked):
        selects.append(f"CAST(TRY(({leaf.signal})) AS DOUBLE) AS v{n}")
        selects += [f"coalesce(TRY(({sql})), false) AS {side}{n}" for side, sql in (("y", leaf.yes), ("f", leaf.no), ("u", leaf.unknown))]
    table = lake.query(
        f"""SELECT {", ".join(selects)}, t.tier = {quote(chosen.name)} AS rest FROM {BASE} AS wide
        JOIN ({without.select_sql}) t USING (sample_id) WHERE "error" IS NULL ORDER BY sample_id"""
    )

    def column(name: str) -> np.ndarray:
        return np.asarray(table.column(name).combine_chunks().to_numpy(zero_copy_only=False))

    moving = []
    for n, (leaf, new) in enumerate(picked):
        sign = 1.0 if leaf.op[0] == ">" else -1.0
        score = sign * column(f"v{n}").astype(np.float64)
        known = np.sort(score[np.isfinite(score)])
        u = np.searchsorted(known, score, side="left") / max(1, len(known))
        yes, no, unknown = (column(f"{side}{n}").astype(bool) for side in "yfu")
        missing = ~np.isfinite(score)
        always, never = np.where(missing, unknown, no & yes), np.where(missing, ~unknown, ~yes)
        one = _Moving(leaf, new, score, u, 0.0, always.astype(bool), never.astype(bool))
        moving.append(dataclasses.replace(one, now=one.turns_away(leaf.value)))
    return moving, column("rest").astype(bool)


def _passes(one: _Moving, turned_away: float) -> Bools:
    return one.always | (~one.never & (one.u >= turned_away))


def _search(
    lake: Lake, tiers: Tiers, chosen: Tier, group: Sequence[_Moving], fixed: Bools, samples: int, keep: float
) -> tuple[tuple[Change, ...], int] | None:
    """The changes that keep nearest to the wanted share, and how many they keep; None when it is out of reach."""
    wanted = keep * samples
    limit = np.full(len(fixed), 1.0)
    loose = fixed & np.logical_and.reduce([_passes(one, 0.0) for one in group])
    tighten = (fixed & np.logical_and.reduce([_passes(one, one.now) for one in group])).sum() >= wanted
    for one in group:
        looser = one.u / one.now - 1 if one.now > 0 else np.zeros(len(fixed))  # -s: passes while u >= now (1 - s)
        own = (one.u - one.now) / max(1e-12, 1 - one.now) if tighten else looser
        limit = np.minimum(limit, np.where(one.always, 1.0, own))
    if loose.sum() < wanted * 0.995:
        return None
    plain = not any(not isinstance(rule, Rule) for rule in chosen.rules)
    ordered = np.sort(limit[loose])[::-1]

    def at(count: int) -> tuple[tuple[Change, ...], int]:
        s = float(ordered[min(max(count, 1), len(ordered)) - 1])
        changes = tuple(_change(one, one.now + s * (1 - one.now) if tighten else one.now * (1 + s)) for one in group)
        return changes, int(lake.value(f"SELECT count(*) FROM ({_members(lake, _with(tiers, chosen, changes), chosen.name)})"))

    best = at(round(wanted))
    if plain and abs(best[1] - wanted) <= CLOSE * samples:
        return best
    low, high = 1, len(ordered)
    for _ in range(ROUNDS):
        middle = (low + high) // 2
        tried = at(middle)
        if abs(tried[1] - wanted) < abs(best[1] - wanted):
            best = tried
        if tried[1] < wanted:
            low = middle + 1
        else:
            high = middle
        if low >= high:
            break
    return best


def _change(one: _Moving, turned_away: float) -> Change:
    """The shortest number that turns away this share of the known values."""
    known = one.known
    at = min(round(turned_away * len(known)), len(known) - 1)
    above = float(known[at])
    smaller = known[known < above]
    below = float(smaller[-1]) if len(smaller) else above - max(abs(above), 1.0) * 0.01
    inside = numbers_between(below, above)
    cut = next(inside, above)
    if one.leaf.op in (">", "<") and cut == above:
        cut = below
    number = cut if one.leaf.op[0] == ">" else -cut
    return Change(
        one.leaf.tier,
        one.leaf.rule,
        one.leaf.signal,
        None if one.new else one.leaf.value,
        number + 0.0,
        one.leaf.pattern.format(text(number + 0.0)),
    )


def _with(tiers: Tiers, chosen: Tier, changes: Sequence[Change]) -> Tiers:
    by_name = {change.rule: change.sql for change in changes}
    rules = [
        dataclasses.replace(rule, sql=by_name.pop(rule.name)) if isinstance(rule, Rule) and rule.name in by_name else rule
        for rule in chosen.rules
    ]
    rules = [*(Rule(name, sql) for name, sql in by_name.items()), *rules]
    return Tiers(tuple(dataclasses.replace(t, rules=tuple(rules)) if t is chosen else t for t in tiers.tiers))


def _members(lake: Lake, tiers: Tiers, tier: str) -> str:
    """SQL of the ids of samples in this tier or one that builds on it."""
    built = {tier}
    for other in tiers.tiers:
        if other.base in built:
            built.add(other.name)
    names = ", ".join(quote(name) for name in sorted(built))
    return f"SELECT sample_id FROM ({compile_tiers(lake.connection, tiers, BASE).select_sql}) WHERE tier IN ({names})"


def _lost(lake: Lake, tiers: Tiers, tier: str) -> int:
    """How many of the samples in ``suggest_now`` are not in the tier any more."""
    members = _members(lake, tiers, tier)
    return int(lake.value(f"SELECT count(*) FROM temp.suggest_now ANTI JOIN ({members}) m USING (sample_id)"))
