"""The questions that the report asks of a lake. Each function is one query, or a few, over the table `quality.flat` makes."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from manifests import Lake
from manifests.connection import identifier, quote
from quality.flat import FLAT
from quality.leaves import Leaf
from quality.simulation import RuleText, failed
from quality.threshold import text

ID = "CAST(sample_id AS VARCHAR)"
SHUFFLED = f"md5({ID})"
"""Examples are picked by a hash: the same ones every time, from all over the lake."""
SET_RULES = ("top ", "at most ")
"""How the text of a rule over several samples begins; those apply after the others of their tier."""


def ask(lake: Lake, sql: str) -> list[dict[str, Any]]:
    """Rows of a query. DuckDB's widest sums come as decimals; here they are counts."""
    rows = lake.rows(sql)
    return [{k: int(v) if isinstance(v, Decimal) else v for k, v in row.items()} for row in rows]


def tiering(lake: Lake) -> tuple[dict[str, str | None], list[RuleText], str]:
    """Of the tiering that ``wide`` shows: tier -> the tier it builds on, the rules in the order they apply, the recipe's name."""
    found = ask(lake, "SELECT recipe, CAST(rules AS VARCHAR) AS rules FROM tierings ORDER BY applied_at DESC LIMIT 1")
    if not found:
        return {}, [], ""
    data: Mapping[str, Mapping[str, Any]] = json.loads(found[0]["rules"])
    bases: dict[str, str | None] = {}
    rules: list[RuleText] = []
    for tier, texts in data.items():
        # Tierings of older versions do not say what a tier builds on; most build on the one before.
        base = texts.get("from", next(reversed(bases), None))
        bases[tier] = base if base in bases else None
        own = [RuleText(tier, name, text if isinstance(text, str) else json.dumps(text)) for name, text in texts.items() if name != "from"]
        rules += sorted(own, key=lambda rule: rule.sql.startswith(SET_RULES))
    return bases, rules, str(found[0]["recipe"])


def funnel(lake: Lake, bases: Mapping[str, str | None], rules: Sequence[RuleText]) -> list[dict[str, Any]]:
    """One row a rule, in order, after one for all samples and one for the readable: ``failed`` counts samples that fail it,
    ``only`` those that fail nothing else (of its tier and those below), ``left`` those that pass it and everything before it."""
    total = lake.value(f"SELECT count(*) FROM {FLAT}")
    selects = ['count(*) FILTER ("error" IS NULL)']
    inside: dict[str | None, str] = {None: '"error" IS NULL'}
    for tier, base in bases.items():
        passed = inside[base]
        own = [rule for rule in rules if rule.tier == tier]
        for rule in own:
            passed += f" AND NOT {failed(rule)}"
            others = " AND ".join([inside[base], *(f"NOT {failed(other)}" for other in own if other is not rule)])
            selects += [
                f'count(*) FILTER ("error" IS NULL AND {failed(rule)})',
                f"count(*) FILTER ({failed(rule)} AND {others})",
                f"count(*) FILTER ({passed})",
            ]
            selects.append(f"""count(*) FILTER ("error" IS NULL AND list_contains(failed_rules, {quote(rule.full + " (unknown)")}))""")
        inside[tier] = passed
    counts = list(ask(lake, f"SELECT {', '.join(selects)} FROM {FLAT}")[0].values()) if total else [0] * len(selects)
    rows = [
        {"tier": "", "rule": "all samples", "sql": "", "left": total, "failed": None, "only": None},
        {"tier": "bronze", "rule": "readable", "sql": "error is null", "left": counts[0], "failed": total - counts[0], "only": None},
    ]
    for tier in bases:
        for rule in (r for r in rules if r.tier == tier):
            at = 1 + 4 * [r for t in bases for r in rules if r.tier == t].index(rule)
            names = dict(zip(("failed", "only", "left", "unknown"), counts[at : at + 4], strict=True))
            rows.append({"tier": tier, "rule": rule.name, "sql": rule.sql, **names})
    return rows


def tier_counts(lake: Lake) -> dict[str, int]:
    """Samples by tier, ``no tier`` for those that no recipe sorted."""
    rows = ask(lake, f"SELECT coalesce(tier, 'no tier') AS tier, count(*) AS n FROM {FLAT} GROUP BY 1")
    return {row["tier"]: row["n"] for row in rows}


def examples(lake: Lake, tier: str, most: int) -> list[str]:
    """Ids of some samples of a tier."""
    return [row["id"] for row in lake.rows(f"SELECT {ID} AS id FROM {FLAT} WHERE tier = ? ORDER BY {SHUFFLED} LIMIT ?", [tier, most])]


def failing(lake: Lake, rules: Sequence[RuleText], most: int) -> list[tuple[RuleText, int, list[str]]]:
    """For every rule that somebody failed: how many readable samples, and some of them, those that failed only it first."""
    found = []
    for rule in rules:
        rows = ask(
            lake,
            f"""SELECT count(*) AS n, min_by({ID}, {{'few': len(failed_rules), 'at': {SHUFFLED}}}, {most}) AS ids
            FROM {FLAT} WHERE "error" IS NULL AND {failed(rule)}""",
        )
        if rows[0]["n"]:
            found.append((rule, rows[0]["n"], rows[0]["ids"]))
    return sorted(found, key=lambda item: -item[1])


def around(lake: Lake, leaf: Leaf, each: int) -> list[tuple[str, list[str]]]:
    """Readable samples on both sides of a threshold: (where, ids) from failing to passing, nearest values first on either side."""
    value = f"CAST(TRY(({leaf.signal})) AS DOUBLE)"
    higher = leaf.op in (">=", ">")
    passes = f"TRY(({leaf.signal}) {leaf.op} {leaf.value!r})" if leaf.exact else f"TRY(({leaf.signal}) {leaf.op} {text(leaf.value)})"
    near_pass, near_fail = ("ASC", "DESC") if higher else ("DESC", "ASC")

    def ids(condition: str, order: str, skip: int = 0) -> list[str]:
        return [
            row["id"]
            for row in ask(
                lake,
                f"""SELECT {ID} AS id FROM {FLAT} AS wide WHERE "error" IS NULL AND isfinite({value}) AND {condition}
                ORDER BY {value} {order}, {SHUFFLED} LIMIT {each} OFFSET {skip}""",
            )
        ]

    counts = f"count(*) FILTER ({passes}) AS up, count(*) FILTER (NOT {passes}) AS down"
    sides = ask(lake, f'SELECT {counts} FROM {FLAT} AS wide WHERE "error" IS NULL')[0]
    groups = [
        ("far below" if higher else "far above", ids(f"NOT {passes}", near_fail, sides["down"] // 2) if sides["down"] >= 4 * each else []),
        ("just below" if higher else "just above", list(reversed(ids(f"NOT {passes}", near_fail)))),
        ("at the threshold, passing", ids(passes, near_pass)),
        ("well above" if higher else "well below", ids(passes, near_pass, sides["up"] // 2) if sides["up"] >= 4 * each else []),
    ]
    return [(where, found) for where, found in groups if found]


def groups(lake: Lake, most: int, members: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """How many copies there are by kind, and the largest groups: ``size``, ``ids`` (the kept one first)."""
    kinds = ask(lake, f"SELECT duplicate_kind AS kind, count(*) AS n FROM {FLAT} WHERE is_duplicate GROUP BY 1 ORDER BY n DESC, kind")
    total = lake.value(f"SELECT count(DISTINCT duplicate_group) FROM {FLAT} WHERE is_duplicate")
    rows = ask(
        lake,
        f"""SELECT count(*) AS size, list({ID} ORDER BY is_duplicate, {SHUFFLED})[1:{members}] AS ids FROM {FLAT}
        WHERE duplicate_group IS NOT NULL GROUP BY duplicate_group HAVING count(*) > 1
        ORDER BY count("error") > 0, count(DISTINCT duplicate_kind) DESC, size DESC, md5(CAST(duplicate_group AS VARCHAR)) LIMIT {most}""",
    )
    return {"kinds": kinds, "groups": total}, rows


def shares(lake: Lake, column: str, top: str, most: int) -> dict[str, Any] | None:
    """How often each value of a text column occurs, among the readable and in the tier ``top``, with the tail in numbers."""
    name = identifier(column)
    rows = ask(
        lake,
        f"""SELECT CAST({name} AS VARCHAR) AS value, count(*) AS n, count(*) FILTER (tier = {quote(top)}) AS kept FROM {FLAT}
        WHERE "error" IS NULL AND {name} IS NOT NULL GROUP BY 1 ORDER BY n DESC, value""",
    )
    if not rows:
        return None
    total, kept = sum(row["n"] for row in rows), sum(row["kept"] for row in rows)
    tail = rows[most:]
    return {
        "column": column,
        "values": [row | {"share": row["n"] / total, "kept_share": row["kept"] / kept if kept else 0.0} for row in rows[:most]],
        "distinct": len(rows),
        "known": total,
        "kept": kept,
        "tail": {"values": len(tail), "n": sum(r["n"] for r in tail), "kept": sum(r["kept"] for r in tail)},
        "once": sum(row["n"] == 1 for row in rows),
        "gone": sum(row["n"] > 0 and row["kept"] == 0 for row in rows),
        "half": _needed_for(0.5, [row["n"] for row in rows]),
        "half_kept": _needed_for(0.5, sorted((row["kept"] for row in rows), reverse=True)),
    }


def _needed_for(share: float, counts: Sequence[int]) -> int:
    """How many of the most frequent values make up this share of the samples."""
    total, have = sum(counts), 0
    for i, count in enumerate(counts, start=1):
        have += count
        if have >= share * total:
            return i
    return 0


def evidence(lake: Lake, columns: Sequence[str], examples: int) -> list[dict[str, Any]]:
    """What files say about a generator, and where it stands; a camera's own word is no news. ``columns``: lists of evidence."""
    every = " || ".join(f"coalesce({column}, [])" for column in columns)
    return ask(
        lake,
        f"""SELECT strength, kind, place, count(DISTINCT sample_id) AS n, min(left(said, 100)) AS example, min(id, {examples}) AS ids FROM (
            SELECT sample_id, {ID} AS id, e.strength AS strength, e.kind AS kind, e.location AS place, e.value AS said
            FROM (SELECT sample_id, unnest({every}) AS e FROM {FLAT})
        ) WHERE strength <> 'camera' GROUP BY strength, kind, place
        ORDER BY list_position(['proof', 'strong', 'weak'], strength), n DESC, kind, place LIMIT 20""",
    )


def extremes(lake: Lake, column: str, most: int) -> list[dict[str, Any]]:
    """The readable samples with the highest values: ``id``, ``value``."""
    return ask(
        lake,
        f"""SELECT {ID} AS id, CAST({identifier(column)} AS DOUBLE) AS value FROM {FLAT}
        WHERE "error" IS NULL AND {identifier(column)} IS NOT NULL ORDER BY value DESC, {SHUFFLED} LIMIT {most}""",
    )


def errors(lake: Lake) -> list[dict[str, Any]]:
    """Errors by kind with the first files. Numbers and quoted names differ from file to file; the rest is the kind."""
    return ask(
        lake,
        rf"""SELECT regexp_replace(regexp_replace("error", '''[^'']*''', '…', 'g'), '[0-9][0-9,._]*', '#', 'g') AS kind,
            count(*) AS n, min(key, 3) AS files, min("error") AS example
        FROM {FLAT} WHERE "error" IS NOT NULL GROUP BY kind ORDER BY n DESC, kind LIMIT 30""",
    )


def sources(lake: Lake, top: str) -> list[dict[str, Any]]:
    """Samples by source and stated licence."""
    return ask(
        lake,
        f"""SELECT source, license, count(*) AS n, count("error") AS errors, count(*) FILTER (tier = {quote(top)}) AS kept,
            coalesce(sum(byte_length), 0) AS bytes, count(*) FILTER (is_protected) AS protected, count(caption) AS captioned
        FROM {FLAT} GROUP BY source, license ORDER BY n DESC, source, license NULLS LAST LIMIT 60""",
    )


def runs(lake: Lake) -> list[dict[str, Any]]:
    """The last runs with what they took: seconds, samples measured a second, cost of captions where a model was paid."""
    rows = ask(
        lake,
        """SELECT command, recipe, engine, host, status, strftime(started_at, '%Y-%m-%d %H:%M') AS started,
            date_diff('millisecond', started_at, finished_at) / 1000.0 AS seconds, CAST(counts AS VARCHAR) AS counts,
            (SELECT sum(cost) FROM captions c WHERE c.run_id = r.run_id) AS cost
        FROM runs r ORDER BY started_at DESC LIMIT 20""",
    )
    for row in rows:
        counts = json.loads(row.pop("counts") or "{}")
        passes = counts.get("passes") or []
        row["passes"] = passes
        row["samples"] = counts.get("samples")
        row["slowest"] = max(passes, key=lambda one: one.get("seconds", 0.0)) if passes else None
    return rows
