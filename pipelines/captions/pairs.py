"""Pairs of captions to train on: accepted against rejected ones (DPO), and true against wrong ones made by rule (hard negatives)."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from manifests import Lake
from manifests.errors import GoldsieveError
from manifests.wide import narrow
from operators.captions.negatives import negatives
from quality.sql_guard import check_expression

_SAMPLE = "w.sample_id, w.key, w.source, w.uri, w.media_hash, w.caption AS original"


def write_pairs(lake: Lake, path: Path, kind: Literal["preference", "contrast"], where: str = "", seed: int = 0) -> int:
    """Write the pairs of all samples for which ``where`` is true, by sample; returns how many. The file appears whole or not at all.

    preference: ``chosen`` and ``rejected`` answer the same question about the same caption; ``why`` lists the failed checks.
    contrast: ``chosen`` is an accepted structured caption, ``rejected`` is wrong in one thing, which ``why`` names.
    """
    if where:
        check_expression(lake.connection, where, "wide", where="--where")
    rows = _preference(lake, where) if kind == "preference" else _contrast(lake, where, seed)
    temporary = path.with_name(f".{path.name}.part")
    count = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "w", encoding="utf-8") as out:
            for row in rows:
                out.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
                count += 1
        os.replace(temporary, path)
    except OSError as error:
        raise GoldsieveError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _wide(lake: Lake, where: str) -> str:
    relation = narrow(lake.connection, "sample_id key source uri media_hash caption caption_hash is_protected", where)
    return f"(SELECT * FROM {relation} WHERE NOT is_protected{f' AND ({where}{chr(10)})' if where else ''})"


def _stream(lake: Lake, sql: str) -> Iterator[dict[str, Any]]:
    for batch in lake.connection.execute(sql).to_arrow_reader(1024):
        yield from batch.to_pylist()


def _preference(lake: Lake, where: str) -> Iterator[dict[str, Any]]:
    sql = f"""
        SELECT DISTINCT {_SAMPLE}, a.text AS chosen, b.text AS rejected, a.model AS chosen_model, b.model AS rejected_model,
            a.kind AS chosen_kind, b.kind AS rejected_kind, b.checks AS checks
        FROM captions a JOIN captions b ON a.sample_id = b.sample_id AND a.caption_hash IS NOT DISTINCT FROM b.caption_hash
        JOIN {_wide(lake, where)} w ON w.sample_id = a.sample_id AND w.caption_hash IS NOT DISTINCT FROM a.caption_hash
        WHERE a.accepted AND a.kind <> 'clean' AND NOT b.accepted AND b.text IS NOT NULL AND b.text <> a.text
        ORDER BY w.sample_id, chosen, rejected"""
    for row in _stream(lake, sql):
        failed = [check for check in json.loads(row.pop("checks") or "[]") if not check["passed"]]
        yield row | {"why": [f"{one['check']}: {one['found']}" if one["found"] else one["check"] for one in failed]}


def _contrast(lake: Lake, where: str, seed: int) -> Iterator[dict[str, Any]]:
    sql = f"""
        SELECT DISTINCT {_SAMPLE}, c.text AS chosen, c.structured, c.model AS chosen_model
        FROM captions c JOIN {_wide(lake, where)} w ON w.sample_id = c.sample_id AND w.caption_hash IS NOT DISTINCT FROM c.caption_hash
        WHERE c.accepted AND c.kind = 'structured' ORDER BY w.sample_id, chosen"""
    for row in _stream(lake, sql):
        data = json.loads(row.pop("structured"))
        for negative in negatives(data, seed):
            yield row | {"rejected": negative.text, "kind": negative.kind, "why": [negative.why]}
