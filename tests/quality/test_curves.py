import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from quality.curves import auc, auc_interval, average_precision, curve, isotonic, reliability, wilson

labelled = st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: len({g for _, g in rows}) == 2
)


def arrays(rows):
    return np.array([s for s, _ in rows], np.float64), np.array([g for _, g in rows])


@settings(max_examples=150)
@given(labelled)
def test_agrees_with_scikit_learn_also_on_ties(rows):
    scores, good = arrays(rows)
    points = curve(scores, good)
    assert auc(points) == pytest.approx(roc_auc_score(good, scores))
    assert average_precision(points) == pytest.approx(average_precision_score(good, scores))
    expected = IsotonicRegression(y_min=0, y_max=1).fit_transform(scores, good)
    of = dict(zip(points.threshold.tolist(), isotonic(points).tolist(), strict=True))
    assert [of[s] for s in scores] == pytest.approx(expected.tolist())


@settings(max_examples=100)
@given(labelled)
def test_every_point_is_what_keeping_does(rows):
    scores, good = arrays(rows)
    points = curve(scores, good)
    assert points.threshold.tolist() == sorted(set(scores.tolist()), reverse=True)
    for threshold, kept_good, kept_bad, precision in zip(
        points.threshold, points.kept_good, points.kept_bad, points.precision, strict=True
    ):
        kept = scores >= threshold
        assert (kept_good, kept_bad) == ((kept & good).sum(), (kept & ~good).sum())
        assert precision == good[kept].mean()


@given(labelled)
def test_turning_the_scores_round_mirrors_the_auc(rows):
    scores, good = arrays(rows)
    assert auc(curve(scores, good)) + auc(curve(-scores, good)) == pytest.approx(1)


@given(labelled, st.integers(1, 12))
def test_bins_hold_everything_once_and_never_part_equal_scores(rows, count):
    scores, good = arrays(rows)
    bins = reliability(scores, good, count)
    assert 1 <= len(bins) <= count
    assert sum(b.count for b in bins) == len(rows)
    assert sum(b.good for b in bins) == good.sum()
    assert all(a.high < b.low for a, b in itertools.pairwise(bins))
    assert all(b.share_low <= b.share <= b.share_high and b.low <= b.mean + 1e-9 and b.mean <= b.high + 1e-9 for b in bins)


def test_wilson_against_published_values():
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 81/263, 15/148, 0/20, 1/29
    for successes, total, low, high in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)]:
        assert wilson(successes, total) == pytest.approx((low, high), abs=5e-5)
    assert wilson(20, 20)[0] == pytest.approx(1 - 0.1611, abs=5e-5)
    assert wilson(0, 0) == (0, 1)


def test_the_auc_interval_has_width_even_when_all_is_told_apart():
    low, high = auc_interval(1.0, 10, 10)
    assert 0.6 < low < 0.9
    assert high == 1
    assert auc_interval(0.0, 10, 10) == pytest.approx((1 - high, 1 - low))
    assert auc_interval(1.0, 1000, 1000)[0] > 0.99


@pytest.mark.parametrize(("shift", "good", "bad"), [(1.0, 10, 10), (2.0, 50, 10), (3.0, 20, 20)])
def test_the_auc_interval_covers_the_truth(shift, good, bad):
    """95 % is promised; 400 trials may stray by some 3 %."""
    rng = np.random.default_rng(5)
    truth = (1 + math.erf(shift / 2)) / 2
    covered = 0
    for _ in range(400):
        scores = np.concatenate([rng.normal(shift, 1, good), rng.normal(0, 1, bad)])
        low, high = auc_interval(auc(curve(scores, np.arange(good + bad) < good)), good, bad)
        covered += low <= truth <= high
    assert covered / 400 >= 0.93
