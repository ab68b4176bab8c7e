"""Two Ray nodes with processes of their own, a catalog in PostgreSQL, data in an S3-compatible store; one node is killed in a pass."""

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmarks import servers
from benchmarks.common import differing, files, lake_content, write_recipe
from manifests import create_lake
from manifests.address import lake_address
from manifests.errors import UsageError
from manifests.storage import filesystem
from pipelines.engine_ray import RayEngine
from pipelines.progress import Reporter
from pipelines.ray_nodes import node_lost
from pipelines.run import run_recipe

SECRET = servers.KEYS["AWS_SECRET_ACCESS_KEY"]


@pytest.fixture(scope="module")
def nodes(s3_server: str) -> Iterator[servers.Nodes]:
    """A head that measures nothing; it and its nodes have the keys of the store in their environment."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {**servers.KEYS, "AWS_ENDPOINT_URL": s3_server}.items():
            environment.setenv(name, value)
        cluster = servers.Nodes(head_cpus=0)
        yield cluster
        cluster.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for n in range(300):
        coarse = np.random.default_rng(n).integers(0, 255, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((480, 360), Image.Resampling.NEAREST).save(folder / f"{n:03}.jpg")
        (folder / f"{n:03}.txt").write_text(f"squares and other shapes, number {n}")
    return folder


@pytest.mark.ray
@pytest.mark.timeout(400)
def test_a_node_that_is_killed_changes_nothing(tmp_path: Path, pictures: Path, nodes: servers.Nodes, postgres: str, bucket: str) -> None:
    def recipe(name: str) -> Path:
        folder, source = tmp_path / name, [{"path": str(pictures), "name": "pictures"}]
        export = {"shard_size": "4MB"}
        return write_recipe(folder / "recipe.yaml", lake=folder / "lake", sources=source, to=folder / "gold", export=export)

    run_recipe(recipe("local"), engine="inline", reporter=Reporter(quiet=True))
    data = f"{bucket}/{uuid.uuid4().hex}"
    create_lake(lake_address(tmp_path / "team" / "lake", data, servers.new_database(postgres))).close()
    victim = nodes.add()
    command = [sys.executable, "-c", "from pipelines.cli import main; main()", "run", str(recipe("team")), "--address", nodes.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        system, path = filesystem(data)
        until = time.monotonic() + 200
        while not (there := notes(system, path)) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        nodes.kill(victim)  # all blocks were its; the pass waits for another node
        nodes.add()
        told, _ = process.communicate(timeout=200)
    assert process.returncode == 0, told
    assert there, told
    assert "1 of 2 nodes of the cluster went away" in told
    assert not notes(system, path)
    assert not differing(lake_content(tmp_path / "local" / "lake"), lake_content(tmp_path / "team" / "lake"))
    shards = files(tmp_path / "local" / "gold")
    assert len(shards) > 1
    assert not differing(shards, files(tmp_path / "team" / "gold"))
    logs = [file for file in nodes.session.rglob("*") if file.is_file() and file.stat().st_size < 50e6]
    assert logs
    assert not [file for file in logs if SECRET.encode() in file.read_bytes()]
    assert SECRET not in told


@pytest.mark.ray
def test_a_cluster_is_joined_only_when_it_is_named(nodes: servers.Nodes) -> None:
    code = (
        "from pipelines.engine_ray import RayEngine; import ray; e = RayEngine(); print(ray.get_runtime_context().gcs_address); e.close()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.strip()
    assert nodes.address not in done.stdout


def test_a_cluster_that_cannot_be_joined_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def refuse(**_: object) -> None:
        raise ConnectionError("Failed to connect to Ray cluster at host:1")

    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(UsageError, match=r"host:1 cannot be joined.* RAY_AUTH_TOKEN"):
        RayEngine("host:1")


def notes(system: object, path: str) -> list[str]:
    from pyarrow.fs import FileSelector

    found = system.get_file_info(FileSelector(f"{path}/inflight", allow_not_found=True))  # type: ignore[attr-defined]
    return [info.path for info in found]


class Unavailable(Exception):
    pass


@pytest.mark.parametrize(
    ("before", "now", "error", "lost"),
    [
        ("ab", "a", ValueError("the actor died"), True),
        ("ab", "ab", ValueError("The actor is dead because its worker process has died."), False),
        ("ab", "ab", Unavailable("RPC failed"), False),
        ("a", "a", Unavailable("RPC failed"), False),
    ],
)
def test_a_worker_that_died_is_no_lost_node(monkeypatch: pytest.MonkeyPatch, before: str, now: str, error: Exception, lost: bool) -> None:
    monkeypatch.setattr("pipelines.ray_nodes.NOTICE_S", 0.1)
    names = SimpleNamespace(ActorUnavailableError=Unavailable, ObjectLostError=Unavailable, NodeDiedError=KeyError)
    ray = SimpleNamespace(nodes=lambda: [{"NodeID": n, "Alive": n in now} for n in "ab"], exceptions=names)
    assert node_lost(ray, frozenset(before), error) is lost
