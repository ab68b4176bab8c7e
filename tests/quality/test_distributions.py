import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quality.distributions import distribution, positions

VALUES = st.lists(st.one_of(st.floats(-1e6, 1e6, width=32), st.just(float("nan")), st.integers(0, 40).map(float)), min_size=2, max_size=200)


@settings(max_examples=150, deadline=None)
@given(VALUES, st.lists(st.floats(-1e5, 1e5), max_size=3), st.sampled_from(["FLOAT", "DOUBLE", "INTEGER"]))
def test_counts_at_every_cut(values: list[float], thresholds: list[float], kind: str) -> None:
    array = np.array(values)
    one = distribution("x", array, {"gold": np.ones(len(array), bool)}, kind, thresholds)
    known = array[np.isfinite(array)]
    if one is None:
        assert len(np.unique(known)) < 2
        return
    assert one.known + one.unknown == len(values)
    assert sum(one.bars["gold"]) == one.known  # nothing falls outside the bars
    assert np.all(np.diff(one.cuts) > 0)
    assert len(one.cuts) < 255
    assert set(thresholds) <= set(one.cuts.tolist())
    cuts = one.cuts.astype(np.float32) if kind == "FLOAT" else one.cuts
    for k in range(0, len(cuts), 17):
        assert one.at_least[k] == (known >= cuts[k]).sum()
        assert one.above[k] == (known > cuts[k]).sum()
        for op, counts in ((">=", known >= cuts[k]), ("<", known < cuts[k]), (">", known > cuts[k]), ("<=", known <= cuts[k])):
            passed = positions(one, array, op, kind)
            assert ((passed > k if op[0] == ">" else passed <= k) & (passed != 255)).sum() == counts.sum()


def test_a_skewed_signal_has_a_logarithmic_axis() -> None:
    values = np.exp(np.random.default_rng(1).normal(3, 2, 5000))
    one = distribution("x", values, {"gold": np.ones(5000, bool)}, "DOUBLE")
    assert one is not None
    assert one.log
    even = distribution("x", np.random.default_rng(1).normal(0.5, 0.1, 5000), {"gold": np.ones(5000, bool)}, "DOUBLE")
    assert even is not None
    assert not even.log


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0], [float("nan")]])
def test_nothing_to_draw(values: list[float]) -> None:
    assert distribution("x", np.array(values, np.float64), {}, "FLOAT") is None
