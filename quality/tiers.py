"""Tier rules as one SQL statement over ``wide``.

The statement reads ``wide`` once and only the columns the rules name. Rules that look at several samples (top, balance,
mix, shares) rank the samples that passed all plain rules of their tier and of the tier it builds on, in that order; nothing but
ranks travels back, and no row reaches Python.
"""

from collections.abc import Callable
from dataclasses import dataclass

import duckdb

from manifests.connection import identifier, quote
from manifests.errors import SqlError
from quality.ranks import place_of, rank
from quality.rules import SET_RULES, AnyRule, Balance, Mix, Rule, SetRule, Shares, Tier, Tiers, Top
from quality.sql_guard import check_bound, check_syntax, relation_columns, used_columns

UNREADABLE = "bronze.readable"
"""The reason of samples whose ``error`` is not null."""


@dataclass(frozen=True)
class CompiledTiers:
    """``select_sql`` gives (sample_id UUID, tier VARCHAR, failed_rules VARCHAR[]) for every sample, in no particular order.

    ``failed_rules`` holds ``tier.rule`` of every failed rule of every tier, with `` (unknown)`` behind where its value is
    null. A rule over several samples fails only for samples that came as far as being ranked by it.
    ``verdicts`` is the same as CTEs ending in ``final``: ``ok``, ``<i>_<j>`` for rule j of tier i, ``in_<i>`` for tier i.
    """

    tiers: Tiers
    verdicts: str
    select_sql: str
    columns: tuple[str, ...]
    """Columns of ``wide`` that are read."""


def compile_tiers(
    con: duckdb.DuckDBPyConnection, tiers: Tiers, wide: str = "wide", narrow: Callable[..., str] | None = None
) -> CompiledTiers:
    """The rules of ``tiers`` as SQL over the relation ``wide`` of ``con``.

    ``narrow(con, *columns)`` gives SQL of a smaller relation that has these columns (`manifests.wide.narrow` for a lake).
    Raises `SqlError` that lists every rule that does not fit the columns, with its line.
    """
    types = relation_columns(con, wide)
    used = {"sample_id", "error"}
    problems: list[SqlError] = []
    for tier in tiers.tiers:
        for rule in tier.rules:
            where = f"rule {tier.name}.{rule.name}" + (f", line {rule.line}" if rule.line else "")
            for sql, expected in expressions(rule):
                try:
                    check_bound(sql, types, expected, where)
                    used |= used_columns(check_syntax(sql, where), types)
                except SqlError as error:
                    problems.append(error)
    if problems:
        raise SqlError("\n".join(map(str, problems)), [column for problem in problems for column in problem.unknown])
    columns = tuple(sorted(used))
    select = ", ".join(known(column, types[column]) for column in columns)
    ctes = [f"base AS (SELECT {select} FROM {narrow(con, *columns) if narrow else wide} AS wide)"]
    facts = ['sample_id, "error" IS NULL AS ok']
    for i, tier in enumerate(tiers.tiers):
        for j, rule in enumerate(tier.rules):
            facts += facts_of(rule, f"{i}_{j}")
    ctes.append(f"stage AS (SELECT {', '.join(facts)} FROM base AS wide)")
    last = "stage"
    for i, tier in enumerate(tiers.tiers):
        last = tier_stages(ctes, last, tiers, i, tier)
    ctes.append(f"final AS (SELECT * FROM {last})")
    verdicts = "WITH " + ",\n".join(ctes)
    return CompiledTiers(
        tiers,
        verdicts,
        f"{verdicts}\nSELECT sample_id, {tier_case(tiers)} AS tier, {failed_list(tiers)} AS failed_rules FROM final",
        columns,
    )


def expressions(rule: AnyRule) -> list[tuple[str, str]]:
    """The SQL of a rule and the type each piece must have."""
    match rule:
        case Rule():
            return [(rule.sql, "BOOLEAN")]
        case Top():
            return [(rule.by, "NUMBER")]
        case Balance():
            return [(rule.by, "ANY"), *([(rule.prefer, "NUMBER")] if rule.prefer else [])]
        case Mix():
            return [(rule.where, "BOOLEAN"), *([(rule.prefer, "NUMBER")] if rule.prefer else [])]
        case Shares():
            return [(rule.by, "ANY"), *([(rule.prefer, "NUMBER")] if rule.prefer else [])]


def known(column: str, kind: str) -> str:
    """A column as rules see it. NaN is as unknown as null: DuckDB would hold it for the greatest number of all."""
    name = identifier(column)
    return f"CASE WHEN isnan({name}) THEN NULL ELSE {name} END AS {name}" if kind in ("FLOAT", "DOUBLE") else name


def facts_of(rule: AnyRule, at: str) -> list[str]:
    """Columns with a rule's values for each sample: ``r`` true or false, ``v`` value, ``p`` preference.

    TRY: an expression that cannot be computed for one sample (a cast, say) is unknown for it and stops nobody else.
    """

    def value(sql: str, prefix: str) -> str:
        return f"TRY(({sql}\n)) AS {prefix}{at}"

    def number(sql: str, prefix: str) -> str:
        if check_syntax(sql)["class"] == "COLUMN_REF":
            return f"({sql}\n) AS {prefix}{at}"
        # NaN that a calculation makes is as unknown as a NaN that is stored.
        return f"CASE WHEN isnan(TRY(({sql}\n))::DOUBLE) THEN NULL ELSE TRY(({sql}\n)) END AS {prefix}{at}"

    match rule:
        case Rule():
            return [value(rule.sql, "r")]
        case Top():
            return [number(rule.by, "v")]
        case Balance():
            return [value(rule.by, "v"), *([number(rule.prefer, "p")] if rule.prefer else [])]
        case Mix():
            return [value(rule.where, "v"), *([number(rule.prefer, "p")] if rule.prefer else [])]
        case Shares():
            place = place_of(rule, f"TRY(({rule.by}\n))")
            return [f"{place} AS v{at}", *([number(rule.prefer, "p")] if rule.prefer else [])]


def tier_stages(ctes: list[str], last: str, tiers: Tiers, i: int, tier: Tier) -> str:
    """Append the CTEs that decide tier ``i``; returns the name of the one to go on from."""
    at = {id(rule): f"{i}_{j}" for j, rule in enumerate(tier.rules)}
    base = next((f"in_{k}" for k, other in enumerate(tiers.tiers) if other.name == tier.base), "ok")
    plain = " AND ".join([base, *(f"coalesce(r{at[id(rule)]}, false)" for rule in tier.kind(Rule))])
    tops, later = tier.kind(Top), _later(tier)
    if not tops + later:
        ctes.append(f"t{i} AS (SELECT *, ({plain}) AS in_{i} FROM {last})")
        return f"t{i}"
    ctes.append(f"c{i} AS MATERIALIZED (SELECT *, ({plain}) AS candidate_{i} FROM {last})")
    steps: list[tuple[str, list[SetRule]]] = [(f"k{i}_0", tops)] if tops else []
    steps += [(f"k{i}_{n}", [rule]) for n, rule in enumerate(later, start=1)]
    source, reached = f"(SELECT * FROM c{i} WHERE candidate_{i})", ""
    for name, rules in steps:
        ranked = [f"{rank(rule, at[id(rule)], source)} AS r{at[id(rule)]}" for rule in rules]
        passed = " AND ".join(f"coalesce(r{at[id(rule)]}, false)" for rule in rules)
        ctes.append(f"{name} AS MATERIALIZED (SELECT *, {', '.join(ranked)} FROM {source})")
        source, reached = f"(SELECT * FROM {name} WHERE {passed})", f"{name}.sample_id IS NOT NULL AND {passed}"
    # Later steps saw fewer samples: they are joined among themselves first, so the many are joined once.
    picked = [f"{name}.r{at[id(rule)]}" for name, rules in steps for rule in rules]
    seen = [f"{name}.sample_id IS NOT NULL AS seen_{name}" for name, _ in steps]
    first, last_step = steps[0][0], steps[-1][0]
    joins = "".join(f" LEFT JOIN {name} ON {name}.sample_id = {first}.sample_id" for name, _ in steps[1:])
    final = reached.replace("coalesce(r", f"coalesce({last_step}.r")
    ctes.append(f"ranked{i} AS (SELECT {first}.sample_id, {', '.join(picked + seen)}, ({final}) AS in_{i} FROM {first}{joins})")
    columns = [f"r{at[id(rule)]}" for _, rules in steps for rule in rules]
    flags = [f"coalesce({flag}, false) AS {flag}" for flag in (*(f"seen_{name}" for name, _ in steps), f"in_{i}")]
    ctes.append(
        f"t{i} AS (SELECT c{i}.*, {', '.join(columns + flags)} FROM c{i} LEFT JOIN ranked{i} ON ranked{i}.sample_id = c{i}.sample_id)"
    )
    return f"t{i}"


def tier_case(tiers: Tiers) -> str:
    """The highest tier a sample is in."""
    whens = [f"WHEN in_{i} THEN {quote(tier.name)}" for i, tier in reversed(list(enumerate(tiers.tiers)))]
    return f"CASE WHEN NOT ok THEN 'rejected' {' '.join(whens)} ELSE 'bronze' END"


def failed_list(tiers: Tiers) -> str:
    """``tier.rule`` of every failed rule, in the order of the recipe."""
    parts = [f"CASE WHEN ok THEN [] ELSE [{quote(UNREADABLE)}] END"]
    for i, tier in enumerate(tiers.tiers):
        for j, rule in enumerate(tier.rules):
            name = f"{tier.name}.{rule.name}"
            verdict = f"r{i}_{j}"
            skip = "" if isinstance(rule, Rule) else f"WHEN NOT {seen_by(tiers, i, rule)} THEN [] "
            unknown = quote(f"{name} (unknown)")
            parts.append(f"CASE {skip}WHEN {verdict} THEN [] WHEN {verdict} IS NULL THEN [{unknown}] ELSE [{quote(name)}] END")
    return f"CAST(list_concat({', '.join(parts)}) AS VARCHAR[])" if len(parts) > 1 else f"CAST({parts[0]} AS VARCHAR[])"


def seen_by(tiers: Tiers, i: int, rule: AnyRule) -> str:
    """The column that says whether a sample came as far as this set rule."""
    tier = tiers.tiers[i]
    if isinstance(rule, Top):
        return f"seen_k{i}_0"
    return f"seen_k{i}_{next(n for n, other in enumerate(_later(tier), start=1) if other is rule)}"


def _later(tier: Tier) -> list[SetRule]:
    """The rules over several samples that apply one after another, behind all tops."""
    return [rule for kind in SET_RULES if kind is not Top for rule in tier.kind(kind)]
