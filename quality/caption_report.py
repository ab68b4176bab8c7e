"""The report's part about captions: what was rewritten, what was not accepted and why, and pairs to look at side by side."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

PER_REASON, ACCEPTED, MOST = 6, 18, 90
"""Attempts shown of each reason, of accepted ones, and in all."""


class Queryable(Protocol):
    """What is needed of a lake."""

    def query(self, sql: str) -> pa.Table: ...


@dataclass(frozen=True)
class Shown:
    """One attempt beside its original. ``reason``: the first check it failed, or "accepted"."""

    key: str
    before: str
    after: str
    reason: str
    made_by: str
    checks: tuple[str, ...]
    clip: str


@dataclass(frozen=True)
class CaptionPart:
    """``models``: one row a model and mode; ``reasons``: how often each was the first; ``shown``: attempts side by side."""

    models: tuple[Mapping[str, Any], ...]
    reasons: tuple[tuple[str, int], ...]
    shown: tuple[Shown, ...]


_MODELS = """
SELECT kind, model, prompt_version, count(*) AS attempts, count(*) FILTER (accepted) AS accepted, sum(tokens)::BIGINT AS tokens,
    round(sum(cost), 4) AS cost, round(median(latency_s) FILTER (tokens > 0), 2) AS median_s,
    round(avg(clip_after - clip_before), 4) AS clip_change
FROM captions WHERE outcome <> 'kept' OR kind <> 'clean' GROUP BY ALL ORDER BY attempts DESC LIMIT 30
"""
_REASON = (
    "CASE WHEN accepted THEN 'accepted' WHEN kind = 'clean' THEN 'clean' ELSE split_part(coalesce(c.\"error\", 'unknown'), ':', 1) END"
)
_REASONS = f"""
SELECT {_REASON} AS reason, count(*) AS n FROM captions c WHERE outcome <> 'kept' OR kind <> 'clean' GROUP BY reason
ORDER BY n DESC, reason LIMIT 40
"""
# A hash picks the examples: the same ones every time, from all over the lake.
_SHOWN = f"""
SELECT * FROM (
    SELECT r.key, r.caption AS before, c.text AS after, c.kind, c.model, c.checks, c."error", c.clip_before, c.clip_after,
        {_REASON} AS reason,
        row_number() OVER (PARTITION BY {_REASON} ORDER BY md5(concat(c.sample_id, c.kind, c.model))) AS place
    FROM captions c JOIN refs r ON r.sample_id = c.sample_id AND r.caption_hash IS NOT DISTINCT FROM c.caption_hash
    WHERE c.outcome <> 'kept' OR c.kind <> 'clean'
) WHERE place <= CASE WHEN reason = 'accepted' THEN {ACCEPTED} ELSE {PER_REASON} END
ORDER BY reason <> 'accepted', reason, place LIMIT {MOST}
"""


def caption_part(lake: Queryable) -> CaptionPart | None:
    """None when the lake has no attempts at captions."""
    models = lake.query(_MODELS).to_pylist()
    if not models:
        return None
    reasons = [(row["reason"], row["n"]) for row in lake.query(_REASONS).to_pylist()]
    return CaptionPart(tuple(models), tuple(reasons), tuple(_shown(row) for row in lake.query(_SHOWN).to_pylist()))


def _shown(row: Mapping[str, Any]) -> Shown:
    checks = []
    for check in json.loads(row["checks"] or "[]"):
        mark = "✓" if check["passed"] else "✗"
        checks.append(f"{mark} {check['check']}: {check['found']}" if check["found"] else f"{mark} {check['check']}")
    clip = f"{row['clip_before']:.3f} → {row['clip_after']:.3f}" if row["clip_before"] is not None and row["clip_after"] is not None else ""
    after = row["after"] if row["after"] is not None else f"({row['error']})"
    return Shown(
        row["key"], (row["before"] or "")[:600], after[:600], row["reason"], f"{row['kind']} by {row['model']}", tuple(checks), clip
    )
