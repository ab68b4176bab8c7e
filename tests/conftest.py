"""Fixtures for all tests."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from benchmarks import servers

# On a busy machine a slow draw says nothing about the code.
hypothesis.settings.register_profile("busy", suppress_health_check=[hypothesis.HealthCheck.too_slow], deadline=None)
hypothesis.settings.load_profile("busy")

EVALUATION_DATA = Path(__file__).parents[2] / "shared" / "data"


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
        path = servers.find_program(name)
        if path is None:
            absent = pytest.fail if os.environ.get("GOLDSIEVE_CI") else pytest.skip
            absent(f"needs the program '{name}', which is not installed")
        return path

    return find


RECIPE = """
lake: lake
sources: [{path: pictures}]
operators: [media_facts, phash, image_quality, caption_quality, exact_duplicates, near_duplicates]
tiers:
  silver:
    big: least(width, height) >= 48
    sharp: sharpness >= 300
    lit: brightness >= 0.2 or contrast >= 0.3
  gold:
    from: silver
    unique: not is_duplicate
    words: caption_words between 2 and 8 and not (entropy < 2)
"""
HOSTILE = '<script>alert("x")</script></script><img src=x onerror=alert(1)>'


@pytest.fixture(scope="session")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``recipe.yaml`` and its ``lake``: 80 drawn pictures measured and sorted, copies, hostile captions, a broken file.

    For reading; tests that write copy the lake.
    """
    import numpy as np
    from PIL import Image, ImageFilter

    from pipelines.progress import Reporter
    from pipelines.run import run_recipe

    folder = tmp_path_factory.mktemp("decided")
    pictures = folder / "pictures"
    pictures.mkdir()
    for n in range(80):
        random = np.random.default_rng(n if n < 70 else n - 70)  # the last ten repeat the first
        size = (40 + 3 * int(random.integers(0, 30)), 40 + 2 * int(random.integers(0, 30)))
        dark, blur = random.random(2)
        small = Image.fromarray((dark * random.integers(0, 255, (24, 24, 3))).astype(np.uint8))
        image = small.resize(size, Image.Resampling.BILINEAR).filter(ImageFilter.GaussianBlur(float(3 * blur**2)))
        image.save(pictures / f"p{n:03d}.png")
        words = [HOSTILE, *(["a", "red", "kite", "over", "the", "sea", "in", "the", "evening", "wind"])]
        (pictures / f"p{n:03d}.txt").write_text(HOSTILE if n == 5 else " ".join(words[1 : 2 + n % 9]))
    (pictures / "p005.png").rename(pictures / "<b>&'\".png")
    (pictures / "p005.txt").rename(pictures / "<b>&'\".txt")
    (pictures / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 40)
    (folder / "recipe.yaml").write_text(RECIPE)
    run_recipe(folder / "recipe.yaml", engine="inline", reporter=Reporter(quiet=True))
    return folder


@pytest.fixture
def decided_copy(decided: Path, tmp_path: Path) -> Path:
    """A copy of ``decided`` of the test's own."""
    shutil.copytree(decided, tmp_path / "decided")
    return tmp_path / "decided"


@pytest.fixture(scope="session")
def postgres(need_program: Callable[[str], str]) -> Iterator[str]:
    """Address of the server's database ``postgres``; the user may make others."""
    with servers.postgres(need_program) as server:
        yield server.url


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of an S3-compatible server."""
    with servers.s3() as url:
        yield url


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """``s3://`` address of a bucket; the environment says how to reach it."""
    import pyarrow.fs

    for name, value in {**servers.KEYS, "AWS_ENDPOINT_URL": s3_server}.items():
        monkeypatch.setenv(name, value)
    pyarrow.fs.S3FileSystem(endpoint_override=s3_server, region="us-east-1", allow_bucket_creation=True).create_dir("lakes")
    return "s3://lakes"
