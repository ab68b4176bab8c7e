"""What servers do to a download, with a real server."""

import hashlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from manifests.errors import GoldsieveError
from tests.pipelines.download.web import Server, jpeg

Get = Callable[..., Any]


def body(fetched: Any) -> bytes:
    data = b"".join(fetched.body.pieces())
    fetched.body.close()
    return data


def test_what_is_kept_of_a_good_answer(server: Server, get: Get) -> None:
    found = get(f"{server.url}/p/7.jpg?token=s3cret#top")
    assert body(found) == jpeg(7)
    assert found.body.extension == "jpg"
    facts = dict(found.facts)
    assert facts.pop("fetched_at").startswith("20")
    assert facts == {
        "final_url": f"{server.url}/p/7.jpg?token=s3cret",
        "status": 200,
        "content_type": "image/jpeg",
        "etag": '"7"',
        "last_modified": "Mon, 05 Jan 2026 00:00:00 GMT",
        "sha256": hashlib.sha256(jpeg(7)).hexdigest(),
        "bytes": len(jpeg(7)),
        "redirects": 0,
        "attempts": 1,
    }
    assert all(agent.startswith("goldsieve/") for agent in server.agents)


@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        ("/status/404", "status", 404),
        ("/status/500", "status", 500),
        ("/status/204", "status", 204),
        ("/hang", "timeout", None),
        ("/drip", "timeout", None),
        ("/endless", "too large", None),
        ("/huge", "too large", None),
        ("/bomb", "too large", None),
        ("/loop", "redirect", None),
        ("/nowhere", "redirect", 302),
        ("/chain/6", "redirect", None),
        ("/to?ftp://127.0.0.1/x", "url", None),
        ("/to?file:///etc/passwd", "url", None),
        ("/to?http://[::1", "url", None),
        ("/to?http://x:99999/", "url", None),
        ("/html", "type", None),
        ("/empty", "type", None),
        ("/video", "type", None),
        ("/truncated", "truncated", None),
        ("/half-gzip", "truncated", None),
        ("/brotli", "encoding", None),
        ("/reset", "connection", None),
        ("/garbage", "connection", None),
    ],
)
def test_bad_answers(server: Server, get: Get, path: str, kind: str, status: int | None) -> None:
    started = time.monotonic()
    found = get(server.url + path, read_s=1.0, total_s=2.0, max_bytes=1_000_000)
    assert found.body is None
    assert (found.facts["error"], found.facts.get("status")) == (kind, status), found.facts
    assert time.monotonic() - started < 8
    assert "127.0.0.1/" not in found.facts["message"]


def test_good_answers_that_look_odd(server: Server, get: Get) -> None:
    assert body(get(f"{server.url}/mislabelled")) == jpeg(4)
    assert body(get(f"{server.url}/gzip")) == jpeg(6)
    assert body(get(f"{server.url}/chain/5")) == jpeg(3)
    video = get(f"{server.url}/video", types=("image", "video"))
    assert video.body.extension == "mp4"
    assert get(f"{server.url}/p/1.jpg", types=("video",)).facts["error"] == "type"


@pytest.mark.parametrize(
    "url",
    ["", "no url", "http://", "//host/x", "http://a b/", "http://x/\r\nHost: evil", "gopher://x/", "http://[1::2::3]/", "http://x:99999/"],
)
def test_what_is_no_url(get: Get, url: str) -> None:
    assert get(url).facts["error"] == "url"


def test_nothing_listens(get: Get) -> None:
    assert get("http://127.0.0.1:9/x.jpg").facts["error"] == "connection"
    assert get("http://nowhere.invalid/x.jpg").facts["error"] == "dns"
    assert get(f"http://{'a' * 70}.test/x.jpg").facts["error"] in ("dns", "url")


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_waited(server: Server, get: Get, status: int) -> None:
    started = time.monotonic()
    found = get(f"{server.url}/busy/{status}/1", retries=1)
    assert body(found) == jpeg(1)
    assert found.facts["attempts"] == 2
    assert time.monotonic() - started >= 1


def test_a_server_that_asks_for_too_long_is_left_alone(server: Server, get: Get) -> None:
    found = get(f"{server.url}/busy/429/3000", retries=3)
    assert found.facts["status"] == 429
    assert server.hits["/busy/429/3000"] == 1


def test_a_pause_holds_for_the_whole_host(server: Server, get: Get) -> None:
    server.robots = "User-agent: *\nAllow: /"
    started = time.monotonic()
    get(f"{server.url}/busy/503/1", *(f"{server.url}/p/{n}.jpg" for n in range(4)), retries=1, per_host=1)
    assert time.monotonic() - started >= 1
    order = list(server.hits)
    assert order.index("/busy/503/1") < order.index("/p/0.jpg")


def test_what_passes_is_tried_again_and_what_does_not_is_not(server: Server, get: Get) -> None:
    for path, hits in (("/status/500", 3), ("/truncated", 3), ("/status/404", 1), ("/html", 1), ("/loop", 6)):
        get(server.url + path, retries=2)
        assert server.hits[path] == hits, path


def test_expected_hashes(server: Server, get: Get) -> None:
    url, data = f"{server.url}/p/9.jpg", jpeg(9)
    for good in (hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest().upper()):
        assert body(get(url, expected=good)) == data
    for bad in ("0" * 32, "0" * 64):
        found = get(url, expected=bad)
        assert (found.body, found.facts["error"]) == (None, "hash")
    assert get(url, expected="g" * 32).facts["error"] == get(url, expected="12").facts["error"] == "hash"


def test_a_large_body_waits_in_a_file(server: Server, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.download.body.IN_MEMORY", 100)
    found = get(f"{server.url}/p/3.jpg")
    assert found.body.file is not None
    assert found.body.chunks == []
    assert body(found) == jpeg(3)


def test_limits_for_a_host_and_in_all(start_server: Callable[[], Server], get: Get) -> None:
    one, two = start_server(), start_server()
    one.latency = two.latency = 0.05
    get(*(f"{server.url}/p/{n}.jpg" for n in range(8) for server in (one, two)), per_host=3, concurrency=4)
    assert one.most_active + two.most_active <= 6
    assert 2 <= one.most_active <= 3  # both are one host by name: 127.0.0.1


def test_a_password_is_sent_to_its_host_and_told_to_nobody(start_server: Callable[[], Server], get: Get) -> None:
    first, second = start_server(), start_server()
    target = f"{second.url}/p/1.jpg"
    found = get(f"{first.url}/to?{target}".replace("http://", "http://ann:s3cret@", 1))
    assert found.facts["final_url"] == target
    assert "s3cret" not in str(found.facts)
    assert first.authorized[-1] == "Basic YW5uOnMzY3JldA=="
    assert second.authorized == [None, None]
    assert "s3cret" not in str(get("http://ann:s3cret@127.0.0.1:9/x?key=s3cret").facts)


def test_a_host_that_is_gone_is_given_up(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.download.hosts.GIVEN_UP_AFTER", 3)
    found = get(*(f"http://127.0.0.1:9/{n}.jpg" for n in range(8)), respect_opt_out=False, concurrency=1, per_host=1)
    assert [f.facts["error"] for f in found] == ["connection"] * 8
    assert found[0].facts["attempts"] == 1
    assert found[-1].facts["message"].startswith("not tried")
    monkeypatch.setattr("pipelines.download.hosts.ANOTHER_TRY_S", 0.0)
    found = get(*(f"http://127.0.0.1:9/{n}.jpg" for n in range(8)), respect_opt_out=False, concurrency=1, per_host=1)
    assert not any(f.facts["message"].startswith("not tried") for f in found)


def test_a_full_disk_is_no_fault_of_the_server(server: Server, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipelines.download.body.IN_MEMORY", 100)
    monkeypatch.setattr("pipelines.download.body.tempfile.TemporaryFile", full)
    with pytest.raises(GoldsieveError, match="No space left"):
        get(f"{server.url}/p/3.jpg")


def test_signed_urls_keep_their_characters(server: Server, get: Get) -> None:
    get(f"{server.url}/p/1.jpg?X-Sig=a%2Fb%7Ec+d", f"{server.url}/p/2.jpg?q=ü b")
    found = get(f"{server.url}/p/1.jpg?X-Sig=a%2Fb%7Ec+d")
    assert found.facts["final_url"].endswith("?X-Sig=a%2Fb%7Ec+d")
    assert get(f"{server.url}/p/2.jpg?q=ü b").facts["final_url"].endswith("?q=%C3%BC+b")
