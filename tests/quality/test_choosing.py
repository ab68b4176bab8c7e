"""diff, suggest, label_next, dump and percentiles on a real lake."""

import re
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests import create_lake, open_lake
from manifests.errors import SqlError, UsageError
from manifests.schema import REFERENCE
from pipelines.recipe import load_recipe
from pipelines.thumbnails import small_pictures
from quality.balance import ordinal
from quality.diff import moves, snapshot_sql
from quality.dump import dump
from quality.label_next import next_to_label, widest_gaps
from quality.labels import stored_labels
from quality.rule_reader import parse_tiers
from quality.suggest import suggest
from quality.tiers import compile_tiers
from quality.why import why
from quality.why_text import story_text


def test_diff_of_a_threshold_is_what_sql_says(decided: Path) -> None:
    with open_lake(decided / "lake") as lake:
        for threshold in (0, 100, 700, 1500):
            recipe = load_recipe(decided / "recipe.yaml", [f"silver.sharp=sharpness >= {threshold}"])
            compiled = compile_tiers(lake.connection, recipe.tiers)
            found = moves(lake, snapshot_sql(lake, lake.snapshot()), compiled.select_sql)
            wanted = lake.rows(
                f"""SELECT w.tier AS a, n.tier AS b, count(*) AS n FROM wide w JOIN ({compiled.select_sql}) n USING (sample_id)
                WHERE w.tier <> n.tier GROUP BY ALL"""
            )
            assert {(m.from_tier, m.to_tier): m.count for m in found} == {(r["a"], r["b"]): r["n"] for r in wanted}
            for move in found:
                assert next((c.rule, c.count) for c in move.causes) == ("silver.sharp", move.count)
                assert all(cause.fails is (threshold > 300) for cause in move.causes if cause.rule == "silver.sharp")
                assert 0 < len(move.examples) <= 5
        assert found


def test_diff_of_snapshots(decided_copy: Path) -> None:
    from pipelines.run import recorded_run
    from pipelines.tiering import tier

    with open_lake(decided_copy / "lake", read_only=False) as lake:
        old = lake.snapshot()
        recipe = load_recipe(decided_copy / "recipe.yaml", ["silver.sharp=sharpness >= 900"])
        with recorded_run(lake, "tier", recipe, "inline") as (run_id, _):
            tier(lake, recipe, run_id)
        found = moves(lake, snapshot_sql(lake, old), snapshot_sql(lake, lake.snapshot()))
        assert sum(move.count for move in found) == lake.value(
            f"SELECT count(*) FROM wide w JOIN ({snapshot_sql(lake, old)}) o USING (sample_id) WHERE w.tier <> o.tier"
        )
        assert found
        assert not moves(lake, snapshot_sql(lake, old), snapshot_sql(lake, old))
        with pytest.raises(UsageError, match="no snapshot 99999"):
            snapshot_sql(lake, 99_999)


@pytest.mark.parametrize("keep", [0.1, 0.3])
def test_suggestions_keep_what_they_say(decided: Path, keep: float) -> None:
    loose = {"gold": {"sharp": "sharpness >= 0", "detail": "entropy > 0 or width < 1", "lit": "not brightness < 0"}}
    with open_lake(decided / "lake") as lake:
        now, found = suggest(lake, parse_tiers(loose), keep)
        assert now >= 75
        assert found[0].samples == 80
        assert {p.what for p in found} == {"together", "sharpness", "entropy", "brightness"}
        for proposal in found:
            assert abs(proposal.share - keep) <= 0.0126, proposal  # one sample is 1.25 %
            rules = {**loose["gold"], **{c.rule: c.sql for c in proposal.changes}}
            select = compile_tiers(lake.connection, parse_tiers({"gold": rules})).select_sql
            assert lake.value(f"SELECT count(*) FROM ({select}) WHERE tier = 'gold'") == proposal.kept == now - proposal.lost + proposal.won
        (alone,) = suggest(lake, parse_tiers(loose), keep, signals=["colourfulness"])[1]  # a new rule
        assert alone.changes[0].now is None
        assert abs(alone.share - keep) <= 0.0126
        tight = {"gold": {"sharp": "sharpness >= 100000", "detail": "entropy > 7.9"}}
        _, wider = suggest(lake, parse_tiers(tight), keep)  # loosened
        assert abs(wider[0].share - keep) <= 0.0126


def test_suggestions_with_a_rule_over_several_samples(decided: Path) -> None:
    recipe = load_recipe(decided / "recipe.yaml")
    tiers = parse_tiers({"gold": {"sharp": "sharpness >= 0", "cap": {"by": "caption_words", "cap": 8, "prefer": "sharpness"}}})
    with open_lake(recipe.lake) as lake:
        _, found = suggest(lake, tiers, 0.3)
        assert abs(found[0].share - 0.3) <= 0.02


def test_nothing_to_suggest(decided: Path) -> None:
    recipe = load_recipe(decided / "recipe.yaml")
    with open_lake(recipe.lake) as lake:
        with pytest.raises(UsageError, match="no tier 'platinum'"):
            suggest(lake, recipe.tiers, 0.3, "platinum")
        with pytest.raises(UsageError, match=r"--keep is 1\.5"):
            suggest(lake, recipe.tiers, 1.5)
        assert suggest(lake, recipe.tiers, 0.999)[1] == []


def test_nothing_can_be_read(tmp_path: Path) -> None:
    row = {"source": "s", "key": "a", "uri": "/a.jpg", "stamp": "1", "modality": "image", "error": "it is empty"}
    with create_lake(tmp_path / "lake") as lake:
        lake.ingest("s", "/", iter(pa.Table.from_pylist([row], schema=REFERENCE).to_batches()))
        with pytest.raises(UsageError, match="No sample of the lake can be read"):
            suggest(lake, parse_tiers({"gold": {"wide": "byte_length > 10"}}), 0.3)
        with pytest.raises(UsageError, match=r"labels is empty: mark samples with `goldsieve serve LAKE --label`"):
            stored_labels(lake)


def test_the_next_to_label_fill_the_widest_gaps(decided_copy: Path) -> None:
    with open_lake(decided_copy / "lake", read_only=False) as lake:
        order = lake.rows('SELECT CAST(sample_id AS VARCHAR) AS id, sharpness AS value FROM wide WHERE "error" IS NULL ORDER BY 2, md5(id)')
        place = {row["id"]: i for i, row in enumerate(row for row in order if row["value"] is not None)}
        todo = next_to_label(lake, "sharpness", 20)
        at = [place[one.sample_id] for one in todo]
        assert len(at) == 20
        assert max(np.diff(at)) - min(np.diff(at)) <= 1
        lake.add_labels([(one.sample_id, "label", "good", "me") for one in todo])
        known = stored_labels(lake)
        again = next_to_label(lake, "sharpness", 20, known)
        both = sorted(at + [place[one.sample_id] for one in again])
        assert len(set(both)) == 40
        assert max(np.diff(both)) <= 2 * len(place) / 40 + 1
        rest = next_to_label(lake, "sharpness", 1000, known)
        assert {one.sample_id for one in rest} == set(place) - {one.sample_id for one in todo}
        assert "label: good (me" in story_text(why(lake, todo[0].sample_id))
        with pytest.raises(SqlError):
            next_to_label(lake, "nothing", 5)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 80))
def test_gaps_are_filled_without_repeats(labelled: list[bool], count: int) -> None:
    flags = np.array(labelled)
    chosen = widest_gaps(flags, count).tolist()
    assert chosen == sorted(set(chosen))
    assert not flags[chosen].any()
    assert len(chosen) == min(count, int((~flags).sum()))


def test_a_dump_opens_in_any_client(decided: Path, tmp_path: Path) -> None:
    path = tmp_path / "all.duckdb"
    with open_lake(decided / "lake") as lake:
        wanted = lake.rows("SELECT CAST(sample_id AS VARCHAR) AS id, tier, sharpness, is_duplicate FROM wide ORDER BY id")
        counts = dump(lake, path, draw=small_pictures(64))
        assert counts["thumbnails"] == counts["refs"] == len(wanted)
        with pytest.raises(UsageError, match="already exists"):
            dump(lake, path)
    with duckdb.connect(str(path), read_only=True, config={"enable_external_access": False}) as plain:
        got = plain.execute("SELECT CAST(sample_id AS VARCHAR) AS id, tier, sharpness, is_duplicate FROM wide ORDER BY id").to_arrow_table()
        assert got.to_pylist() == wanted
        drawn = plain.execute("SELECT count(picture), count(why) FROM thumbnails").fetchone()
        assert drawn == (len(wanted) - 1, 1)
        assert bytes(plain.execute("SELECT picture FROM thumbnails WHERE picture IS NOT NULL").fetchone()[0])[:2] == b"\xff\xd8"  # type: ignore[index]
    assert [p.name for p in tmp_path.iterdir()] == ["all.duckdb"]


def test_a_dump_of_a_query(decided: Path, tmp_path: Path) -> None:
    with open_lake(decided / "lake") as lake:
        gold = lake.value("SELECT count(*) FROM wide WHERE tier = 'gold'")
        counts = dump(lake, tmp_path / "gold.duckdb", "SELECT sample_id, sharpness FROM wide WHERE tier = 'gold'")
        assert counts == {"result": gold, "wide": gold}
        with pytest.raises(SqlError):
            dump(lake, tmp_path / "bad.duckdb", "SELECT * FROM read_text('/etc/passwd')")
        assert not (tmp_path / "bad.duckdb").exists()


def test_percentiles(decided: Path) -> None:
    with open_lake(decided / "lake") as lake:
        sharpest = lake.value("SELECT key FROM wide WHERE NOT is_duplicate ORDER BY sharpness DESC LIMIT 1")
        story = why(lake, sharpest)
        share = story.as_dict()["percentiles"]["image_quality"]["sharpness"]
        assert 98 < share < 100
        assert re.search(r"sharpness = .* \(higher than 9\d", story_text(story))
        middle = lake.rows("SELECT key, sharpness FROM wide WHERE sharpness IS NOT NULL ORDER BY sharpness LIMIT 1 OFFSET 35")[0]
        below = lake.value("SELECT count(*) FROM signal_image_quality WHERE sharpness < ?", [middle["sharpness"]])
        total = lake.value("SELECT count(sharpness) FROM signal_image_quality")
        told = why(lake, middle["key"]).percentiles["image_quality"]["sharpness"]
        assert told == pytest.approx(100 * (below + 0.5) / total, abs=1.0)


def test_why_tells_the_place_of_a_sample_that_a_cap_turned_away(decided_copy: Path) -> None:
    from pipelines.run import recorded_run
    from pipelines.tiering import tier

    text = (decided_copy / "recipe.yaml").read_text()
    (decided_copy / "recipe.yaml").write_text(text + "    balance: {by: caption_words, cap: 2, prefer: sharpness}\n")
    recipe = load_recipe(decided_copy / "recipe.yaml", ["silver.sharp=sharpness >= 0"])
    with open_lake(decided_copy / "lake", read_only=False) as lake:
        with recorded_run(lake, "tier", recipe, "inline") as (run_id, _):
            tier(lake, recipe, run_id)
        rows = lake.rows(
            """SELECT key, caption_words AS words, list_contains(failed_rules, 'gold.balance') AS turned FROM wide
            WHERE tier = 'gold' OR list_contains(failed_rules, 'gold.balance') ORDER BY sharpness DESC, sample_id"""
        )
        places: dict[int, int] = {}
        told = 0
        for row in rows:
            places[row["words"]] = place = places.get(row["words"], 0) + 1
            assert row["turned"] is (place > 2)
            if place in (3, 4):
                note = next(v.note for v in why(lake, row["key"]).verdicts if v.rule == "balance")
                assert note == f"{place}{'rd' if place == 3 else 'th'} of '{row['words']}'"
                told += 1
        assert told


@pytest.mark.parametrize(("number", "text"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (12, "12th"), (5001, "5,001st")])
def test_ordinals(number: int, text: str) -> None:
    assert ordinal(number) == text
