"""Tier rules from plain data: the forms a recipe may write, and what is wrong with others."""

import re
from collections.abc import Mapping
from typing import Any

from manifests.errors import RecipeError, SqlError
from quality.rules import IMPLICIT, AnyRule, Balance, Mix, Rule, Shares, Tier, Tiers, Top
from quality.sql_guard import check_syntax
from quality.sql_tree import nearest

TOP = re.compile(r"\s*(?:top\s+)?(\d+(?:\.\d+)?)\s*%\s+by\s+(\S.*)", re.IGNORECASE | re.DOTALL)
KEYS = {"cap": ("by", "cap", "prefer"), "max_share": ("where", "max_share", "prefer"), "shares": ("by", "shares", "rest", "prefer")}
"""The keys of the rules over several samples, by the one that tells them apart."""
SHAPES = "{by: concept, cap: 50}, {where: aigc_score >= 0.5, max_share: 0.1} or {by: style, shares: {photo: 0.8, anime: 0.2}}"
Problem = tuple[tuple[str, ...], str]
"""Where in the tiers (tier, or tier and rule), and what is wrong there."""


def parse_tiers(data: Mapping[str, Any], lines: Mapping[tuple[str, ...], int] | None = None) -> Tiers:
    """Tiers from plain data: tier -> rule name -> SQL, ``top N% by EXPR``, {by, cap, prefer},
    {where, max_share, prefer} or {by, shares, rest, prefer}.

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
        if sum(isinstance(rule, Mix | Shares) for rule in parsed) > 1:
            problems.append(
                ((name,), f"tier {name} has two rules with max_share or shares, which could undo each other. Give one a tier of its own.")
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


def _parse_set_rule(where: str, name: str, value: Mapping[str, Any], line: int | None) -> Balance | Mix | Shares:
    kind = "max_share" if {"where", "max_share"} & set(value) else "shares" if {"shares", "rest"} & set(value) else "cap"
    keys = KEYS[kind]
    for key in value:
        if key not in keys:
            known = dict.fromkeys(key for keys in KEYS.values() for key in keys)
            raise RecipeError(f"{where}: unknown key {key!r}.{nearest(str(key), known)} It takes: {', '.join(keys)}.")
    for key in keys[:2]:
        if key not in value:
            raise RecipeError(f"{where} lacks {key!r}. Write {SHAPES}.")
    for key in ("by", "where", "prefer"):
        if key in value:
            if not isinstance(value[key], str):
                raise RecipeError(f"{where}: {key} is {value[key]!r}; an SQL expression is needed.")
            check_syntax(value[key], f"{where}, {key}")
    prefer = value.get("prefer")
    if kind == "shares":
        shares, rest = _shares(where, value["shares"], value.get("rest", 0))
        return Shares(name, value["by"], shares, rest, prefer, line)
    if kind == "cap":
        cap = value["cap"]
        if isinstance(cap, bool) or not isinstance(cap, int) or cap < 1:
            raise RecipeError(f"{where}: cap is {cap!r}; a whole number of samples, 1 or more, is needed.")
        return Balance(name, value["by"], cap, prefer, line)
    return Mix(name, value["where"], _share(where, "max_share", value["max_share"]), prefer, line)


def _share(where: str, what: str, share: object) -> float:
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise RecipeError(f"{where}: {what} is {share!r}; a number from 0 to 1 is needed, such as 0.10 for a tenth.")
    return float(share)


def _shares(where: str, shares: object, rest: object) -> tuple[tuple[tuple[str, float], ...], float]:
    """Shares by value as text, and that of all other values, scaled so that they add up to 1 (thirds need not be written out)."""
    if not isinstance(shares, Mapping) or not shares:
        raise RecipeError(f"{where}: shares is {shares!r}; write the share of each value, such as {{photo: 0.8, anime: 0.2}}.")
    # YAML reads true and 16 as no text; SQL writes them as true and 16.
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in shares]
    named = {text: _share(where, f"the share of {text}", share) for text, share in zip(texts, shares.values(), strict=True)}
    if len(named) < len(shares):
        raise RecipeError(f"{where}: shares names a value twice. Remove one.")
    if None in shares:
        raise RecipeError(f"{where}: null is unknown and passes no rule. Write coalesce(..., 'none') in by, and none in quotes in shares.")
    others = _share(where, "rest", rest)
    total = sum(named.values()) + others
    if not 0.99 <= total <= 1.01:
        raise RecipeError(f"{where}: the shares add up to {total:.4g}, not 1. The share of all values not named is written as rest: 0.1.")
    return tuple((value, share / total) for value, share in named.items()), others / total


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
