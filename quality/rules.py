"""Tier rules: what a recipe says about silver and gold, as plain data."""

from dataclasses import dataclass, field
from typing import Any

from quality.sql_guard import canonical

IMPLICIT = ("rejected", "bronze")
"""Tiers that need no rules: a sample whose ``error`` is not null, and every other one."""


@dataclass(frozen=True)
class Rule:
    """A sample passes when ``sql`` is true. False and unknown both fail."""

    name: str
    sql: str
    line: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Top:
    """The ``percent`` (over 0, at most 100) of samples with the highest ``by`` pass; the count is rounded up, ties go by sample_id."""

    name: str
    percent: float
    by: str
    line: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Balance:
    """At most ``cap`` samples for each value of ``by`` pass: those with the highest ``prefer``, ties by sample_id."""

    name: str
    by: str
    cap: int
    prefer: str | None = None
    line: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Mix:
    """Samples for which ``where`` is true are at most ``max_share`` (0-1) of the tier: those with the highest ``prefer``."""

    name: str
    where: str
    max_share: float
    prefer: str | None = None
    line: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Shares:
    """The largest set in which the values of ``by`` have these proportions passes: of each value those with the highest ``prefer``.

    ``shares``: (value as text, share); ``rest``: the share of all other values together. All shares add up to 1.
    """

    name: str
    by: str
    shares: tuple[tuple[str, float], ...]
    rest: float = 0.0
    prefer: str | None = None
    line: int | None = field(default=None, compare=False)


SetRule = Top | Balance | Mix | Shares
"""Rules that look at several samples."""
AnyRule = Rule | SetRule
SET_RULES: tuple[type[Any], ...] = (Top, Balance, Mix, Shares)
"""The order in which they apply, whatever the order of the recipe."""


@dataclass(frozen=True)
class Tier:
    """``base``: the tier a sample must be in first (``from:``)."""

    name: str
    base: str | None
    rules: tuple[AnyRule, ...]

    def kind(self, kind: type[Any]) -> list[Any]:
        """The rules of one kind, in the order of the recipe."""
        return [rule for rule in self.rules if isinstance(rule, kind)]


@dataclass(frozen=True)
class Tiers:
    """Tiers from low to high: a sample gets the last one whose rules it passes."""

    tiers: tuple[Tier, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every tier a sample can be in, lowest first."""
        return (*IMPLICIT, *(tier.name for tier in self.tiers))

    def rows(self) -> list[tuple[str, str, str]]:
        """(tier, rule name, what it says) of every rule, in order."""
        return [(tier.name, rule.name, describe(rule)) for tier in self.tiers for rule in tier.rules]

    def as_dict(self) -> dict[str, dict[str, str]]:
        """What every rule says by tier and rule name, in order."""
        return {tier.name: {rule.name: describe(rule) for rule in tier.rules} for tier in self.tiers}

    def recorded(self) -> dict[str, dict[str, str]]:
        """`as_dict` with the tier each builds on as ``from``: what the manifest remembers of a tiering."""
        return {tier.name: {"from": tier.base or "bronze", **self.as_dict()[tier.name]} for tier in self.tiers}

    def canonical(self) -> list[Any]:
        """The rules as plain data without comments, layout and line numbers: what a digest is made of."""
        return [[tier.name, tier.base, [_canonical(rule) for rule in tier.rules]] for tier in self.tiers]


def describe(rule: AnyRule) -> str:
    """A rule as one line of text."""
    match rule:
        case Rule():
            return rule.sql.strip()
        case Top():
            return f"top {rule.percent:g}% by {rule.by.strip()}"
        case Balance():
            text = f"at most {rule.cap} for each {rule.by.strip()}"
        case Mix():
            text = f"at most {rule.max_share * 100:g}% with {rule.where.strip()}"
        case Shares():
            parts = [f"{share * 100:.4g}% {value!r}" for value, share in rule.shares]
            parts += [f"{rule.rest * 100:.4g}% others"] if rule.rest else []
            text = f"{', '.join(parts)} by {rule.by.strip()}"
    return f"{text}, by highest {rule.prefer.strip()}" if rule.prefer else text


def _canonical(rule: AnyRule) -> list[Any]:
    match rule:
        case Rule():
            return ["rule", rule.name, canonical(rule.sql)]
        case Top():
            return ["top", rule.name, rule.percent, canonical(rule.by)]
        case Balance():
            return ["balance", rule.name, canonical(rule.by), rule.cap, rule.prefer and canonical(rule.prefer)]
        case Mix():
            return ["mix", rule.name, canonical(rule.where), rule.max_share, rule.prefer and canonical(rule.prefer)]
        case Shares():
            shares = sorted(rule.shares)
            return ["shares", rule.name, canonical(rule.by), shares, rule.rest, rule.prefer and canonical(rule.prefer)]
