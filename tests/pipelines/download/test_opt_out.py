"""What site owners say is obeyed, and what they said is kept."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pipelines.download.opt_out import opted_out
from pipelines.download.robots import Robots
from tests.pipelines.download.web import Server

Get = Callable[..., Any]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["noai"], "noai"),
        (["NoImageAI"], "noimageai"),
        (["max-image-preview: large, noindex"], "noindex"),
        (["nofollow", "none"], "none"),
        (["unavailable_after: 25 Jun 2010 15:00:00 PST, noimageindex"], "noimageindex"),
        (["goldsieve: noai"], "noai"),
        (["GoldSieve: nofollow, noai"], "noai"),
        (["*: noai"], "noai"),
        (["otherbot: noai, goldsieve: noindex"], "noindex"),
        (["otherbot: noai", "noindex"], "noindex"),
        (["otherbot: noai, noindex"], None),
        (["noarchive, nofollow, max-snippet: 5"], None),
        (["noaim"], None),
        (["", ":", ",,"], None),
    ],
)
def test_x_robots_tag(values: list[str], reason: str | None) -> None:
    assert opted_out(values, [], ["goldsieve"]) == (reason and f"X-Robots-Tag: {reason}")


def test_reservation() -> None:
    assert opted_out([], ["1"], ["goldsieve"]) == "TDM-Reservation: 1"
    assert opted_out([], ["0"], ["goldsieve"]) is None


@pytest.mark.parametrize("path", ["/tagged?noai", "/tagged?otherbot:%20noindex|goldsieve:%20noimageai", "/reserved"])
def test_headers_forbid(server: Server, get: Get, path: str) -> None:
    found = get(server.url + path)
    assert (found.body, found.facts["error"]) == (None, "opt-out")
    allowed = get(server.url + path, respect_opt_out=False)
    assert allowed.body is not None
    assert allowed.facts["opt_out"] == found.facts["message"]


def test_headers_for_another_agent(server: Server, get: Get) -> None:
    assert get(f"{server.url}/tagged?otherbot:%20noai").body is not None
    assert get(f"{server.url}/tagged?otherbot:%20noai", agents=("goldsieve", "otherbot")).facts["error"] == "opt-out"


def test_robots_txt(server: Server, get: Get) -> None:
    server.robots = "User-agent: *\nDisallow: /p/1*.jpg$\nAllow: /p/12.jpg$\n\nUser-agent: gptbot\nDisallow: /\n"
    found = get(*(f"{server.url}/p/{n}.jpg" for n in (1, 11, 12, 2)))
    assert [f.facts.get("error") for f in found] == ["robots", "robots", None, None]
    assert server.hits["/robots.txt"] == 1
    assert server.hits["/p/1.jpg"] == server.hits["/p/11.jpg"] == 0
    assert get(f"{server.url}/p/2.jpg", agents=("goldsieve", "GPTBot")).facts["error"] == "robots"
    assert get(f"{server.url}/p/1.jpg", respect_opt_out=False).body is not None


@pytest.mark.parametrize(
    ("robots", "error"),
    [(404, None), (403, None), (401, None), (500, "robots"), (429, "robots"), ("\ufeff<html>\x00" * 1000, None), ("x" * 600_000, "robots")],
)
def test_robots_txt_that_cannot_be_had(server: Server, get: Get, robots: Any, error: str | None) -> None:
    server.robots = robots
    assert get(f"{server.url}/p/2.jpg").facts.get("error") == error


def test_rules_that_could_not_be_had_are_asked_for_again(server: Server, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    server.robots, server.latency = 500, 0.02
    urls = [f"{server.url}/p/{n}.jpg" for n in range(6)]
    get(*urls, concurrency=1)
    assert server.hits["/robots.txt"] == 1
    asked: list[float] = []
    monkeypatch.setattr("pipelines.download.robots.FAULT_S", -1.0)
    monkeypatch.setattr("pipelines.download.fetch.Robots.check", _slowly(asked))
    get(*urls[:3])
    assert server.hits["/robots.txt"] == 4


def _slowly(asked: list[float]) -> Any:
    check = Robots.check

    async def one_after_the_other(self: Robots, url: Any) -> Any:
        asked.append(0.0)
        await asyncio.sleep(0.2 * len(asked))
        return await check(self, url)

    return one_after_the_other


def test_a_redirect_asks_the_robots_txt_of_its_target(start_server: Callable[[], Server], get: Get) -> None:
    open_to_all, closed = start_server(), start_server()
    closed.robots = "User-agent: goldsieve\nDisallow: /"
    assert get(f"{open_to_all.url}/to?{closed.url}/p/1.jpg").facts["error"] == "robots"
    assert closed.hits["/p/1.jpg"] == 0
