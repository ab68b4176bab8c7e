"""Thresholds that keep a wanted share of a lake: all thresholds of a tier moved together, and each one moved alone.

Together means equally strict. Let c be the share of samples that a threshold turns away now. Tightening by s (0 to 1) puts it where
it turns away c + s (1 - c), loosening by s where it turns away c (1 - s). Every sample has a largest s at which it still passes all
thresholds, so the wanted share is one order statistic. What is proposed is then counted by the rules themselves, in SQL.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from manifests import Lake
from manifests.connection import quote
from manifests.errors import UsageError
from manifests.wide import narrow
from quality.curves import Bools
from quality.moving import Change, Moving, moving_thresholds
from quality.rules import Rule, Tier, Tiers
from quality.tiers import compile_tiers

BASE = "temp.suggest_base"
CLOSE = 0.005
"""A share this near to the wanted one needs no further search."""
ROUNDS = 14
"""Steps of the search where rules over several samples have a say as well."""


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


_Found = tuple[tuple[Change, ...], int]
"""Changes, and how many samples the tier holds with them."""


@dataclass(frozen=True)
class _Aim:
    """What is searched for: ``wanted`` of the ``samples`` readable ones in the tier called ``name``."""

    lake: Lake
    tiers: Tiers
    name: str
    samples: int
    wanted: float

    @property
    def tier(self) -> Tier:
        return next(tier for tier in self.tiers.tiers if tier.name == self.name)


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
    if not samples:
        raise UsageError("No sample of the lake can be read, so there is nothing to keep. `goldsieve status` shows the errors.")
    aim = _Aim(lake, tiers, chosen.name, samples, keep * samples)
    moving, rest = moving_thresholds(lake, tiers, chosen, signals, BASE)
    lake.connection.execute(f"CREATE OR REPLACE TEMP TABLE suggest_now AS {_members(lake, tiers, chosen.name)}")
    present = int(lake.value("SELECT count(*) FROM temp.suggest_now"))
    proposals = []
    for group in ([moving] if len(moving) > 1 else []) + [[one] for one in moving]:
        fixed = rest.copy()
        for one in moving:
            if one not in group:
                fixed &= one.passes(one.now)
        found = _search(aim, group, fixed)
        if found is not None and len(group) > 1 and abs(found[1] - aim.wanted) > CLOSE * samples:
            found = _fine_tuned(aim, group, fixed, found)
        if found is not None:
            changes, kept = found
            lost = _lost(lake, _with(tiers, chosen, changes), chosen.name)
            what = "together" if len(group) > 1 else group[0].leaf.signal
            proposals.append(Proposal(what, changes, kept, samples, lost, kept - present + lost))
    return present, sorted(proposals, key=lambda p: abs(p.share - keep) > 2 * CLOSE)  # those that meet it first


def _fine_tuned(aim: _Aim, group: Sequence[Moving], fixed: Bools, found: _Found) -> _Found:
    """Equal values (of whole numbers, say) leave or stay together: the threshold with the most different values makes up for them."""
    finest = max(group, key=lambda one: len(np.unique(one.score[np.isfinite(one.score)])))
    others = [change for one, change in zip(group, found[0], strict=True) if one is not finest]
    for one, change in zip(group, found[0], strict=True):
        if one is not finest:
            fixed = fixed & one.passes(one.turns_away(change.proposed))
    settled = _with(aim.tiers, aim.tier, others)
    alone = _search(dataclasses.replace(aim, tiers=settled), [finest], fixed)
    if alone is None or abs(alone[1] - aim.wanted) >= abs(found[1] - aim.wanted):
        return found
    return (*others, *alone[0]), alone[1]


def _search(aim: _Aim, group: Sequence[Moving], fixed: Bools) -> _Found | None:
    """The changes that keep nearest to the wanted share, and how many they keep; None when it is out of reach."""
    wanted = aim.wanted
    limit = np.full(len(fixed), 1.0)
    loose = fixed & np.logical_and.reduce([one.passes(0.0) for one in group])
    tighten = (fixed & np.logical_and.reduce([one.passes(one.now) for one in group])).sum() >= wanted
    for one in group:
        looser = one.u / one.now - 1 if one.now > 0 else np.zeros(len(fixed))  # -s: passes while u >= now (1 - s)
        own = (one.u - one.now) / max(1e-12, 1 - one.now) if tighten else looser
        limit = np.minimum(limit, np.where(one.always, 1.0, own))
    if loose.sum() < wanted * 0.995:
        return None
    plain = all(isinstance(rule, Rule) for rule in aim.tier.rules)
    ordered = np.sort(limit[loose])[::-1]

    def at(count: int) -> _Found:
        s = float(ordered[min(max(count, 1), len(ordered)) - 1])
        changes = tuple(one.change(one.now + s * (1 - one.now) if tighten else one.now * (1 + s)) for one in group)
        members = _members(aim.lake, _with(aim.tiers, aim.tier, changes), aim.tier.name)
        return changes, int(aim.lake.value(f"SELECT count(*) FROM ({members})"))

    best = at(round(wanted))
    if plain and abs(best[1] - wanted) <= CLOSE * aim.samples:
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
