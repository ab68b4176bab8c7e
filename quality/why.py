"""The story of one sample: what it is, what was measured, which rule said what, and where that came from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from manifests import Lake
from manifests.connection import id_list, id_literal, identifier, quote
from manifests.errors import UsageError
from manifests.few import FEW, copy_few, few_rows_sql
from manifests.tables import signal_table
from manifests.wide import (
    DUPLICATE_COLUMNS,
    EVIDENCE,
    KEY_COLUMN,
    KINDS,
    SAMPLE_COLUMNS,
    CurrentOperator,
    current_operators,
    wide_columns,
)
from quality.balance import place_notes
from quality.percentiles import percentiles
from quality.why_verdict import Verdict

TIME = "%Y-%m-%d %H:%M:%S UTC"
MAX_MATCHES = 10
MAX_MEMBERS = 50
"""Members of a duplicate group that are shown."""


@dataclass(frozen=True)
class Story:
    """All that is known about a sample."""

    sample: Mapping[str, Any]
    signals: Mapping[str, Mapping[str, Any]]  # operator -> column -> value
    verdicts: tuple[Verdict, ...]
    duplicates: tuple[Mapping[str, Any], ...]
    lineage: tuple[Mapping[str, Any], ...]
    percentiles: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # operator -> column -> 0-100
    captions: tuple[Mapping[str, Any], ...] = ()
    labels: tuple[Mapping[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "sample": dict(self.sample),
            "signals": {k: dict(v) for k, v in self.signals.items()},
            "rules": [vars(v) for v in self.verdicts],
            "duplicates": [dict(d) for d in self.duplicates],
            "lineage": [dict(row) for row in self.lineage],
            "percentiles": {k: dict(v) for k, v in self.percentiles.items()},
            "captions": [dict(row) for row in self.captions],
            "labels": [dict(row) for row in self.labels],
        }


def why(lake: Lake, name: str, places: bool = True) -> Story:
    """The story of the sample with this id, key, or end of a file name. ``places``: with percentiles, which read whole columns.

    Raises `UsageError` when nothing or more than one sample matches, naming what there is.
    """
    with lake.one_snapshot():
        return _story(lake, name, places)


def _story(lake: Lake, name: str, with_places: bool) -> Story:
    sample_id = find_sample(lake, name)
    operators = current_operators(lake.connection)
    copy_few(lake.connection, operators, [sample_id], "columns")
    rows = few_rows_sql(operators, *SAMPLE_COLUMNS, *DUPLICATE_COLUMNS, *EVIDENCE, "tier", "failed_rules")
    # As text: pyarrow would import pandas to give a time.
    row = lake.rows(f"SELECT * REPLACE (strftime(ingested_at, '{TIME}') AS ingested_at) FROM ({rows})")
    if not row:
        raise UsageError(f"The sample {name} has vanished from its source; `goldsieve sql` shows it in the table samples.")
    (wide,) = row
    failures: list[str] = [wide["sample_error"]] if wide["sample_error"] else []
    signals: dict[str, dict[str, Any]] = {}
    places: dict[str, dict[str, float]] = {}
    lineage: list[dict[str, Any]] = []
    for operator, signal, run in measured(lake, operators, wide):
        if signal is None:
            lineage.append({"operator": operator.name, "state": "not measured"})
            continue
        failures += [f"{operator.name}: {signal['error']}"] if signal["error"] else []
        signals[operator.name] = {c: signal[c] for c in operator.columns} | ({"error": signal["error"]} if signal["error"] else {})
        if with_places:
            places[operator.name] = percentiles(lake, operator, {c: signal[c] for c in operator.columns})
        lineage.append(
            {
                "operator": operator.name,
                "state": "failed" if signal["error"] else "measured",
                "fingerprint": operator.fingerprint,
                "run": signal["run_id"],
                **{c: run.get(c) for c in ("run_started", "host", "engine")},
            }
        )
    same = duplicates(lake, operators, wide) if wide["duplicate_group"] else ()
    facts = {c: wide[c] for c in (*SAMPLE_COLUMNS, "aspect", "tier", "failed_rules")} | {"error": next(iter(failures), None)}
    return Story(
        facts,
        signals,
        place_notes(lake, sample_id, verdicts(latest_rules(lake), wide)),
        tuple(same),
        tuple(lineage),
        places,
        caption_history(lake, sample_id),
        labels(lake, sample_id),
    )


def caption_history(lake: Lake, sample_id: str, table: str = "captions") -> tuple[dict[str, Any], ...]:
    """Every attempt at the sample's caption, the oldest first, with what each check found. ``current``: it was made of today's caption."""
    if _is_empty(lake, table):
        return ()
    rows = lake.rows(
        f"""SELECT kind, text, outcome, accepted, "error", model, prompt_version, route, parameters, tokens, cost, latency_s, checks,
            clip_before, clip_after, strftime(created_at, '{TIME}') AS made_at, CAST(run_id AS VARCHAR) AS run, caption_hash
        FROM {table} WHERE sample_id = {id_literal(sample_id)} ORDER BY created_at, kind"""
    )
    if not rows:
        return ()
    (now,) = lake.rows(f"SELECT caption_hash FROM refs WHERE sample_id = {id_literal(sample_id)}")
    return tuple(
        row
        | {name: json.loads(row[name] or "null") for name in ("checks", "parameters")}
        | {"current": row.pop("caption_hash") == now["caption_hash"]}
        for row in rows
    )


def _is_empty(lake: Lake, table: str) -> bool:
    """Asked first, because of a table without rows DuckLake looks up every selected column in the catalog, 3 ms each."""
    return not lake.rows(f"SELECT 1 FROM {table} LIMIT 1")


def labels(lake: Lake, sample_id: str) -> tuple[dict[str, Any], ...]:
    """What people said of the sample, oldest first."""
    if _is_empty(lake, "labels"):
        return ()
    return tuple(
        lake.rows(
            f"""SELECT label, value, author, strftime(created_at, '{TIME}') AS created FROM labels
            WHERE sample_id = {id_literal(sample_id)} ORDER BY created_at, label"""
        )
    )


def measured(
    lake: Lake, operators: Sequence[CurrentOperator], wide: Mapping[str, Any]
) -> list[tuple[CurrentOperator, Mapping[str, Any] | None, Mapping[str, Any]]]:
    """Every operator with its row for this sample (None: not measured) and the run that measured it; after `copy_few`."""
    rows = []
    for operator in operators:
        key = id_literal(wide[KEY_COLUMN[operator.keyed_by]])
        found = lake.rows(f"SELECT * FROM {identifier(FEW + signal_table(operator.name))} WHERE key = {key}")
        rows.append(found[0] if found else None)
    runs = lake.rows(f"SELECT run_id, strftime(started_at, '{TIME}') AS run_started, host, engine FROM runs")
    by_id = {run["run_id"]: run for run in runs}
    return [(o, row, by_id.get(row["run_id"], {}) if row else {}) for o, row in zip(operators, rows, strict=True)]


def duplicates(lake: Lake, operators: Sequence[CurrentOperator], wide: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The members of the sample's duplicate group, the kept one first; of a large group the first by key."""
    # Looked up table by table, copies of copies last: a filter on ``wide`` would join it all.
    kept = id_literal(wide["duplicate_group"])
    members = f"SELECT {kept} AS id"
    for operator in sorted((o for o in operators if o.name in KINDS), key=lambda o: list(KINDS).index(o.name), reverse=True):
        of = f"{KINDS[operator.name][1]}_duplicate_of"
        members += f" UNION SELECT key FROM {signal_table(operator.name)} WHERE {of} IN ({members})"
        members += f" AND fingerprint = {quote(operator.fingerprint)}"
    found = lake.rows(members)
    if len(found) > MAX_MEMBERS:
        first = f"ORDER BY sample_id <> {kept}, key LIMIT {MAX_MEMBERS}"
        found = lake.rows(
            f"SELECT sample_id AS id FROM refs WHERE sample_id IN {id_list(row['id'] for row in found)} AND NOT vanished {first}"
        )
    shown, known = wide_columns(operators), []
    facts, told = (
        ["sample_id", "source", "key", "width", "height"],
        ["duplicate_kind", "is_duplicate", *(c for c in EVIDENCE if c in shown)],
    )
    # The sample's own row is known, and of the kept one that it is no copy: most groups have these two, and tables for others take time.
    others = [row["id"] for row in found if row["id"] not in (wide["sample_id"], wide["duplicate_group"])]
    for ids, columns, condition in (([wide["duplicate_group"]], facts, "TRUE"), (others, facts + told, f"duplicate_group = {kept}")):
        if ids and ids != [wide["sample_id"]]:
            copy_few(lake.connection, operators, ids, *columns, condition)
            known += lake.rows(f"SELECT {', '.join(columns)} FROM ({few_rows_sql(operators, *columns, condition)}) WHERE {condition}")
    no_copy = dict.fromkeys(told) | {"is_duplicate": False}
    rows = [no_copy | row for row in [*known, {c: wide[c] for c in facts + told}]]
    return sorted(rows, key=lambda row: (row["is_duplicate"], row["key"]))


def latest_rules(lake: Lake) -> dict[str, dict[str, Any]]:
    """Tier -> rule name -> what it says, of the latest tiering; empty before the first."""
    latest = lake.rows("SELECT rules FROM tierings ORDER BY applied_at DESC LIMIT 1")
    return json.loads(latest[0]["rules"]) if latest else {}


def verdicts(rules: Mapping[str, Mapping[str, Any]], wide: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """Every rule with what it said of this sample."""
    failed: dict[str, str] = {}
    for entry in wide["failed_rules"] or ():
        name, _, note = entry.partition(" (")
        failed[name] = note.rstrip(")")
    found = []
    for tier, texts in rules.items():
        for rule, text in texts.items():
            if rule == "from":
                continue
            name = f"{tier}.{rule}"
            passed = None if wide["tier"] is None else name not in failed
            found.append(Verdict(tier, rule, text if isinstance(text, str) else json.dumps(text), passed, failed.get(name, "")))
    return tuple(found)


def find_sample(lake: Lake, name: str) -> str:
    """The id of the one sample that ``name`` means."""
    try:
        return str(UUID(name))
    except ValueError:
        pass
    text = quote(name)
    for condition in (f"key = {text}", f"uri = {text}", f"ends_with(key, {text}) OR ends_with(uri, {text})"):
        rows = lake.rows(f"SELECT CAST(sample_id AS VARCHAR) AS id, source, key FROM refs WHERE {condition} LIMIT {MAX_MATCHES + 1}")
        if len(rows) == 1:
            return str(rows[0]["id"])
        if rows:
            shown = "\n".join(f"  {row['id']}  {row['source']}  {row['key']}" for row in rows[:MAX_MATCHES])
            raise UsageError(f"More than one sample matches {name!r}; ask by id:\n{shown}")
    raise UsageError(
        f'No sample has the id, key or file name {name!r}. `goldsieve sql LAKE "select sample_id, key from wide limit 20"` lists some.'
    )
