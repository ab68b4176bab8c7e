"""Imports stay light: a command that only prints help must not load what takes seconds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "ray", "cv2", "open_clip", "onnxruntime", "av", "simplejpeg", "skimage", "sklearn", "matplotlib")
PACKAGES = ("manifests", "operators", "quality", "pipelines")
REPORT = "import json, sys; print(json.dumps([m for m in %r if m in sys.modules]))"


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("module", [*PACKAGES, "pipelines.cli", "pipelines.demo", "quality.report"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    assert json.loads(run(f"import {module}\n" + REPORT % (HEAVY,))) == []


def test_help_loads_nothing_heavy() -> None:
    code = "import atexit, sys, pipelines.cli\nsys.argv = ['goldsieve', '--help']\n"
    code += "atexit.register(lambda: exec(%r))\npipelines.cli.main()" % (REPORT % (HEAVY,))
    assert json.loads(run(code)) == []


def test_the_four_packages_come_from_one_root() -> None:
    code = f"import importlib, json\nprint(json.dumps([list(importlib.import_module(n).__path__)[0] for n in {PACKAGES!r}]))"
    folders = [Path(path) for path in json.loads(run(code))]
    assert [folder.name for folder in folders] == list(PACKAGES)
    assert len({folder.parent for folder in folders}) == 1
