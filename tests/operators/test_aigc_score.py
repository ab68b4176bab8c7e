import numpy as np
import pyarrow as pa
import pytest

from manifests.errors import MissingDependencyError, UsageError
from operators.aigc_score import AigcScore, probe_file
from operators.base import Batch
from operators.encoders.vectors import EMBEDDING


@pytest.fixture
def probe(tmp_path):
    """The file of a probe that looks at the first number of the embedding."""
    path = tmp_path / "probe.npz"
    photo, other = np.float32([[4, 0, 0, 0], [2, 0, 0, 0]])
    np.savez(path, photo_weight=photo, photo_bias=np.float32(-2), other_weight=other, other_bias=np.float32(-4))
    return str(path)


def batch(embeddings, styles):
    return Batch(pa.table({"image_embedding": pa.array(embeddings, EMBEDDING), "style": pa.array(styles, pa.string())}), [])


def test_probability_by_style(probe):
    run = AigcScore(head=probe).open()
    low, high, half = [0.0, 0, 0, 1], [1.0, 0, 0, 0], [0.5, 0, 0, 0]
    got = run(batch([low, high, high, half], ["photo", "photo", "anime", "photo"]))["aigc_score"].to_pylist()
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    assert got == pytest.approx([sigmoid(-2), sigmoid(2), sigmoid(-2), sigmoid(0)], abs=1e-6)


def test_what_is_not_known_has_no_score(probe):
    run = AigcScore(head=probe).open()
    some = [1.0, 0, 0, 0]
    got = run(batch([some, None, some, some], ["photo", "photo", None, "anime"]))["aigc_score"].to_pylist()
    assert [v is None for v in got] == [False, True, True, False]
    assert run(batch([None], ["photo"]))["aigc_score"].to_pylist() == [None]
    assert run(batch([], []))["aigc_score"].to_pylist() == []


def test_results_do_not_depend_on_the_batch(probe):
    random = np.random.default_rng(0)
    rows = random.normal(size=(64, 4)).tolist()
    run = AigcScore(head=probe).open()
    whole = run(batch(rows, ["photo"] * 64))["aigc_score"].to_pylist()
    assert whole == [run(batch([row], ["photo"]))["aigc_score"][0].as_py() for row in rows]


def test_errors(probe, tmp_path):
    with pytest.raises(UsageError, match="same `encoder`"):
        AigcScore(head=probe).open()(batch([[1.0, 2.0]], ["photo"]))
    with pytest.raises(MissingDependencyError, match="no probe"):
        AigcScore(encoder="openclip:ViT-B-32/openai").open()
    with pytest.raises(UsageError, match="other weights"):
        AigcScore(head=probe, weights="0" * 16).open()
    np.savez(tmp_path / "old.npz", weight=np.zeros(4), bias=0.0)
    with pytest.raises(UsageError, match="lacks other_bias, other_weight, photo_bias, photo_weight"):
        AigcScore(head=str(tmp_path / "old.npz")).open()
    with pytest.raises(ValueError, match="head is"):
        AigcScore(head="nonsense")


def test_the_shipped_probe_fits_the_shipped_starter():
    run = AigcScore().open()
    random = np.random.default_rng(0)
    vectors = random.normal(size=(5, 512))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    got = run(batch(vectors.tolist(), ["photo"] * 5))["aigc_score"].to_pylist()
    assert all(0 <= value <= 1 for value in got)
    assert probe_file("starter", "auto").stat().st_size < 20_000
