"""Fixtures for all tests."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

# On a busy machine a slow draw says nothing about the code.
hypothesis.settings.register_profile("busy", suppress_health_check=[hypothesis.HealthCheck.too_slow], deadline=None)
hypothesis.settings.load_profile("busy")

EVALUATION_DATA = Path(__file__).parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a file stay in one process (they share what is costly to make), all that start Ray in one as well."""
    for item in items:
        group = "ray" if item.get_closest_marker("ray") else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def evaluation_data() -> Path:
    """The folder of real evaluation data; tests that need it are skipped on a machine that lacks it."""
    if not EVALUATION_DATA.is_dir():
        pytest.skip(f"needs the evaluation data folder {EVALUATION_DATA}")
    return EVALUATION_DATA


@pytest.fixture(scope="session")
def ray_engine() -> Iterator[Callable[[], object]]:
    """Makes a `RayEngine`; one local Ray serves all tests of a session."""
    from pipelines.engine_ray import RayEngine

    made: list[RayEngine] = []

    def make() -> RayEngine:
        if not made:
            made.append(RayEngine())
        return made[0]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture(scope="session")
def need_program() -> Callable[[str], str]:
    """Path of a program that a test runs. Where it is missing the test skips; under ``.ci/run`` it fails."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            absent = pytest.fail if os.environ.get("GOLDSIEVE_CI") else pytest.skip
            absent(f"needs the program '{name}', which is not installed")
        return path

    return find
