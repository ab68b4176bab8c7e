"""Every notebook runs from an empty kernel on a demo of its own, and is the same as its script."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    from pipelines.demo import run_demo
    from pipelines.progress import Reporter

    folder = tmp_path_factory.mktemp("notebooks") / "demo"
    run_demo(folder, reporter=Reporter(quiet=True))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_there_are_five() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "01-first-look",
        "02-choose-thresholds",
        "03-duplicates-and-balance",
        "04-write-an-operator",
        "05-train-from-shards",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_its_script_and_carries_no_output(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    script = jupytext.read(path.with_suffix(".py"))
    assert [(c.cell_type, c.source) for c in notebook.cells] == [(c.cell_type, c.source) for c in script.cells], (
        f"make them the same: jupytext --to ipynb {path.with_suffix('.py').name}"
    )
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in notebook.cells)


@pytest.mark.notebooks
@pytest.mark.timeout(280)
@pytest.mark.filterwarnings("ignore::DeprecationWarning:zmq.*", "ignore::ResourceWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDSIEVE_DEMO", str(demo))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in shown if output.output_type == "error"]
    assert any("text/html" in output.get("data", {}) for output in shown)
