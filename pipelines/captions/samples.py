"""Which samples still want a caption: the recipe's choice and routes as one SQL query, streamed."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from manifests import Lake
from manifests.connection import identifier, quote
from manifests.errors import UsageError
from manifests.wide import PLACE_COLUMNS, narrow
from operators.captions.prompts import Mode, load_prompt
from pipelines.captions.settings import CLEAN, KEEP, CaptionSettings, Route, routes_of
from quality.sql_guard import check_expression

CLEAN_VERSION = "clean/1"
_COLUMNS = ("caption", *PLACE_COLUMNS)
_IDS = ("sample_id", "caption_hash", "media_hash")
ROWS = 256
"""Samples a batch of the stream has."""


@dataclass(frozen=True)
class Sample:
    """One sample that wants a caption. ``image_embedding``: of its picture, if the lake has it."""

    ids: Mapping[str, str | None]
    caption: str
    media: Mapping[str, Any]
    route: str
    facts: Mapping[str, Any]
    image_embedding: list[float] | None = None


@dataclass(frozen=True)
class Step:
    """One model (or rule) that is tried for samples of a route."""

    target: str
    kind: str
    prompt_version: str


@dataclass(frozen=True)
class Plan:
    """``steps``: what is tried for each route, in order. ``digests``: of each route's steps; a sample is done once for a digest."""

    routes: tuple[Route, ...]
    steps: Mapping[str, tuple[Step, ...]]
    digests: Mapping[str, str]


def make_plan(settings: CaptionSettings) -> Plan:
    """Raises `UsageError` for a prompt that cannot be used."""
    routes = routes_of(settings)
    steps = {route.name: tuple(_step(settings, route, target) for target in settings.chain(route.target)) for route in routes}
    digests = {}
    for name, tried in steps.items():
        text = [[step.kind, step.prompt_version, _model(settings, step)] for step in tried]
        checks = {k: v for k, v in vars(settings.checks).items()}
        digests[name] = hashlib.sha256(json.dumps([text, checks], sort_keys=True, default=str).encode()).hexdigest()[:16]
    return Plan(routes, steps, digests)


def _step(settings: CaptionSettings, route: Route, target: str) -> Step:
    if target in (CLEAN, KEEP):
        return Step(target, target, CLEAN_VERSION)
    mode: Mode = (route.mode if target == route.target else None) or settings.models[target].mode
    return Step(target, mode, load_prompt(mode, settings.prompts.get(mode)).version)


def _model(settings: CaptionSettings, step: Step) -> list[Any]:
    spec = settings.models.get(step.target)
    return [spec.model, spec.parameters()] if spec else []


def pending_sql(lake: Lake, settings: CaptionSettings, plan: Plan, retry_rejected: bool = False) -> str:
    """SQL of the samples that are not done. Raises `SqlError` and `UsageError` for conditions and columns the lake does not have."""
    have = lake.query("SELECT * FROM wide LIMIT 0").schema.names
    for fact in settings.facts:
        if fact not in have:
            raise UsageError(f"captions.facts names {fact!r}, which the lake does not have. Measure it first, or leave it out.")
    conditions = [route.condition for route in plan.routes if route.condition]
    for text, where in [(settings.where, "captions.where"), *((r.condition, f"route {r.name}") for r in plan.routes)]:
        if text:
            check_expression(lake.connection, text, "wide", where=where)
    embedding = ["image_embedding"] if "image_embedding" in have else []
    facts = list(dict.fromkeys(f for f in settings.facts if f not in (*_COLUMNS, *_IDS)))
    words = ", ".join([*_IDS, *_COLUMNS, *facts, *embedding, "sample_error", "tier" if settings.tiers else "", settings.where, *conditions])
    whens = " ".join(f"WHEN ({route.condition}\n) THEN {quote(route.name)}" for route in plan.routes if route.condition)
    last = quote(plan.routes[-1].name)
    route_sql = f"CASE {whens} ELSE {last} END" if whens else last
    digest_sql = "CASE route " + " ".join(f"WHEN {quote(name)} THEN {quote(digest)}" for name, digest in plan.digests.items()) + " END"
    chosen = ["sample_error IS NULL", "NOT is_protected"]
    chosen += [f"tier IN ({', '.join(map(quote, settings.tiers))})"] if settings.tiers else []
    chosen += [f"({settings.where}\n)"] if settings.where else []
    kept = [quote(route.name) for route in plan.routes if route.target == KEEP]
    done = "('accepted')" if retry_rejected else "('accepted', 'kept')"
    select = ", ".join([*(f"CAST({c} AS VARCHAR) AS {c}" for c in _IDS), *(identifier(c) for c in (*_COLUMNS, *facts, *embedding))])
    return f"""
        SELECT * EXCLUDE (plan) FROM (
            SELECT *, {digest_sql} AS plan FROM (
                SELECT {select}, {route_sql} AS route FROM {narrow(lake.connection, words)} WHERE {" AND ".join(chosen)}
            ) {f"WHERE route NOT IN ({', '.join(kept)})" if kept else ""}
        ) w
        ANTI JOIN (SELECT * FROM captions WHERE outcome IN {done}) c
        ON CAST(c.sample_id AS VARCHAR) = w.sample_id AND CAST(c.caption_hash AS VARCHAR) = w.caption_hash AND c.plan = w.plan
            AND CAST(c.media_hash AS VARCHAR) IS NOT DISTINCT FROM w.media_hash"""


def stream(lake: Lake, sql: str, facts: tuple[str, ...], limit: int | None = None) -> Iterator[list[Sample]]:
    """The samples of `pending_sql` in batches. The lake must be one that nothing else uses meanwhile."""
    reader = lake.connection.execute(sql + (f" LIMIT {int(limit)}" if limit else "")).to_arrow_reader(ROWS)
    for batch in reader:
        yield [_sample(row, facts) for row in batch.to_pylist()]


def _sample(row: Mapping[str, Any], facts: tuple[str, ...]) -> Sample:
    known = {name: _fact(row[name]) for name in facts if row.get(name) is not None}
    return Sample(
        {name: row[name] for name in _IDS},
        row["caption"] or "",
        {n: row[n] for n in _COLUMNS},
        row["route"],
        known,
        row.get("image_embedding"),
    )


def _fact(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value
