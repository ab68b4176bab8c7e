from pathlib import Path

import pytest

from manifests import open_lake
from manifests.changes import data_version
from pipelines.demo import DemoResult, run_demo
from pipelines.progress import Reporter


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    return run_demo(tmp_path_factory.mktemp("demo") / "d", samples=100, seed=3, engine="inline", reporter=Reporter(quiet=True))


def test_what_cannot_be_overlooked_is_caught(demo: DemoResult) -> None:
    missed = {line.defect: line.missed for line in demo.scores}
    for defect in ("exact copy", "truncated file", "empty file", "decompression bomb", "tiny", "blank", "animated", "empty caption"):
        assert missed[defect] == 0, defect


def test_other_defects_are_mostly_caught_with_few_false_alarms(demo: DemoResult) -> None:
    measured = [line for line in demo.scores if line.caught is not None]
    assert sum(line.caught or 0 for line in measured) >= 0.9 * sum(line.planted for line in measured)
    assert demo.clean_gold + demo.clean_through_copy >= 0.95 * demo.clean


def test_wrong_captions_are_caught_with_few_false_alarms(demo: DemoResult) -> None:
    (line,) = [line for line in demo.scores if line.defect == "wrong caption"]
    assert (line.caught or 0) >= 0.9 * line.planted
    assert (line.false_alarms or 0) <= 0.05 * demo.clean
    with open_lake(demo.lake) as lake:
        measured = "SELECT count(*) FROM wide WHERE tier = 'gold' AND clip_score >= 0.03 AND aesthetic BETWEEN 1 AND 10"
        assert lake.value(measured) == lake.value("SELECT count(*) FROM wide WHERE tier = 'gold'")


def test_everything_named_is_there(demo: DemoResult) -> None:
    for path in (demo.recipe, demo.lake, demo.shards, demo.report, demo.directory / "labels.csv"):
        assert path.exists()
        assert str(path) in demo.text
    assert list(demo.shards.glob("*.tar"))
    assert demo.text.count("why img-") == 3


def test_a_second_run_measures_nothing_and_says_the_same(demo: DemoResult) -> None:
    with open_lake(demo.lake) as lake:
        before = data_version(lake)
    again = run_demo(demo.directory, samples=100, seed=3, engine="inline", reporter=Reporter(quiet=True))
    with open_lake(demo.lake) as lake:
        assert data_version(lake) == before
    assert again.text == demo.text


def test_a_changed_threshold_is_kept_and_counts(demo: DemoResult, tmp_path: Path) -> None:
    text = demo.recipe.read_text(encoding="utf-8")
    assert ">= 120" in text
    try:
        demo.recipe.write_text(text.replace(">= 120", ">= 200"), encoding="utf-8")
        stricter = run_demo(demo.directory, samples=100, seed=3, engine="inline", reporter=Reporter(quiet=True))
    finally:
        demo.recipe.write_text(text, encoding="utf-8")
    (line,) = [line for line in stricter.scores if line.defect == "tiny"]
    assert (line.false_alarms or 0) > 10
    assert stricter.clean_gold < demo.clean_gold
