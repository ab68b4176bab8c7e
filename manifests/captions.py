"""Caption versions: every attempt at a caption is a row of ``captions``, and which one stands for a sample is a question asked of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from manifests.connection import quote

ORIGINAL, CLEAN = "original", "clean"
REWRITTEN = ("rephrase", "recaption", "structured")
"""Kinds that a model made. Beside them ``clean`` is made by rule, and ``original`` is the sample's own caption, which is never a row."""
CHOICES = (ORIGINAL, CLEAN, *REWRITTEN, "rewritten", "best")
"""What a policy can ask for: a kind; ``rewritten``, the best of a model's; ``best``, that, else the cleaned one, else the original."""

_FIELDS: tuple[pa.Field, ...] = (
    pa.field("sample_id", pa.string()),
    pa.field("caption_hash", pa.string()),  # of the caption that was rewritten: an attempt at an earlier caption stands for nothing
    pa.field("media_hash", pa.string()),
    pa.field("kind", pa.string()),  # "clean", "rephrase", "recaption", "structured"
    pa.field("text", pa.string()),  # null: there was no answer
    pa.field("structured", pa.string()),  # JSON object of the kind "structured"
    pa.field("model", pa.string()),
    pa.field("prompt_version", pa.string()),
    pa.field("parameters", pa.string()),  # JSON: what was asked for, tokens, facts, why the model stopped
    pa.field("tokens", pa.int64()),
    pa.field("cost", pa.float64()),
    pa.field("latency_s", pa.float64()),
    pa.field("checks", pa.string()),  # JSON list of {check, passed, found}
    pa.field("accepted", pa.bool_()),
    pa.field("outcome", pa.string()),  # "accepted"; "rejected": another model follows; "kept": the original stays; "failed": no answer
    pa.field("error", pa.string()),  # why it was not accepted
    pa.field("route", pa.string()),
    pa.field("plan", pa.string()),  # digest of the route's models, prompts, parameters and checks
    pa.field("request_key", pa.string()),
    pa.field("clip_before", pa.float32()),  # cosine of the picture with the original, and with this text
    pa.field("clip_after", pa.float32()),
    pa.field("run_id", pa.string()),
    pa.field("created_at", pa.timestamp("us", "UTC")),
)
SCHEMA = pa.schema(_FIELDS)


def caption_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows for the table ``captions``. Text that no UTF-8 can hold (a lone surrogate) is replaced."""
    plain = [{k: v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for k, v in row.items()} for row in rows]
    return pa.Table.from_pylist(plain, schema=SCHEMA)


def candidates_sql() -> str:
    """One row for every caption that may stand for a sample: ``sample_id``, ``kind``, ``text``, ``place`` (1: the best of its kind).

    Of a kind the one that fits its picture best by CLIP score comes first, then the newest.
    """
    return """
        SELECT c.sample_id, c.kind, c.text, c.model, c.prompt_version, c.clip_after, row_number() OVER (
            PARTITION BY c.sample_id, c.kind ORDER BY c.clip_after DESC NULLS LAST, c.created_at DESC, c.text) AS place
        FROM captions c JOIN refs r ON r.sample_id = c.sample_id AND r.caption_hash IS NOT DISTINCT FROM c.caption_hash
        WHERE c.accepted AND c.text IS NOT NULL"""


def chosen_sql(policy: Mapping[str, float], count: int, seed: int) -> str:
    """``sample_id``, ``chosen``: a list of up to ``count`` structs (text, kind, model), drawn by weight for every sample that has versions.

    The draw depends on seed and sample alone (a hash); a kind that the sample does not have gives its weight to ``best``.
    Samples without any accepted version have no row: they keep their original.
    """
    rewritten = ", ".join(map(quote, REWRITTEN))
    total = sum(policy.values())
    cases, edge = [], 0.0
    for name, weight in policy.items():
        edge += weight / total
        cases.append(f"WHEN draw < {edge!r} THEN {quote(name)}")
    wanted = f"CASE {' '.join(cases[:-1])} ELSE {quote(list(policy)[-1])} END" if len(cases) > 1 else quote(next(iter(policy)))
    return f"""
        WITH known AS (
            SELECT * FROM ({candidates_sql()}) WHERE place <= {int(count)}
        ), every AS (
            SELECT sample_id, kind, text, model, place, clip_after FROM known
            UNION ALL
            SELECT sample_id, 'original', caption, NULL, 1, NULL FROM refs
            WHERE sample_id IN (SELECT sample_id FROM known) AND caption IS NOT NULL
        ), drawn AS (
            SELECT sample_id, {wanted} AS wanted FROM (
                SELECT DISTINCT sample_id,
                    CAST(md5_number_upper({quote(f"caption:{int(seed)}:")} || CAST(sample_id AS VARCHAR)) >> 11 AS DOUBLE)
                        / 9007199254740992.0 AS draw
                FROM known)
        ), ranked AS (
            SELECT e.sample_id, {{'text': e.text, 'kind': e.kind, 'model': e.model}} AS choice, row_number() OVER (
                PARTITION BY e.sample_id ORDER BY
                    NOT (e.kind = d.wanted OR (d.wanted = 'rewritten' AND e.kind IN ({rewritten}))),
                    CASE WHEN e.kind IN ({rewritten}) THEN 0 WHEN e.kind = {quote(CLEAN)} THEN 1 ELSE 2 END,
                    e.clip_after DESC NULLS LAST, e.place, e.kind) AS place
            FROM every e JOIN drawn d USING (sample_id)
        )
        SELECT sample_id, list(choice ORDER BY place) AS chosen FROM ranked WHERE place <= {int(count)} GROUP BY sample_id"""
