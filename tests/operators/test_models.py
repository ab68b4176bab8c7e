"""What `goldsieve models` lists and fetches. Nothing here needs a network: files are fetched from file:// addresses."""

import hashlib
from pathlib import Path

import pytest

from manifests.errors import UsageError
from operators import aesthetic, models
from operators.encoders import EMBEDDED, openclip


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches of our own, and no network."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GOLDSIEVE_CACHE", str(tmp_path / "heads"))
    return tmp_path


def served(folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, digest: str | None = None) -> tuple[str, str]:
    """A head of our own at a file:// address, in the place of LAION's."""
    (folder / "served.pth").write_bytes(content)
    key = ("laion-v1", "ViT-B-32")
    known = (f"file://{folder}/served.pth", digest or hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(aesthetic.OPENAI_HEADS, key, known)
    return key


def test_what_is_here(caches: Path) -> None:
    found = {model.name: model for model in models.models()}
    assert found["starter"].here
    assert found["starter"].size == EMBEDDED["starter"].stat().st_size
    assert found["clip_b16"].here == found["CLIP ViT-B/16 pictures"].here
    assert {"all-MiniLM-L6-v2", "efficientnet-lite0", "open_nsfw", "PP-OCR", "MTCNN"} <= set(found)
    assert all(model.here == (model.size is not None) for model in found.values())
    assert all(model.licence for model in found.values())
    assert not found["aesthetic:laion-v1/ViT-B-32"].here
    assert not any(name.startswith("openclip:") for name in found)


def test_every_tag_of_open_clip_is_listed_on_request(caches: Path) -> None:
    import open_clip

    found = {model.name: model for model in models.models(every=True)}
    assert {f"openclip:{model}/{tag}" for model, tag in open_clip.list_pretrained()} <= set(found)
    assert found["openclip:ViT-B-32/openai"].licence == "MIT"


def test_a_cached_model_is_listed_with_its_size(caches: Path) -> None:
    repository = openclip.tag_config("ViT-B-32", "laion2b_s34b_b79k")["hf_hub"].rstrip("/").split("/")
    folder = caches / "hub" / f"models--{'--'.join(repository[:2])}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "snapshots" / "abc" / "open_clip_pytorch_model.bin").write_bytes(b"x" * 1234)
    found = {model.name: model for model in models.models()}
    assert found["openclip:ViT-B-32/laion2b_s34b_b79k"].size == 1234
    assert models.fetch("openclip:ViT-B-32/laion2b_s34b_b79k").stat().st_size == 1234


def test_a_head_is_fetched_once(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = served(caches, monkeypatch, b"a head")
    name = aesthetic.head_name(*key)
    file = models.fetch(name)
    assert file.read_bytes() == b"a head"
    assert file.parent == caches / "heads"
    (caches / "served.pth").unlink()
    assert models.fetch(name) == file
    assert next(model for model in models.models() if model.name == name).here


def test_a_head_with_another_content_is_not_kept(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = served(caches, monkeypatch, b"something else", digest="0" * 64)
    with pytest.raises(UsageError, match="another file than expected"):
        models.fetch(aesthetic.head_name(*key))
    assert not (caches / "heads").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("aesthetic:laion-v3/ViT-B-32", "There are: aesthetic:laion-v1/ViT-B-32"),
        ("resnet", "names no encoder"),
        ("openclip:ViT-B-32/no_such_tag", "laion2b_s34b_b79k"),
        ("openclip:ViT-B-32/laion2b_s34b_b79k", "cannot be fetched"),
    ],
)
def test_what_cannot_be_fetched(caches: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        models.fetch(name)


def test_starter_is_always_here() -> None:
    assert models.fetch("starter") == EMBEDDED["starter"]
