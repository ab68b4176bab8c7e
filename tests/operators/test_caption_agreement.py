"""A caption that says something else than those of look-alike pictures."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.base import Batch
from operators.caption_agreement import CaptionAgreement, agreement

TOPICS, EACH = 8, 12


def vectors(random: np.random.Generator, topics: np.ndarray, cone: float = 3.0) -> np.ndarray:
    """One vector a topic number, with noise, all in the narrow cone that encoders use."""
    width = 48
    centres = np.random.default_rng(0).standard_normal((TOPICS, width))
    found = centres[topics] + 0.4 * random.standard_normal((len(topics), width)) + cone
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def test_wrong_captions_are_told_from_right_ones() -> None:
    random = np.random.default_rng(1)
    topics = np.repeat(np.arange(TOPICS), EACH)
    said = topics.copy()
    wrong = np.arange(0, len(topics), EACH)  # one of each topic
    said[wrong] = (said[wrong] + 3) % TOPICS
    got = agreement(vectors(random, topics), vectors(random, said), 5, 0.3)
    right = np.setdiff1d(np.arange(len(topics)), wrong)
    assert got[right].min() > 0.3 > 0.1 > got[wrong].max()


@given(st.integers(0, 1000), st.permutations(list(range(TOPICS * EACH))))
def test_order_changes_nothing(seed: int, order: list[int]) -> None:
    random = np.random.default_rng(seed)
    topics = np.repeat(np.arange(TOPICS), EACH)
    pictures, captions = vectors(random, topics), vectors(random, topics)
    assert np.array_equal(agreement(pictures, captions, 5, 0.3)[order], agreement(pictures[order], captions[order], 5, 0.3))


def batch(pictures: np.ndarray, captions: list[list[float] | None], copies: set[int]) -> Batch:
    count = len(captions)
    embedding = pa.list_(pa.float32())
    return Batch(
        pa.table(
            {
                "sample_id": pa.array([i.to_bytes(16, "big") for i in range(count)], pa.uuid()),
                "exact_duplicate": pa.array([i in copies for i in range(count)]),
                "near_duplicate": pa.array([None] * count, pa.bool_()),
                "image_embedding": pa.array(list(pictures), embedding),
                "text_embedding": pa.array(captions, embedding),
            }
        ),
        (),
    )


def test_copies_and_samples_without_a_caption_or_a_look_alike_get_no_verdict() -> None:
    random = np.random.default_rng(2)
    topics = np.repeat(np.arange(TOPICS), EACH)
    pictures = vectors(random, topics)
    pictures[11] = 2 * pictures.mean(axis=0) - pictures[11]  # on the other side of the middle
    captions: list[list[float] | None] = vectors(random, topics).tolist()
    captions[7] = None
    got = CaptionAgreement().open()(batch(pictures, captions, {3}))["caption_agreement"].to_pylist()
    assert [i for i, value in enumerate(got) if value is None] == [3, 7, 11]


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        CaptionAgreement(neighbours=0)
    with pytest.raises(ValueError, match="below 1"):
        CaptionAgreement(min_cosine=1)
