"""One HTML page about a lake: how many samples reached which tier, what failed and why, with pictures to look at.

The page is one file, works offline, and holds a bounded number of small pictures whatever the size of the lake.
"""

import base64
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from jinja2 import Environment, FileSystemLoader
from PIL import Image

from manifests.wide import EVIDENCE
from quality.caption_report import caption_part
from quality.why_text import evidence_text

ReadBytes = Callable[[str, int | None, int | None], bytes]
"""uri, offset, length -> the sample's bytes (offset and length are None for a whole file)."""

GOLD, GROUPS, COPIES, PER_RULE, MOST_RULE_PICTURES = 12, 5, 4, 6, 32
"""Pictures on the page: of gold, groups of copies and pictures of each, of each failed rule, of all rules together."""
PIXELS = 144
"""Longer side of a picture on the page."""
MOST_PIXELS = 64_000_000
"""Larger pictures are not decoded for a preview."""


class Queryable(Protocol):
    """What the report needs of a lake."""

    def query(self, sql: str) -> pa.Table: ...


@dataclass(frozen=True)
class Thumbnail:
    """One sample on the page. ``url`` is empty when there is no picture; ``why`` then says why."""

    key: str
    caption: str
    facts: str
    url: str
    why: str = ""
    kept: bool = False


@dataclass(frozen=True)
class Bar:
    """One line of a bar chart; ``share`` is 0-1."""

    label: str
    count: int
    share: float
    note: str = ""


def write_report(lake: Queryable, path: Path, read: ReadBytes, title: str = "Goldsieve report") -> Path:
    """Writes the page to ``path`` and returns it.

    ``read`` fetches the bytes of the pictures shown; an error it raises becomes a placeholder with the reason.
    """
    total = _rows(lake, 'SELECT count(*) AS n, count(*) FILTER ("error" IS NOT NULL) AS broken FROM wide')[0]
    rules = _rows(lake, _RULES)
    texts = _rule_texts(lake)
    per_rule = max(1, min(PER_RULE, MOST_RULE_PICTURES // max(1, len(rules))))
    shown = {rule["rule"]: rule["examples"][:per_rule] for rule in rules[:MOST_RULE_PICTURES]}
    gold = [row["sample_id"] for row in _rows(lake, f"SELECT {_ID} FROM wide WHERE tier = 'gold' ORDER BY {_SHUFFLED} LIMIT {GOLD}")]
    groups = [row["members"] for row in _rows(lake, _GROUPS)]
    pictures = _thumbnails(lake, read, {*gold, *(i for ids in shown.values() for i in ids), *(i for ids in groups for i in ids)})
    tiers = {row["tier"]: row["n"] for row in _rows(lake, "SELECT tier, count(*) AS n FROM wide GROUP BY tier")}
    page = _environment().get_template("report.html.jinja").render(
        title=title,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        funnel=_funnel(total["n"], total["n"] - total["broken"], tiers),
        tiers=[(name or "not tiered", count) for name, count in sorted(tiers.items(), key=lambda item: str(item[0]))],
        rules=[_bar(rule["rule"], rule["failed"], total["n"], f"{rule['alone']:,} failed only this") for rule in rules],
        errors=[_bar(row["kind"], row["n"], total["n"], f"for example {row['example']}") for row in _rows(lake, _ERRORS)],
        evidence=[_bar(row["what"], row["n"], total["n"], f"for example {row['example']}") for row in _rows(lake, _EVIDENCE)],
        sources=_rows(lake, _SOURCES),
        gold=[pictures[i] for i in gold],
        captions=caption_part(lake),
        failing=[(rule, texts.get(rule.partition(" (")[0], ""), [pictures[i] for i in ids]) for rule, ids in shown.items()],
        groups=[[pictures[i] for i in ids] for ids in groups],
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


_ID = "CAST(sample_id AS VARCHAR) AS sample_id"
# Examples are picked by a hash: the same ones every time, from all over the lake.
_SHUFFLED = "md5(CAST(sample_id AS VARCHAR))"
# What was not measured because the file is broken is no news beside its error.
_RULES = f"""
SELECT rule, count(*) AS failed, count(*) FILTER (rules = 1) AS alone,
       min_by(CAST(sample_id AS VARCHAR), {_SHUFFLED}, {PER_RULE}) AS examples
FROM (
    SELECT sample_id, unnest(failed) AS rule, len(failed) AS rules
    FROM (SELECT sample_id, list_filter(failed_rules, lambda r: "error" IS NULL OR NOT ends_with(r, ' (unknown)')) AS failed FROM wide)
)
GROUP BY rule ORDER BY failed DESC, rule
"""
# Numbers and quoted names differ from file to file; the rest of the sentence is the kind.
_ERRORS = r"""
SELECT regexp_replace(regexp_replace("error", '''[^'']*''', '…', 'g'), '[0-9][0-9,._]*', '#', 'g') AS kind,
       count(*) AS n, min(key) AS example
FROM wide WHERE "error" IS NOT NULL GROUP BY kind ORDER BY n DESC, kind LIMIT 20
"""
# What files say about a generator, and where it stands; a camera's own word is no news.
_EVIDENCE = """
SELECT format('{}: {}, {}', e.strength, e.kind, e.location) AS what, count(DISTINCT sample_id) AS n,
       min(key || ': ' || left(e.value, 80)) AS example
FROM (SELECT sample_id, key, unnest(aigc_evidence) AS e FROM wide) WHERE e.strength <> 'camera'
GROUP BY what ORDER BY n DESC, what LIMIT 20
"""
_SOURCES = """
SELECT source, count(*) AS samples, count("error") AS errors, count(*) FILTER (tier = 'gold') AS gold
FROM wide GROUP BY source ORDER BY samples DESC, source LIMIT 50
"""
_GROUPS = f"""
SELECT list(CAST(sample_id AS VARCHAR) ORDER BY is_duplicate, {_SHUFFLED})[1:{COPIES}] AS members
FROM wide WHERE duplicate_group IS NOT NULL
GROUP BY duplicate_group HAVING count(*) > 1 ORDER BY count(*) DESC, md5(CAST(duplicate_group AS VARCHAR)) LIMIT {GROUPS}
"""


def _rows(lake: Queryable, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lake.query(sql).to_pylist()
    return rows


def _rule_texts(lake: Queryable) -> dict[str, str]:
    """'gold.pretty' -> its SQL, as the tiering that ``wide`` shows recorded it."""
    rows = _rows(lake, "SELECT CAST(arg_max(rules, applied_at) AS VARCHAR) AS rules FROM tierings")
    tiers: Mapping[str, Mapping[str, Any]] = json.loads(rows[0]["rules"] or "{}")
    return {
        f"{tier}.{name}": rule if isinstance(rule, str) else json.dumps(rule)
        for tier, rules in tiers.items()
        for name, rule in rules.items()
    }


def _bar(label: str, count: int, total: int, note: str = "") -> Bar:
    return Bar(label, count, count / total if total else 0.0, note)


def _funnel(total: int, readable: int, tiers: Mapping[str | None, int]) -> list[Bar]:
    """Samples that got at least so far. Gold is also silver."""
    bars = [_bar("all samples", total, total), _bar("readable", readable, total)]
    gold = tiers.get("gold", 0)
    if "silver" in tiers or gold:
        bars += [_bar("silver or better", tiers.get("silver", 0) + gold, total), _bar("gold", gold, total)]
    return bars


def _thumbnails(lake: Queryable, read: ReadBytes, ids: set[str]) -> dict[str, Thumbnail]:
    if not ids:
        return {}
    listed = ", ".join(f"'{i}'" for i in sorted(ids))  # they came out of the lake as UUIDs: nothing to escape
    have = lake.query("SELECT * FROM wide LIMIT 0").column_names
    evidence = "".join(f", {name}" for name in EVIDENCE if name in have)
    rows = _rows(
        lake,
        f"""SELECT {_ID}, key, uri, byte_offset, byte_length, caption, format, width, height, tier, is_duplicate, duplicate_group,
            duplicate_kind, "error"{evidence}
        FROM wide WHERE CAST(sample_id AS VARCHAR) IN ({listed})""",
    )
    return {row["sample_id"]: _thumbnail(row, read) for row in rows}


def _thumbnail(row: Mapping[str, Any], read: ReadBytes) -> Thumbnail:
    size = f"{row['width']} x {row['height']}" if row["width"] else ""
    copy = f"{row['duplicate_kind']} copy{evidence_text(row)}" if row["is_duplicate"] else ""
    facts = " · ".join(part for part in (size, row["format"], row["tier"], copy) if part)
    kept = row["duplicate_group"] is not None and row["is_duplicate"] is False
    url, why = "", row["error"] or ""
    if not why:
        try:
            url = _data_url(read(row["uri"], row["byte_offset"], row["byte_length"]))
        except Exception as error:  # whatever a hostile file or a lost disk raises: the page is written all the same
            why = f"No preview: {error}"
    return Thumbnail(row["key"], row["caption"] or "", facts, url, why[:200], kept)


def _data_url(data: bytes) -> str:
    """A small JPEG of the picture as a URL that holds it. Raises what Pillow raises."""
    with Image.open(io.BytesIO(data)) as image:
        if image.width * image.height > MOST_PIXELS:
            raise ValueError(f"{image.width} x {image.height} pixels are too many.")
        image.draft("RGB", (PIXELS * 2, PIXELS * 2))
        image.thumbnail((PIXELS, PIXELS))
        small = image.convert("RGB")
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=78)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _environment() -> Environment:
    folder = Path(__file__).parent / "templates"
    return Environment(loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True, lstrip_blocks=True)
