"""Fixtures for tests of downloading."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.download.client import Client
from pipelines.download.fetch import Fetched, Fetcher
from pipelines.download.settings import DownloadSettings
from pipelines.progress import Reporter
from tests.pipelines.download.web import Server


@pytest.fixture
def start_server() -> Iterator[Callable[..., Server]]:
    servers: list[tuple[Server, threading.Thread]] = []

    def start(host: str = "127.0.0.1") -> Server:
        server = Server(host)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        servers.append((server, thread))
        return server

    yield start
    for server, thread in servers:
        server.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server(start_server: Callable[[], Server]) -> Server:
    return start_server()


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.download.retries.FIRST_S", 0.01)


@pytest.fixture
def get() -> Callable[..., Fetched]:
    """Fetch one URL, or several at once; loopback is allowed and nothing is tried twice unless said."""

    def fetch(*urls: str, expected: str | None = None, lookup: Any = None, **changes: Any) -> Any:
        settings = DownloadSettings(**{"allow_private": True, "retries": 0, "read_s": 5.0, "total_s": 10.0, **changes})

        async def run() -> list[Fetched]:
            async with Client(settings, **({"lookup": lookup} if lookup else {})) as client:
                fetcher = Fetcher(client)
                return await asyncio.gather(*(fetcher.fetch(url, expected) for url in urls))

        found = asyncio.run(run())
        return found[0] if len(found) == 1 else found

    return fetch


@pytest.fixture
def quiet() -> Reporter:
    return Reporter(quiet=True)


@pytest.fixture
def write_list(tmp_path: Path) -> Callable[..., Path]:
    """A CSV of URLs with captions."""

    def write(urls: list[str], name: str = "list.csv") -> Path:
        path = tmp_path / name
        path.write_text("url,caption,photographer\n" + "".join(f'{url},"picture {n}",Ann\n' for n, url in enumerate(urls)))
        return path

    return write
