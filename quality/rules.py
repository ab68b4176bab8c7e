"""Tier rules: what a recipe says about silver and gold, as plain data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from manifests.errors import RecipeError, SqlError
from quality.sql_guard import canonical, check_syntax, nearest

IMPLICIT = ("rejected", "bronze")
"""Tiers that need no rules: a sample whose ``error`` is not null, and every other one."""
TOP = re.compile(r"\s*(?:top\s+)?(\d+(?:\.\d+)?)\s*%\s+by\s+(\S.*)", re.IGNORECASE | re.DOTALL)
BALANCE_KEYS, MIX_KEYS = ("by", "cap", "prefer"), ("where", "max_share", "prefer")


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


Problem = tuple[tuple[str, ...], str]
"""Where in the tiers (tier, or tier and rule), and what is wrong there."""
AnyRule = Rule | Top | Balance | Mix


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


def parse_tiers(data: Mapping[str, Any], lines: Mapping[tuple[str, ...], int] | None = None) -> Tiers:
    """Tiers from plain data: tier -> rule name -> SQL, ``top N% by EXPR``, {by, cap, prefer} or {where, max_share, prefer}.

    ``lines`` gives the line of (tier,) and (tier, rule). Raises `RecipeError` listing every problem, one a line.
    """
    lines = lines or {}
    tiers, problems = read_tiers(data, lines)
    if problems:
        raise RecipeError("\n".join(f"line {lines[path]}: {text}" if path in lines else text for path, text in problems))
    return tiers


def read_tiers(data: Mapping[str, Any], lines: Mapping[tuple[str, ...], int]) -> tuple[Tiers, list[Problem]]:
    """What `parse_tiers` does, with the problems as (path, text) instead of an error."""
    problems: list[Problem] = []
    tiers: list[Tier] = []
    for name, rules in data.items():
        base, parsed = None, []
        try:
            base = _base(name, rules, [tier.name for tier in tiers])
        except RecipeError as error:
            problems.append(((name, "from") if (name, "from") in lines else (name,), str(error)))
        for rule, value in rules.items() if isinstance(rules, Mapping) else ():
            if rule != "from":
                try:
                    parsed.append(parse_rule(f"{name}.{rule}", rule, value, lines.get((name, rule))))
                except (RecipeError, SqlError) as error:
                    problems.append(((name, rule), str(error)))
        if sum(isinstance(rule, Mix) for rule in parsed) > 1:
            problems.append(
                ((name,), f"tier {name} has two rules with max_share, which could undo each other. Give one a tier of its own.")
            )
        tiers.append(Tier(name, base, tuple(parsed)))
    return Tiers(tuple(tiers)), problems


def parse_rule(full: str, name: str, value: object, line: int | None = None) -> AnyRule:
    """One rule; ``full`` is ``tier.name``, for messages. Raises `RecipeError` or `SqlError`."""
    where = f"rule {full}"
    if not name.strip() or any(c in name for c in "=\n\t"):
        raise RecipeError(f"{where}: a rule needs a name of one line without '='. It is the reason that reports show.")
    if isinstance(value, str):
        match = TOP.fullmatch(value)
        if match and (name == "top" or value.lstrip()[:3].lower() == "top"):
            percent = float(match[1])
            if not 0 < percent <= 100:
                raise RecipeError(f"{where}: {match[1]}% is not a share of the samples. Write more than 0% and at most 100%.")
            check_syntax(match[2], where)
            return Top(name, percent, match[2], line)
        if name == "top":
            raise RecipeError(f"{where}: write it as '30% by aesthetic'.")
        check_syntax(value, where)
        return Rule(name, value, line)
    if isinstance(value, Mapping):
        return _parse_set_rule(where, name, value, line)
    if isinstance(value, bool):
        raise RecipeError(f"{where}: YAML reads this as true or false. Write an SQL expression over the sample, such as: not is_duplicate")
    raise RecipeError(f"{where} is {value!r}, not an SQL expression. Write something like: aesthetic >= 5.0")


def _parse_set_rule(where: str, name: str, value: Mapping[str, Any], line: int | None) -> Balance | Mix:
    keys = MIX_KEYS if {"where", "max_share"} & set(value) else BALANCE_KEYS
    for key in value:
        if key not in keys:
            raise RecipeError(f"{where}: unknown key {key!r}.{nearest(str(key), (*BALANCE_KEYS, *MIX_KEYS))} It takes: {', '.join(keys)}.")
    for key in keys[:2]:
        if key not in value:
            shape = "{by: concept, cap: 5000, prefer: aesthetic} or {where: aigc_score >= 0.5, max_share: 0.10}"
            raise RecipeError(f"{where} lacks {key!r}. Write {shape}.")
    for key in ("by", "where", "prefer"):
        if key in value:
            if not isinstance(value[key], str):
                raise RecipeError(f"{where}: {key} is {value[key]!r}; an SQL expression is needed.")
            check_syntax(value[key], f"{where}, {key}")
    prefer = value.get("prefer")
    if keys is BALANCE_KEYS:
        cap = value["cap"]
        if isinstance(cap, bool) or not isinstance(cap, int) or cap < 1:
            raise RecipeError(f"{where}: cap is {cap!r}; a whole number of samples, 1 or more, is needed.")
        return Balance(name, value["by"], cap, prefer, line)
    share = value["max_share"]
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise RecipeError(f"{where}: max_share is {share!r}; a number from 0 to 1 is needed, such as 0.10 for a tenth.")
    return Mix(name, value["where"], float(share), prefer, line)


def _base(name: str, rules: object, earlier: list[str]) -> str | None:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise RecipeError(f"tier {name!r}: a tier's name is made of letters, digits, - and _.")
    if name in IMPLICIT:
        raise RecipeError(f"tier {name}: this tier is always there and takes no rules. Use silver, or a name of your own.")
    if not isinstance(rules, Mapping):
        raise RecipeError(f"tier {name}: rules are expected, one 'name: SQL' a line.")
    base = rules.get("from")
    if base is None or base == "bronze":
        return None
    if base not in earlier:
        known = ", ".join(["bronze", *earlier])
        raise RecipeError(f"tier {name}: from names {base!r}, which is no earlier tier ({known}).{nearest(str(base), earlier)}")
    return str(base)


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
