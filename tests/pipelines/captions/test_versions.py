"""What becomes of caption versions: exports choose by policy, why and the report tell their story, pairs are written."""

import json
import uuid
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from manifests.captions import chosen_sql
from manifests.errors import UsageError
from pipelines.captions.pairs import write_pairs
from pipelines.captions.samples import make_plan, pending_sql, stream
from pipelines.captions.settings import CaptionSettings, ModelSpec
from pipelines.cli import app
from pipelines.export_plan import ExportSettings
from pipelines.export_query import relation_sql
from pipelines.report import write_report
from quality.caption_report import caption_part
from quality.why import why
from quality.why_text import story_text

STRUCTURED = json.dumps({"subject": "two red boats", "action": "", "scene": "", "events": ["a boat comes", "it sinks"]})


def add(lake, key: str, kind: str, text: str | None, accepted: bool, **more: object) -> None:
    lake.add_captions([row_of(lake, key, kind, text, accepted, **more)])


def row_of(lake, key: str, kind: str, text: str | None, accepted: bool, **more: object) -> dict[str, object]:
    (ids,) = lake.rows(
        "SELECT CAST(sample_id AS VARCHAR) AS sample_id, CAST(caption_hash AS VARCHAR) AS caption_hash FROM refs WHERE key = ?", [key]
    )
    checks = [
        {"check": "length", "passed": True, "found": "4 words"},
        {"check": "support_words", "passed": accepted, "found": "" if accepted else "cat"},
    ]
    row = {
        "kind": kind,
        "text": text,
        "model": "m",
        "prompt_version": "p/1",
        "parameters": "{}",
        "tokens": 10,
        "cost": 0.1,
        "latency_s": 0.2,
    }
    row |= {"checks": json.dumps(checks), "accepted": accepted, "outcome": "accepted" if accepted else "kept", "route": "else", "plan": "x"}
    row |= {
        "error": None if accepted else "support_words: cat",
        "run_id": str(uuid.UUID(int=1)),
        "created_at": datetime.now(UTC),
        **ids,
        **more,
    }
    return row


def chosen(lake, policy, count: int = 1, seed: int = 0) -> dict[str, list[str]]:
    rows = lake.rows(f"SELECT r.key, c.chosen FROM ({chosen_sql(policy, count, seed)}) c JOIN refs r USING (sample_id)")
    return {row["key"]: [choice["text"] for choice in row["chosen"]] for row in rows}


def test_policies(captioned):
    lake = captioned(3)
    add(lake, "0000", "rephrase", "a good one", True, clip_after=0.2)
    add(lake, "0000", "recaption", "a better one", True, clip_after=0.3)
    add(lake, "0000", "recaption", "a wrong one", False, clip_after=0.9)
    add(lake, "0001", "clean", "a clean one", True)
    originals = {row["key"]: row["caption"] for row in lake.rows("SELECT key, caption FROM refs")}
    assert chosen(lake, {"best": 1}) == {"0000": ["a better one"], "0001": ["a clean one"]}
    assert chosen(lake, {"rephrase": 1})["0000"] == ["a good one"]
    assert chosen(lake, {"original": 1}) == {key: [originals[key]] for key in ("0000", "0001")}
    assert chosen(lake, {"best": 1}, count=5)["0000"] == ["a better one", "a good one", originals["0000"]]
    assert relation_sql(ExportSettings("x", captions="original"), True) == relation_sql(ExportSettings("x"), False) == "wide"
    with lake.transaction("the caption changed") as connection:
        connection.execute("UPDATE refs SET caption_hash = uuid() WHERE key = '0000'")
    assert "0000" not in chosen(lake, {"best": 1})


def test_mixes_are_drawn_once_and_for_all(captioned):
    lake = captioned(60)
    lake.add_captions([row_of(lake, f"{n:04d}", "rephrase", f"new {n}", True) for n in range(60)])
    policy = {"rewritten": 0.7, "original": 0.3}
    drawn = chosen(lake, policy)
    assert drawn == chosen(lake, policy)
    assert drawn != chosen(lake, policy, seed=1)
    assert 30 <= sum(texts[0].startswith("new") for texts in drawn.values()) <= 54


@pytest.mark.parametrize("wrong", ["bets", {"best": 0}, {"best": -1}, {}])
def test_wrong_policies_are_errors(wrong):
    with pytest.raises(UsageError):
        ExportSettings("x", captions=wrong)


def test_the_story_and_the_report(captioned):
    lake = captioned(2)
    add(lake, "0000", "rephrase", "<b>a wrong one</b>", False)
    add(lake, "0000", "recaption", "a good one", True, clip_before=0.1, clip_after=0.2)
    story = why(lake, "0000")
    assert [row["outcome"] for row in story.captions] == ["kept", "accepted"]
    text = story_text(story)
    assert "why not: support_words: cat" in text
    assert "passed: length (4 words), support_words" in text
    part = caption_part(lake)
    assert part is not None
    assert [(shown.reason, shown.clip) for shown in part.shown] == [("accepted", "0.100 → 0.200"), ("support_words", "")]
    page = write_report(lake, lake.address.folder / "report.html").read_text()
    assert "&lt;b&gt;a wrong one" in page
    assert 'data-reason="support_words"' in page


def test_pairs(captioned, tmp_path):
    lake = captioned(2)
    add(lake, "0000", "rephrase", "wrong", False)
    add(lake, "0000", "recaption", "right", True)
    add(lake, "0001", "structured", "Two red boats.", True, structured=STRUCTURED)
    assert write_pairs(lake, tmp_path / "dpo.jsonl", "preference") == 1
    (pair,) = map(json.loads, (tmp_path / "dpo.jsonl").read_text().splitlines())
    assert (pair["chosen"], pair["rejected"], pair["why"]) == ("right", "wrong", ["support_words: cat"])
    assert write_pairs(lake, tmp_path / "no.jsonl", "preference", "key = '0001'") == 0
    assert write_pairs(lake, tmp_path / "c.jsonl", "contrast") == 3
    assert {json.loads(line)["kind"] for line in (tmp_path / "c.jsonl").read_text().splitlines()} == {"event order", "attribute", "count"}


def test_pending_follows_conditions_and_plans(captioned):
    lake = captioned(6)
    settings = CaptionSettings(
        models={"m": ModelSpec("m", "http://h/v1")}, routes={"some": "key < '0003' -> m", "else": "keep"}, where="key <> '0001'"
    )

    def keys() -> list[str]:
        sql = pending_sql(lake, settings, make_plan(settings))
        return sorted(sample.media["uri"] for batch in stream(lake, sql, settings.facts) for sample in batch)

    assert keys() == ["/none/0.jpg", "/none/2.jpg"]
    add(lake, "0000", "rephrase", "x", True, plan=make_plan(settings).digests["some"])
    assert keys() == ["/none/2.jpg"]


def test_the_command_line(captioned, tmp_path):
    captioned(["A dog | eBay", "A cat"]).close()
    recipe = tmp_path / "r.yaml"
    recipe.write_text("lake: lake\ncaptions: {}\n")
    runner = CliRunner()
    planned = runner.invoke(app, ["rewrite", str(recipe), "--dry-run", "--json"])
    assert json.loads(planned.stdout)[0]["samples"] == 2
    done = runner.invoke(app, ["rewrite", str(recipe), "--quiet", "--json"])
    assert json.loads(done.stdout)["accepted"] == 1
    recipe.write_text("lake: lake\n")
    assert isinstance(runner.invoke(app, ["rewrite", str(recipe)]).exception, UsageError)
