import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from manifests.errors import MissingDependencyError, UsageError
from quality.calibrate import calibrate
from quality.calibration_plot import plot
from quality.labels import Labels
from quality.threshold import Goal, numbers_between, text

RNG = np.random.default_rng(3)
GOOD = {f"g{i}": float(v) for i, v in enumerate(RNG.normal(0.30, 0.03, 60))}
BAD = {f"b{i}": float(v) for i, v in enumerate(RNG.normal(0.20, 0.04, 40))}
REST = {f"r{i}": float(v) for i, v in enumerate(RNG.normal(0.25, 0.06, 100))}
LABELS = Labels((*GOOD, *BAD), ("good",) * 60 + ("bad",) * 40, "key")


def counts(lake, found):
    """(labelled good, labelled bad, all) that the printed rule keeps, asked of the lake."""
    rows = lake.rows(f"SELECT key[1] AS kind, count(*) AS n FROM wide WHERE {found.sql} GROUP BY 1")
    by = {row["kind"]: row["n"] for row in rows}
    return by.get("g", 0), by.get("b", 0), sum(by.values())


@pytest.fixture(scope="module")
def lake(scored):
    return scored({**GOOD, **BAD, **REST})


@pytest.mark.parametrize(
    "goal", [Goal(), Goal(precision=0.95), Goal(precision=0.5), Goal(recall=0.9), Goal(recall=1.0), Goal(keep=0.3), Goal(keep=1.0)]
)
def test_the_rule_does_in_sql_what_the_numbers_say(lake, goal):
    found = calibrate(lake, "clip_score", LABELS, goal)
    assert found.rule.startswith("matches: clip_score >= 0.")
    assert counts(lake, found) == (found.kept_good, found.kept_bad, round(found.kept_share * 200))
    assert found.lake_samples == 200
    assert found.higher_is_better
    assert found.direction_is_clear


def test_goals_are_reached_and_no_better_threshold_is_missed(lake):
    good, bad = (np.array(list(group.values()), np.float32) for group in (GOOD, BAD))
    every = np.concatenate([good, bad])

    def recall(t):
        return (good >= t).mean()

    def precision(t):
        return (good >= t).sum() / (every >= t).sum()

    found = calibrate(lake, "clip_score", LABELS, Goal(precision=0.95))
    assert found.precision >= 0.95
    assert found.recall == max(recall(t) for t in every if precision(t) >= 0.95)
    found = calibrate(lake, "clip_score", LABELS, Goal(recall=0.9))
    assert found.recall >= 0.9
    assert found.false_alarms == min((bad >= t).mean() for t in every if recall(t) >= 0.9)
    found = calibrate(lake, "clip_score", LABELS)
    assert found.recall - found.false_alarms == pytest.approx(max(recall(t) - (bad >= t).mean() for t in every))


def test_keep_counts_ties_and_the_whole_lake(scored):
    lake = scored({"g": 3.0, "b": 1.0, **{f"r{i}": 2.0 for i in range(8)}})
    labels = Labels(("g", "b"), ("good", "bad"), "key")
    assert calibrate(lake, "clip_score", labels, Goal(keep=0.1)).kept_share == 0.1
    assert calibrate(lake, "clip_score", labels, Goal(keep=0.2)).kept_share == 0.9


def test_lower_is_better_is_found_or_told(lake):
    turned = Labels(LABELS.keys, tuple({"good": "bad", "bad": "good"}[v] for v in LABELS.values), "key")
    found = calibrate(lake, "clip_score", turned, Goal(precision=0.9))
    assert not found.higher_is_better
    assert "clip_score <= " in found.sql
    assert found.auc > 0.9
    kept_good, kept_bad, kept = counts(lake, found)
    assert (kept_bad, kept_good, kept) == (found.kept_good, found.kept_bad, round(found.kept_share * 200))  # the keys' letters are turned
    forced = calibrate(lake, "clip_score", turned, direction="higher")
    assert forced.auc < 0.1
    assert forced.auc_interval[0] <= forced.auc <= forced.auc_interval[1]


def test_few_or_useless_labels_are_called_so(scored):
    lake = scored({"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4})
    found = calibrate(lake, "clip_score", Labels(("a", "b", "c", "d"), ("1", "0", "0", "1"), "key"), Goal(precision=0.9))
    said = " ".join(found.warnings())
    assert "do not tell whether higher or lower" in said
    assert "only 2 good and 2 bad" in said
    assert "do not prove a precision of 0.9" in said


def test_what_cannot_be_done_is_said(lake):
    with pytest.raises(UsageError, match=r"Both kinds of labels are needed; 1 good and 0 bad.* 1 match no sample \(zz\)"):
        calibrate(lake, "clip_score", Labels(("g1", "zz"), ("good", "bad"), "key"))
    with pytest.raises(UsageError, match="No threshold reaches a precision of 1 "):
        calibrate(lake, "clip_score", Labels(("g1", "b1"), ("bad", "good"), "key"), Goal(precision=1.0), direction="higher")
    with pytest.raises(UsageError, match="Only one of precision, keep"):
        Goal(precision=0.5, keep=0.5)
    for value in (0.0, 1.5, math.nan, -1.0):
        with pytest.raises(UsageError, match="share"):
            Goal(recall=value)


def test_expressions_and_what_they_were_measured_with(lake):
    found = calibrate(lake, "clip_score * 100 + 0", LABELS, Goal(recall=0.5))
    assert found.sql.startswith("(clip_score * 100 + 0) >= ")
    assert counts(lake, found)[0] == found.kept_good
    assert calibrate(lake, "clip_score", LABELS).measured_with == {
        "operator": "clip_score",
        "fingerprint": "f1",
        "weights": "",
        "encoder": "starter",
    }


def test_picture_and_json(lake, tmp_path):
    found = calibrate(lake, "clip_score", LABELS, Goal(precision=0.95))
    facts = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert facts["rule"] == found.rule
    assert facts["labels"]["good"] == 60
    assert sum(b["count"] for b in facts["reliability"]) == 100
    assert [p["threshold"] for p in facts["curve"]] == sorted((p["threshold"] for p in facts["curve"]), reverse=True)
    assert all(a["probability"] >= b["probability"] for a, b in zip(facts["curve"], facts["curve"][1:], strict=False))
    plot(found, tmp_path / "a.png")
    plot(found, tmp_path / "a.svg")
    with Image.open(tmp_path / "a.png") as picture:
        assert min(picture.size) >= 800
    assert "<svg" in (tmp_path / "a.svg").read_text()


def test_a_missing_matplotlib_is_named(lake, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r"goldsieve\[plots\]"):
        plot(calibrate(lake, "clip_score", LABELS), tmp_path / "a.png")


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_numbers_between_two(a, b):
    low, high = min(a, b), max(a, b)
    found = list(numbers_between(low, high))
    assert all(low < one <= high and float(text(one)) == one and "e" not in text(one) for one in found)
    assert found or low == high


def test_the_first_number_is_short():
    assert next(numbers_between(0.2399, 0.2437)) == 0.24
    assert next(numbers_between(-0.31, -0.2)) == -0.2
    assert text(next(numbers_between(1e-7, 2e-7))) == "0.0000002"
    assert text(100.0) == "100"


def test_neighbouring_floats_are_told_apart(scored):
    near = [np.float32(0.2431)]
    for _ in range(5):
        near.append(np.nextafter(near[-1], np.float32(1)))
    lake = scored({f"{'b' if i < 3 else 'g'}{i}": float(value) for i, value in enumerate(near)})
    labels = Labels(tuple(f"{'b' if i < 3 else 'g'}{i}" for i in range(6)), ("0", "0", "0", "1", "1", "1"), "key")
    found = calibrate(lake, "clip_score", labels, Goal(precision=1.0))
    assert (found.kept_good, found.kept_bad) == (3, 0)
    assert counts(lake, found) == (3, 0, 3)
