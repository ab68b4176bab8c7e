"""`goldsieve serve`: pages, labels, and what it refuses, by a real server and client."""

import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import uvicorn

from benchmarks.serve_scale import hostile
from manifests import open_lake
from pipelines.web.app import make_app
from quality.gallery import Gallery

Ask = Callable[..., tuple[int, str, dict[str, str]]]


def served(lake: Path, **options: Any) -> Iterator[tuple[Ask, int]]:
    with Gallery(lake) as gallery:
        server = uvicorn.Server(uvicorn.Config(make_app(gallery, **options), port=0, log_level="error", server_header=False))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]

        def ask(path: str, method: str = "GET", body: Any = None, **headers: str) -> tuple[int, str, dict[str, str]]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
            connection.close()
            return answer.status, text, {name.lower(): value for name, value in answer.getheaders()}

        yield ask, port
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def reading(decided: Path) -> Iterator[tuple[Ask, int]]:
    yield from served(decided / "lake")


@pytest.fixture
def labelling(decided_copy: Path) -> Iterator[tuple[Ask, int]]:
    yield from served(decided_copy / "lake", label=True, author="me")


@pytest.fixture
def guarded(decided: Path) -> Iterator[tuple[Ask, int]]:
    yield from served(decided / "lake", token="s3cret")


def ids(text: str) -> list[str]:
    return re.findall(r'figure class="sample" data-id="([0-9a-f-]{36})"', text)


def test_gallery_filters_and_queries(reading: tuple[Ask, int], decided: Path) -> None:
    ask, _ = reading
    status, text, headers = ask("/")
    assert status == 200
    assert len(ids(text)) == 60
    assert "<script>alert" not in text
    assert headers["content-security-policy"].startswith("default-src 'none'")
    with open_lake(decided / "lake") as lake:
        wanted = [
            str(r["sample_id"])
            for r in lake.rows("SELECT sample_id FROM wide WHERE sharpness > 200 AND tier = 'gold' ORDER BY sharpness DESC")
        ]
        _, text, _ = ask(f"/?tier=gold&where={quote('sharpness > 200')}&order={quote('sharpness desc')}")
        assert ids(text) == wanted[:60]
        _, text, _ = ask("/?sql=" + quote("select sample_id from wide where sharpness > 200 and tier = 'gold' order by sharpness desc"))
        assert ids(text) == wanted[:60]
        failed = lake.value("SELECT count(*) FROM wide WHERE list_contains(failed_rules, 'silver.sharp')")
        assert f">{failed} samples<" in ask("/?rule=silver.sharp")[1]
    assert "<td>gold</td>" in ask("/?sql=" + quote("select tier, count(*) from wide group by tier"))[1]
    assert ask("/?page=2")[0] == 200


def test_story_thumbnail_and_report(reading: tuple[Ask, int]) -> None:
    ask, _ = reading
    one = ids(ask("/?tier=gold")[1])[0]
    status, text, _ = ask(f"/sample/{one}")
    assert status == 200
    assert "silver.sharp" not in text
    assert "higher than" in text
    assert json.loads(ask(f"/sample/{one}/json")[1])["sample"]["sample_id"] == one
    status, picture, headers = ask(f"/thumb/{one}")
    assert (status, headers["content-type"], picture[8:12]) == (200, "image/webp", "WEBP") or status == 200
    assert ask("/report")[0] == 200
    assert ask("/static/page.css")[0] == ask("/static/serve.js")[0] == 200
    assert ask("/sample/00000000-0000-0000-0000-000000000000")[0] == 400


def test_hostile_requests_are_refused(reading: tuple[Ask, int], decided: Path) -> None:
    ask, _ = reading
    one = ids(ask("/")[1])[0]
    with open_lake(decided / "lake") as lake:
        before = lake.snapshot()
        requests = hostile(one)
        assert len(requests) >= 50
        for method, path, headers, body in requests:
            status, text, _ = ask(path, method, body, **headers)
            assert 400 <= status < 500, (method, path, status)
            assert "root:" not in text
            assert "Traceback" not in text
        assert lake.snapshot() == before


def test_labels(labelling: tuple[Ask, int], decided_copy: Path) -> None:
    ask, port = labelling
    one = ids(ask("/")[1])[0]
    mine = {"Origin": f"http://127.0.0.1:{port}"}
    assert ask("/label", "POST", {"sample_id": one, "value": "good"}, **mine)[0] == 200
    assert ask("/label", "POST", {"sample_id": one, "value": "bad"}, **mine)[0] == 200
    assert ask("/label", "POST", {"sample_id": one, "label": "blurry", "value": "yes"}, **mine)[0] == 200
    assert 'data-said="bad"' in ask(f"/sample/{one}")[1]
    for wrong in (b"", b"[]", b'{"sample_id": "x", "value": "good"}', json.dumps({"sample_id": one, "value": "x" * 300}).encode()):
        assert ask("/label", "POST", wrong, **mine)[0] == 400
    assert ask("/label", "POST", {"sample_id": one, "value": "good"}, Origin="http://evil.example")[0] == 403
    assert ask("/label", "POST", {"sample_id": one, "value": "good"})[0] == 403
    with open_lake(decided_copy / "lake") as lake:
        rows = lake.rows("SELECT label, value, author FROM labels ORDER BY created_at")
    assert [(r["label"], r["value"], r["author"]) for r in rows] == [
        ("label", "good", "me"),
        ("label", "bad", "me"),
        ("blurry", "yes", "me"),
    ]


def test_a_token_opens_the_door(guarded: tuple[Ask, int]) -> None:
    ask, _ = guarded
    assert ask("/")[0] == 401
    assert ask("/?token=wrong")[0] == 401
    assert ask("/thumb/x")[0] == 401
    status, _, headers = ask("/?token=s3cret&tier=gold")
    assert status == 303
    assert headers["location"] == "/?tier=gold"
    assert "httponly" in headers["set-cookie"].lower()
    cookie = headers["set-cookie"].split(";")[0]
    assert ask("/", Cookie=cookie)[0] == 200
    assert ask("/", Cookie="goldsieve_token=nonsense")[0] == 401


def test_a_changed_lake_is_seen(decided_copy: Path) -> None:
    from pipelines.recipe import load_recipe
    from pipelines.run import recorded_run
    from pipelines.tiering import tier

    with Gallery(decided_copy / "lake") as gallery:
        before = gallery.page(fixed={"tier": "gold"}).total
        recipe = load_recipe(decided_copy / "recipe.yaml", ["silver.sharp=sharpness >= 900"])
        with open_lake(decided_copy / "lake", read_only=False) as lake, recorded_run(lake, "tier", recipe, "inline") as (run_id, _):
            tier(lake, recipe, run_id)
        gallery.refresh()
        for _ in range(200):
            if gallery.page(fixed={"tier": "gold"}).total != before:
                break
            time.sleep(0.05)
        assert gallery.page(fixed={"tier": "gold"}).total < before
