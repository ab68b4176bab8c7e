"""The report of a real lake: its numbers, its safety, its size."""

import base64
import html.parser
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from manifests import create_lake, open_lake
from manifests.connection import identifier
from pipelines.report import write_report
from pipelines.thumbnails import Picture, thumbnail
from quality.flat import copy_wide, flat_columns
from quality.report import Fragment


class Page(html.parser.HTMLParser):
    """Collects what the tests ask about, and checks that tags nest."""

    VOID = ("meta", "img", "br", "!doctype", "link", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.links: list[str | None] = []
        self.scripts = 0
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "img":
            self.images.append(values)
        self.links += [values[name] for name in ("src", "href") if name in values]
        self.scripts += tag == "script"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, (tag, self.getpos())


@pytest.fixture(scope="module")
def written(decided: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    with open_lake(decided / "lake") as lake:
        path = write_report(
            lake, tmp_path_factory.mktemp("report") / "out" / "report.html", fragments=[Fragment("Film strips", "<p>strip</p>")]
        )
    return path.read_text(encoding="utf-8")


def state_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="state">(.*?)</script>', page, re.DOTALL)
    assert found
    state: dict[str, Any] = json.loads(found[1])
    return state


def unpacked(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.uint8)


def test_sections_and_counts(written: str, decided: Path) -> None:
    page = Page(written)
    assert page.scripts == 2  # the page's own: its data and its code
    for title in (
        "Funnel",
        "Thresholds",
        "All signals",
        "What failed, by rule",
        "Copies",
        "Errors",
        "Sources and licences",
        "Runs",
        "Film strips",
    ):
        assert f">{title}</h2>" in written
    with open_lake(decided / "lake") as lake:
        gold = lake.value("SELECT count(*) FROM wide WHERE tier = 'gold'")
        fails = lake.value("SELECT count(*) FROM wide WHERE list_contains(failed_rules, 'silver.sharp') AND \"error\" IS NULL")
    assert f"<b>{gold}</b><span>gold" in written
    row = re.search(r"sharpness &gt;= 300.*?</tr>", written, re.DOTALL)
    assert row
    assert f'<td class="number">{fails}' in row[0]
    assert "broken" in written


def test_nothing_from_outside_and_nothing_unescaped(written: str) -> None:
    page = Page(written)
    assert all(link is not None and link.startswith(("data:", "#")) for link in page.links)
    assert "<script>alert" not in written
    assert "onerror=alert(1)>" not in written.replace("\\u003e", "")
    assert all("alt" in image for image in page.images)
    assert "default-src 'none'" in written


def test_slider_counts_are_those_of_sql(written: str, decided: Path) -> None:
    state = state_of(written)
    assert len(state["signals"]) > 15
    with open_lake(decided / "lake") as lake:
        lake.connection.execute('CREATE TEMP TABLE readable AS SELECT * FROM wide WHERE "error" IS NULL')  # the view joins every table
        for one in state["signals"]:
            places = sorted({*np.linspace(0, len(one["cuts"]) - 1, 20).astype(int).tolist(), one["at"]})
            cuts = [format(one["cuts"][k], "f") for k in places]
            counts = ", ".join(f"[count_if({one['signal']} >= {cut}), count_if({one['signal']} > {cut})]" for cut in cuts)
            finite = f"isfinite(CAST({one['signal']} AS DOUBLE))"
            found = lake.value(f"SELECT [{counts}] FROM temp.readable WHERE {finite}")
            assert [[one["atLeast"][k], one["above"][k]] for k in places] == found, one["signal"]


def test_the_simulation_gives_the_tiers_as_they_are_and_as_rules_would(written: str, decided: Path) -> None:
    from pipelines.recipe import load_recipe
    from quality.tiers import compile_tiers

    simulation = state_of(written)["simulation"]
    assert [(leaf["rule"], leaf["signal"]) for leaf in simulation["leaves"]] == [
        *(("big", "least(width, height)"), ("sharp", "sharpness"), ("lit", "brightness"), ("lit", "contrast")),
        *(("words", "caption_words"), ("words", "caption_words"), ("words", "entropy")),
    ]
    signals = {s["leaf"]: s for s in state_of(written)["signals"] if s["leaf"] is not None}
    with open_lake(decided / "lake") as lake:
        for moved in range(len(simulation["leaves"])):
            for k in (0, signals[moved]["at"], len(signals[moved]["cuts"]) - 1, len(signals[moved]["cuts"]) // 2):
                leaf = simulation["leaves"][moved]
                rule = leaf["pattern"].replace("{}", str(signals[moved]["cuts"][k]))
                recipe = load_recipe(decided / "recipe.yaml", [f"{leaf['tier']}.{leaf['rule']}={rule}"])
                select = compile_tiers(lake.connection, recipe.tiers).select_sql
                wanted = {r["tier"]: r["n"] for r in lake.rows(f"SELECT tier, count(*) AS n FROM ({select}) GROUP BY tier")}
                assert counted(simulation, moved, k) == [wanted.get("silver", 0), wanted.get("gold", 0)], (leaf["rule"], leaf["signal"], k)


def counted(simulation: dict[str, Any], moved: int, k: int) -> list[int]:
    """What report.js computes, with one threshold moved."""
    rest = unpacked(simulation["rest"])
    inside: list[np.ndarray] = []
    for t, tier in enumerate(simulation["tiers"]):
        ok = (rest >> t & 1).astype(bool)
        if tier["base"] is not None:
            ok &= inside[tier["base"]]
        seen = set()
        order = [moved, *(j for j in range(len(simulation["leaves"])) if j != moved)]
        for j in order:
            leaf = simulation["leaves"][j]
            if leaf["tier"] != tier["name"] or leaf["rule"] in seen:
                continue
            seen.add(leaf["rule"])
            now = k if j == moved else leaf["at"]
            passed = unpacked(leaf["positions"])
            yes = (passed != 255) & ((passed > now) if leaf["op"][0] == ">" else (passed <= now))
            sides = None if leaf["sides"] is None else unpacked(leaf["sides"])
            ok &= yes if sides is None else (sides >> np.where(passed == 255, 2, np.where(yes, 1, 0)) & 1).astype(bool)
        inside.append(ok)
    last = np.full(len(rest), -1)
    for t, ok in enumerate(inside):
        last[ok] = t
    return [int((last == t).sum()) for t in range(len(inside))]


def test_a_lake_without_anything_has_a_page(tmp_path: Path) -> None:
    with create_lake(tmp_path / "lake") as lake:
        text = write_report(lake, tmp_path / "report.html").read_text()
    Page(text)
    assert "<b>0</b>" in text


def test_captions_before_and_after(decided_copy: Path, tmp_path: Path) -> None:
    with open_lake(decided_copy / "lake", read_only=False) as lake:
        lake.connection.execute(
            """INSERT INTO captions BY NAME
            SELECT sample_id, caption_hash, 'recaption' AS kind, 'a better caption of ' || key AS text, 'model-x' AS model,
                'p1' AS prompt_version, 30 AS tokens, 0.001 AS cost, 0.5 AS latency_s, key < 'p040' AS accepted,
                if(key < 'p040', 'accepted', 'failed') AS outcome, if(key < 'p040', NULL, 'length: 30 words') AS "error",
                now() AS created_at,
                '[{"check": "length", "passed": false, "found": "30 words"}]' AS checks
            FROM samples WHERE key LIKE 'p0%'"""
        )
        text = write_report(lake, tmp_path / "report.html").read_text()
    assert "Captions, before and after" in text
    assert "a better caption of p0" in text
    assert 'data-reason="length"' in text
    assert "✗ length: 30 words" in text
    assert "model-x" in text


def test_what_cannot_be_drawn_says_why(decided_copy: Path, tmp_path: Path) -> None:
    for path in (decided_copy / "pictures").glob("p00*.png"):
        path.unlink()
    with open_lake(decided_copy / "lake", read_only=False) as lake:
        lake.connection.execute("UPDATE refs SET uri = replace(uri, (SELECT min(uri) FROM refs)[:1], '/nowhere/')")
        text = write_report(lake, tmp_path / "report.html").read_text()
    assert "The file is gone" in text


def test_thumbnails_keep_shape_and_size(decided: Path) -> None:
    for path in sorted((decided / "pictures").glob("p01*.png")):
        made: Picture = thumbnail(path.read_bytes(), 64)
        assert max(made.width, made.height) <= 64
        assert made.data
        assert made.data[8:12] == b"WEBP"


def test_samples_are_joined_in_parts(decided: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In any number of parts the copy has each sample once, with everything that ``wide`` says of it."""
    with open_lake(decided / "lake") as lake:
        columns = ", ".join(map(identifier, flat_columns(lake)))
        wanted = lake.query(f"SELECT {columns} FROM wide ORDER BY sample_id")
        monkeypatch.setattr("quality.flat.PART", wanted.num_rows // 7)
        lake.connection.execute("ATTACH ':memory:' AS copied")
        copy_wide(lake.connection, "copied.wide", flat_columns(lake), columns, "ORDER BY sample_id")
        assert lake.query("SELECT * FROM copied.wide").equals(wanted)
