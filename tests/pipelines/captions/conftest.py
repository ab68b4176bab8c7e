"""A lake with captions, and a server on the loopback address that answers by rule."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from manifests import Lake, create_lake
from manifests.schema import REFERENCE
from pipelines.captions.mock_server import MockServer

WORDS = ("dog", "cat", "man", "woman", "boy", "girl", "horse", "bird", "child", "farmer")


def caption(n: int) -> str:
    return f"a {WORDS[n % 10]} and a {WORDS[n // 10 % 10]} wait near a house"


@pytest.fixture
def captioned(tmp_path: Path) -> Iterator[Callable[..., Lake]]:
    """``captioned(n)``: a lake of n samples with different captions, or of the given captions; no media were read."""
    opened: list[Lake] = []

    def make(captions: int | list[str | None]) -> Lake:
        texts = [caption(n) for n in range(captions)] if isinstance(captions, int) else captions
        rows = [
            {
                "source": "s",
                "key": f"{n:04d}",
                "uri": f"/none/{n}.jpg",
                "stamp": "1",
                "modality": "image",
                "caption": text,
                "captions": [text],
            }
            for n, text in enumerate(texts)
        ]
        lake = create_lake(tmp_path / "lake")
        lake.ingest("s", "/none", iter(pa.Table.from_pylist(rows, schema=REFERENCE).to_batches()))
        opened.append(lake)
        return lake

    yield make
    for lake in opened:
        lake.close()


@pytest.fixture
def serving() -> Iterator[Callable[..., str]]:
    """``serving(MockServer(...))``: its address; the server runs in a thread until the test ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    servers: list[MockServer] = []

    def serve(server: MockServer) -> str:
        servers.append(server)
        port = asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        return f"http://127.0.0.1:{port}/v1"

    yield serve

    async def end() -> None:
        for server in servers:
            server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    asyncio.run_coroutine_threadsafe(end(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
