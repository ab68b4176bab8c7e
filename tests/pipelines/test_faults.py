"""What a cluster's days bring: the catalog goes away, the store answers with errors, the disk fills up, a clock is set back."""

import resource
import select
import socket
import socketserver
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa
import pytest
from PIL import Image

from benchmarks import servers
from manifests import Lake, create_lake, open_lake, outage, storage
from manifests.address import lake_address
from manifests.errors import CatalogDownError, LakeBusyError, StorageError
from manifests.outage import outlasting
from manifests.parts import uuids, write_part
from manifests.runs import begin_run, end_run
from manifests.schema import MEDIA
from manifests.upkeep import collect_garbage
from manifests.versions import OperatorVersion
from operators.phash import PHash
from pipelines import engine as engines
from pipelines import measure as measuring
from pipelines.engine import InlineEngine
from pipelines.measure import measure
from pipelines.passes import OperatorUse
from pipelines.progress import Reporter
from pipelines.sources import SourceSpec, list_source


@pytest.fixture
def server(need_program: Callable[[str], str]) -> Iterator[servers.Postgres]:
    """A PostgreSQL server that the test may stop."""
    with servers.postgres(need_program) as running:
        yield running


@pytest.fixture
def shared(tmp_path: Path, server: servers.Postgres) -> Iterator[Lake]:
    with create_lake(lake_address(tmp_path / "team", str(tmp_path / "data"), servers.new_database(server.url))) as lake:
        yield lake


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for n in range(24):
        Image.effect_mandelbrot((64 + n, 64), (-2 + n / 30, -1.5, 1, 1.5), 60).convert("RGB").save(folder / f"{n:02}.png")
    return folder


def test_a_catalog_that_was_away_is_waited_for(
    shared: Lake, server: servers.Postgres, pictures: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(measuring, "COMMIT_SECONDS", 0.0)
    monkeypatch.setattr(engines, "FIRST_BLOCK_ROWS", 8)
    away = []

    class Interrupted(InlineEngine):
        def run(self, *arguments: Any) -> Iterator[Any]:
            for result in super().run(*arguments):
                if not away:
                    server.stop()
                    away.append(threading.Timer(3, server.start))
                    away[0].start()
                yield result

    with shared.writing("measure"):
        shared.ingest("pictures", str(pictures), list_source(SourceSpec(str(pictures))))
        run_id = begin_run(shared, "measure", "inline")
        (done,) = measure(shared, [OperatorUse(PHash())], Interrupted(), run_id, Reporter(quiet=True))
        assert done.samples == 24
        assert shared.value("SELECT count(phash) FROM wide") == 24
        assert shared.value("SELECT count(DISTINCT key) FROM signal_phash") == shared.value("SELECT count(*) FROM signal_phash")
        assert collect_garbage(shared) == []
        with open_lake(shared.address, read_only=False) as other, pytest.raises(LakeBusyError), other.writing("tier"):
            pass  # the lock was taken again
    away[0].join()
    assert "there again" in caplog.text


def test_a_commit_that_arrived_is_not_repeated(shared: Lake, server: servers.Postgres) -> None:
    @outlasting
    def label(lake: Lake, loses_answer: bool) -> None:
        with lake.transaction("label") as connection:
            connection.execute("INSERT INTO labels (label) VALUES ('once')")
            if not loses_answer:
                server.stop()
                server.start()
        if loses_answer:
            server.stop()
            server.start()
            raise duckdb.IOException("the answer was lost")

    with shared.writing("label"):
        label(shared, True)
        assert shared.value("SELECT count(*) FROM labels") == 1


def test_a_catalog_that_stays_away_ends_the_run_and_leaves_nothing(
    shared: Lake, server: servers.Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "OUTAGE_S", 1.0)
    with shared.writing("label"):
        server.stop()
        with pytest.raises(CatalogDownError, match="run the same command again"):
            end_run(shared, uuid.uuid4(), "done", {})
        server.start()
        assert shared.lease is not None
        shared.lease.renew(5.0)
        with pytest.raises(duckdb.BinderException):  # another error is no outage
            shared.outlast(lambda: shared.value("SELECT nothing FROM labels"))


class Flaky(socketserver.BaseRequestHandler):
    """Passes connections on to a store, but for as many as ``failing``, which it answers with 503."""

    store, failing = "", 0

    def handle(self) -> None:
        kind = type(self)
        if kind.failing:
            kind.failing -= 1
            self.request.recv(1 << 16)
            self.request.sendall(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        address = urlsplit(kind.store)
        with socket.create_connection((address.hostname, address.port)) as store:
            ends = {self.request: store, store: self.request}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    ends[end].sendall(data)


@pytest.fixture
def flaky(bucket: str, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Flaky]]:
    """A handler in front of the store; the environment leads to it."""

    class Handler(Flaky):
        store, failing = s3_server, 0

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as front:
        front.daemon_threads = True
        front.block_on_close = False
        threading.Thread(target=front.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{front.server_address[1]}")
        yield Handler
        front.shutdown()


def rows() -> pa.Table:
    return pa.table([uuids([uuid.uuid4()]) if f.type == pa.uuid() else pa.nulls(1, f.type) for f in MEDIA], schema=MEDIA)


def test_a_store_that_fails_for_a_while_is_asked_again(tmp_path: Path, bucket: str, flaky: type[Flaky]) -> None:
    data = f"{bucket}/{uuid.uuid4().hex}/"
    with create_lake(lake_address(tmp_path / "lake", data)) as lake:
        flaky.failing = 3
        part = write_part(data, "media", rows())
        flaky.failing = 2
        lake.commit([part], "one")
        flaky.failing = 2
        assert lake.value("SELECT count(*) FROM media") == 1


def test_a_store_that_is_gone_is_named(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "ATTEMPTS", 2)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{servers.free_port()}")
    with pytest.raises(StorageError, match=r"A part of media cannot be written to s3://lakes/gone/main/media: .* run again"):
        write_part("s3://lakes/gone/", "media", rows())


def test_a_full_disk_ends_the_run_and_the_next_one_finishes(tmp_path: Path, pictures: Path) -> None:
    """The limit on the size of files stands for a full disk: writing fails, in the middle of a file, with an error of the system."""
    lake = tmp_path / "lake"
    with create_lake(lake) as made, made.writing("ingest"):
        made.ingest("pictures", str(pictures), list_source(SourceSpec(str(pictures))))

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))

    goldsieve = [sys.executable, "-c", "from pipelines.cli import main; main()"]
    command = [*goldsieve, "measure", str(lake), "phash", "--engine", "inline", "--quiet"]
    stopped = subprocess.run(command, preexec_fn=full, capture_output=True, text=True, check=False)
    assert stopped.returncode == 3, stopped.stderr
    assert "goldsieve: " in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    with open_lake(lake) as measured:
        assert measured.value("SELECT count(phash) FROM wide") == 24
    data = tmp_path / "data"
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))\n"
        "from tests.pipelines.test_faults import rows, write_part\n"
        f"write_part({str(data) + '/'!r}, 'media', rows())"
    )
    failed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "StorageError: A part of media cannot be written to" in failed.stderr
    assert "File too large. What was stored before is safe" in failed.stderr
    assert not [p for p in data.rglob("*") if p.is_file()]


def test_a_clock_that_was_set_back_changes_no_order(tmp_path: Path) -> None:
    with create_lake(tmp_path / "lake") as lake, lake.writing("test"):
        schema = pa.schema({"key": pa.uuid(), "fingerprint": pa.string(), "run_id": pa.uuid(), "x": pa.int32(), "error": pa.string()})
        lake.set_current(OperatorVersion("op", "old", "media", schema))
        lake.connection.execute("UPDATE operator_versions SET recorded_at = now() + INTERVAL 1 YEAR")
        lake.set_current(OperatorVersion("op", "new", "media", schema, version="2"))
        assert lake.value("SELECT arg_max(fingerprint, recorded_at) FROM operator_versions") == "new"
        for recipe in ("first", "second"):
            select = "SELECT uuid() AS sample_id, 'gold' AS tier, CAST([] AS VARCHAR[]) AS failed_rules"
            lake.write_tiers(recipe, "digest", {}, select, uuid.uuid4(), 1)
            if recipe == "first":
                lake.connection.execute("UPDATE tierings SET applied_at = now() + INTERVAL 1 YEAR")
        assert lake.value("SELECT arg_max(recipe, applied_at) FROM tierings") == "second"
