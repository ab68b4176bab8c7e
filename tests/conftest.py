import os
import shutil
from collections.abc import Callable

import pytest


@pytest.fixture
def need_program() -> Callable[[str], str]:
    """Path of a program that a test runs. Where it is missing the test skips; under ``.ci/run`` it fails."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            absent = pytest.fail if os.environ.get("GOLDSIEVE_CI") else pytest.skip
            absent(f"needs the program '{name}', which is not installed")
        return path

    return find
