"""goldsieve models, models pull."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from manifests.errors import UsageError
from pipelines.cli import app


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GOLDSIEVE_CACHE", str(tmp_path / "heads"))


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["models", *arguments], catch_exceptions=False, standalone_mode=False)
    if done.exception:
        raise done.exception
    return done.stdout


def test_models() -> None:
    text = run()
    assert "starter" in text
    assert "aesthetic:laion-v2/ViT-L-14" in text
    assert "goldsieve models pull" in text
    rows = {row["name"]: row for row in json.loads(run("--json"))}
    assert rows["starter"]["here"] is True
    assert rows["starter"]["size"] > 100_000
    assert rows["all-MiniLM-L6-v2"]["licence"]
    assert len(json.loads(run("--all", "--json"))) > 100


def test_pull() -> None:
    found = json.loads(run("pull", "starter", "--json"))
    assert Path(found["file"]).stat().st_size == found["bytes"]
    with pytest.raises(UsageError, match="cannot be fetched"):
        run("pull", "openclip:ViT-B-32/laion2b_s34b_b79k")


def test_the_command_that_an_error_names_is_one(tmp_path: Path) -> None:
    """The message of missing weights, word for word, given to the command line."""
    from manifests.errors import MissingDependencyError
    from operators.plugins import make

    for name, settings in (
        ("text_embedding", {"encoder": "openclip:ViT-B-32/laion2b_s34b_b79k", "precision": "fp32"}),
        ("aesthetic", {"encoder": "openclip:ViT-L-14/openai", "head": "laion-v1"}),
    ):
        with pytest.raises(MissingDependencyError) as caught:
            make(name, settings).open()
        command = str(caught.value).partition("goldsieve models ")[2].rstrip(".").split()
        assert command[0] == "pull"
        with pytest.raises(UsageError, match=r"cannot be fetched|another file"):
            run(*command)
