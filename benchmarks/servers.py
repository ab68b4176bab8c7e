"""Real servers on loopback, for benchmarks and tests: PostgreSQL, an S3-compatible store, a Ray cluster of separate nodes."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "only-for-this-test", "AWS_REGION": "us-east-1"}


def find_program(name: str) -> str | None:
    """Path of a program; Debian keeps PostgreSQL's server programs off the path."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *map(str, debian)]))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Postgres:
    """A server of its own in a temporary folder. PostgreSQL refuses to run as root: then it runs as nobody."""

    def __init__(self, find: Callable[[str], str | None] = find_program) -> None:
        self.tools = {name: str(find(name)) for name in ("initdb", "pg_ctl")}
        self.as_nobody = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
        self.folder = Path(tempfile.mkdtemp(prefix="goldsieve-pg-"))
        if self.as_nobody:
            shutil.chown(self.folder, "nobody")
        self.port = free_port()
        self.url = f"postgresql://tester@127.0.0.1:{self.port}/postgres"
        self._run("initdb", "-U", "tester", "-A", "trust", "--no-sync")

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run("pg_ctl", "-o", options, "-l", str(self.folder / "log"), "-w", "start")

    def stop(self) -> None:
        """At once, as when the machine goes: clients are not asked."""
        self._run("pg_ctl", "-m", "immediate", "stop")

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, tool: str, *arguments: str) -> None:
        command = [*self.as_nobody, self.tools[tool], "-D", str(self.folder / "data"), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")


@contextlib.contextmanager
def postgres(find: Callable[[str], str | None] = find_program) -> Iterator[Postgres]:
    """A running server."""
    server = Postgres(find)
    try:
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):  # a test may have stopped it
                server.stop()
    finally:
        server.remove()


@contextlib.contextmanager
def s3() -> Iterator[str]:
    """Address of an S3-compatible server."""
    port = free_port()
    command = [sys.executable, "-c", f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}/moto-api/", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        try:
            yield url
        finally:
            process.kill()


def new_database(url: str) -> str:
    """Address of a new database in the server of ``url``."""
    import uuid

    import psycopg

    name = f"lake_{uuid.uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
    return url.rpartition("/")[0] + f"/{name}"


class Nodes:
    """A Ray cluster on loopback: a head and nodes with raylets, stores and workers of their own. They inherit this environment."""

    def __init__(self, head_cpus: int = 1) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        self._cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": head_cpus, "include_dashboard": False})

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    @property
    def session(self) -> Path:
        """Where this cluster keeps its logs."""
        return Path(self._cluster.head_node.get_session_dir_path())

    def add(self, cpus: int = 1) -> Any:
        return self._cluster.add_node(num_cpus=cpus)

    def kill(self, node: Any) -> None:
        """SIGKILL to all its processes."""
        self._cluster.remove_node(node, allow_graceful=False)

    def close(self) -> None:
        self._cluster.shutdown()
