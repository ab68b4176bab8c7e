"""Tier rules as one SQL statement over ``wide``, and what it says before anything is written.

The statement reads ``wide`` once and only the columns the rules name. Rules that look at several samples (top, balance,
mix) rank the samples that passed all plain rules of their tier and of the tier it builds on, in that order; nothing but
ranks travels back, and no row reaches Python.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

import duckdb

from manifests.connection import identifier, quote
from manifests.errors import SqlError
from quality.rules import AnyRule, Balance, Mix, Rule, Tier, Tiers, Top
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


def compile_tiers(
    con: duckdb.DuckDBPyConnection, tiers: Tiers, wide: str = "wide", narrow: Callable[..., str] | None = None
) -> CompiledTiers:
    """The rules of ``tiers`` as SQL over the relation ``wide`` of ``con``.

    ``narrow(con, *columns)`` gives SQL of a smaller relation that has these columns (`manifests.wide.narrow` for a lake).
    Raises `SqlError` that lists every rule that does not fit the columns, with its line.
    """
    types = relation_columns(con, wide)
    used = {"sample_id", "error"}
    problems: list[str] = []
    for tier in tiers.tiers:
        for rule in tier.rules:
            where = f"rule {tier.name}.{rule.name}" + (f", line {rule.line}" if rule.line else "")
            for sql, expected in expressions(rule):
                try:
                    check_bound(sql, types, expected, where)
                    used |= used_columns(check_syntax(sql, where), types)
                except SqlError as error:
                    problems.append(str(error))
    if problems:
        raise SqlError("\n".join(problems))
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


def tier_stages(ctes: list[str], last: str, tiers: Tiers, i: int, tier: Tier) -> str:
    """Append the CTEs that decide tier ``i``; returns the name of the one to go on from."""
    at = {id(rule): f"{i}_{j}" for j, rule in enumerate(tier.rules)}
    base = next((f"in_{k}" for k, other in enumerate(tiers.tiers) if other.name == tier.base), "ok")
    plain = " AND ".join([base, *(f"coalesce(r{at[id(rule)]}, false)" for rule in tier.kind(Rule))])
    tops, balances, mixes = tier.kind(Top), tier.kind(Balance), tier.kind(Mix)
    if not tops + balances + mixes:
        ctes.append(f"t{i} AS (SELECT *, ({plain}) AS in_{i} FROM {last})")
        return f"t{i}"
    ctes.append(f"c{i} AS MATERIALIZED (SELECT *, ({plain}) AS candidate_{i} FROM {last})")
    steps: list[tuple[str, list[AnyRule]]] = [(f"k{i}_0", tops)] if tops else []
    steps += [(f"k{i}_{n}", [rule]) for n, rule in enumerate([*balances, *mixes], start=1)]
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


def rank(rule: AnyRule, at: str, source: str) -> str:
    """Whether a sample of ``source`` passes a rule that looks at several samples; null where its value is unknown."""
    value = f"v{at}"
    match rule:
        case Top():
            # As whole numbers, so that 30 % of 10 is 3: percent has at most six decimals here.
            share = f"ceil((SELECT count({value}) FROM {source}) * {round(rule.percent * 1_000_000)}::HUGEINT / 100000000.0)"
            return f"CASE WHEN {value} IS NOT NULL THEN row_number() OVER (ORDER BY {value} DESC NULLS LAST, sample_id) <= {share} END"
        case Balance():
            order = f"p{at} DESC NULLS LAST, sample_id" if rule.prefer else "sample_id"
            return f"CASE WHEN {value} IS NOT NULL THEN row_number() OVER (PARTITION BY {value} ORDER BY {order}) <= {rule.cap} END"
        case Mix():
            if rule.max_share >= 1:
                return f"CASE WHEN {value} IS NOT NULL THEN true END"
            order = f"p{at} DESC NULLS LAST, sample_id" if rule.prefer else "sample_id"
            billionths = round(rule.max_share * 1_000_000_000)
            # m <= share * (m + others), in whole numbers.
            room = f"(SELECT count(*) FROM {source} WHERE NOT {value})::HUGEINT * {billionths} // {1_000_000_000 - billionths}"
            place = f"row_number() OVER (PARTITION BY {value} ORDER BY {order})"
            return f"CASE WHEN {value} IS NULL THEN NULL WHEN {value} THEN {place} <= {room} ELSE true END"
        case Rule():
            raise AssertionError("a plain rule has no rank")


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
    later = [*tier.kind(Balance), *tier.kind(Mix)]
    return f"seen_k{i}_{next(n for n, other in enumerate(later, start=1) if other is rule)}"


def funnel(con: duckdb.DuckDBPyConnection, compiled: CompiledTiers) -> list[FunnelRow]:
    """What every rule keeps and drops, in the order in which rules apply. The first row counts readable samples."""
    keys: list[tuple[str, str]] = [("bronze", "readable")]
    counts = ["count_if(ok), count_if(ok), 0"]
    for i, tier in enumerate(compiled.tiers.tiers):
        base = next((f"in_{k}" for k, other in enumerate(compiled.tiers.tiers) if other.name == tier.base), "ok")
        passed = base
        for rule in [*tier.kind(Rule), *tier.kind(Top), *tier.kind(Balance), *tier.kind(Mix)]:
            verdict = f"r{i}_{tier.rules.index(rule)}"
            unknown = f"{verdict} IS NULL" if isinstance(rule, Rule) else f"{seen_by(compiled.tiers, i, rule)} AND {verdict} IS NULL"
            passed += f" AND coalesce({verdict}, false)"
            keys.append((tier.name, rule.name))
            counts.append(f"count_if({verdict}), count_if({passed}), count_if({unknown})")
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
