"""An update equals a full run, whatever was added."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators import hamming
from operators.near_duplicates import kept_rows
from operators.near_rule import Rows, Rule
from operators.near_update import updated


@settings(max_examples=150)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 6), st.integers(0, 9), st.floats(0, 1))
def test_an_update_equals_a_full_run(seed: int, centres: int, copies: int, flips: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    phash = np.repeat(rng.integers(0, 2**64, centres, dtype=np.uint64), copies)
    for _ in range(flips):
        phash ^= np.where(rng.random(len(phash)) < 0.7, np.uint64(1) << rng.integers(0, 64, len(phash), dtype=np.uint64), np.uint64(0))
    phash, dhash = rng.permutation(phash), np.zeros(len(phash), np.uint64)
    known = rng.random(len(phash)) < share
    old, radius = np.flatnonzero(known), 7
    leader = np.arange(len(phash))
    leader[old] = old[kept_rows(phash[old], dhash[old], radius, 12)[0]]
    full = kept_rows(phash, dhash, radius, 12)[0]
    for few in (10**9, -1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(hamming, "FEW", few)
            assert updated(leader, known, Rows(phash, dhash), Rule(radius, 12)).tolist() == full.tolist()


def test_new_copies_of_one_old_picture_are_cheap() -> None:
    """Many equal pictures: their pairs must not be listed one by one."""
    n = 30_000
    phash, dhash = np.full(n, 0x0F0F0F0F0F0F0F0F, np.uint64), np.zeros(n, np.uint64)
    known = np.arange(n) < n // 2
    leader = np.where(known, 0, np.arange(n))
    assert updated(leader, known, Rows(phash, dhash), Rule(10, 12)).tolist() == [0] * n
