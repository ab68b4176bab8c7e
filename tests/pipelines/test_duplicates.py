"""Copies in a lake: protected sets, increments, partitions."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from manifests import open_lake
from operators import near_duplicates
from operators.near_duplicates import kept_rows
from operators.testing import encode, picture
from pipelines import duplicates_ray
from pipelines.cli import app

ROWS = 3_000


def cli(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def write(folder: Path, name: str, seed: int, size: tuple[int, int] = (320, 240), kind: str = "PNG") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.{kind.lower()}").write_bytes(encode(picture(320, 240, seed).resize(size), kind))


def test_no_copy_of_a_protected_picture_reaches_a_tier(tmp_path: Path) -> None:
    for seed in range(4):
        write(tmp_path / "crawl", f"crawled{seed}", seed)
    write(tmp_path / "val", "v0", 0, (240, 180), "JPEG")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"lake: {tmp_path}/lake\nsources: [{tmp_path}/crawl]\noperators: [near_duplicates]\n"
        f"tiers: {{gold: {{all: 'width > 0'}}}}\nexport: {{tier: gold, to: {tmp_path}/out}}\n"
    )
    cli("run", recipe, "--engine", "inline", "--quiet")
    with open_lake(tmp_path / "lake") as lake:
        assert lake.value("SELECT count(*) FROM wide WHERE tier = 'gold'") == 4
    cli("protect", tmp_path / "lake", tmp_path / "val", "--name", "some-val", "--quiet")
    cli("run", recipe, "--engine", "inline", "--quiet", "--overwrite")
    with open_lake(tmp_path / "lake") as lake:
        rows = lake.rows("SELECT key, tier, is_protected, near_protected, failed_rules FROM wide ORDER BY key")
    assert [row["tier"] for row in rows] == ["bronze", "gold", "gold", "gold", "bronze"]
    assert rows[0]["near_protected"]
    assert rows[0]["failed_rules"] == ["gold.not protected"]
    assert rows[4]["is_protected"]
    index = (tmp_path / "out" / "index.json").read_text()
    assert "3" in index
    assert not any("v0" in path.name for path in (tmp_path / "out").iterdir())


def test_new_samples_are_compared_without_the_old_and_the_answer_is_that_of_a_new_lake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(6):
        write(tmp_path / "old", f"old{seed}", seed)
    for seed in (1, 4, 9):
        write(tmp_path / "new", f"new{seed}", seed, (640, 480), "JPEG")
    write(tmp_path / "new", "again", 9)
    lake = tmp_path / "lake"
    cli("ingest", lake, tmp_path / "old", "--quiet")
    cli("measure", lake, "near_duplicates", "--engine", "inline", "--quiet")
    cli("ingest", lake, tmp_path / "new", "--quiet")
    with monkeypatch.context() as patch:
        patch.setattr(near_duplicates, "kept_rows", lambda *_: pytest.fail("everything was compared again"))
        cli("measure", lake, "near_duplicates", "--engine", "inline", "--quiet")
    shutil.copytree(tmp_path / "old", tmp_path / "fresh" / "old")
    fresh = tmp_path / "fresh" / "lake"
    for source in ("new", "old"):
        cli("ingest", fresh, tmp_path / source, "--name", source, "--quiet")
    cli("measure", fresh, "near_duplicates", "--engine", "inline", "--quiet")
    answers = []
    query = "SELECT key, is_duplicate, near_distance, near_check, near_group IS NULL AS alone FROM wide ORDER BY key"
    for path in (lake, fresh):
        with open_lake(path) as opened:
            answers.append(opened.rows(query))
    assert answers[0] == answers[1]
    assert sum(row["is_duplicate"] for row in answers[0]) == 3


def hashes() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    base = np.repeat(rng.integers(0, 2**64, ROWS // 6, dtype=np.uint64), 6)
    for _ in range(6):
        base ^= np.where(rng.random(ROWS) < 0.7, np.uint64(1) << rng.integers(0, 64, ROWS, dtype=np.uint64), np.uint64(0))
    return rng.permutation(base), rng.integers(0, 64, ROWS, dtype=np.uint64)


@pytest.mark.parametrize("partitions", [1, 3, 4])
def test_partitions_give_the_groups_of_one_process_however_often_a_task_runs(tmp_path: Path, partitions: int) -> None:
    phash, dhash = hashes()
    made = duplicates_ray.plan(tmp_path, ROWS, partitions, 10, 12)
    duplicates_ray.write_slices(made, phash, dhash)
    for one, two in [*made.tasks(), *made.tasks()[::-1]]:
        duplicates_ray.search_task(made, one, two)
    assert duplicates_ray.settle(made, ROWS).tolist() == kept_rows(phash, dhash, 10, 12)[0].tolist()


@pytest.mark.ray
def test_partitions_on_ray(tmp_path: Path, ray_engine: Callable[[], Any]) -> None:
    phash, dhash = hashes()
    found = duplicates_ray.kept_rows_in(tmp_path / "pairs", 4, ray_engine()._ray, phash, dhash, 10, 12)
    assert found.tolist() == kept_rows(phash, dhash, 10, 12)[0].tolist()
    assert not list((tmp_path / "pairs").iterdir())
