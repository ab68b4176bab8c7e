"""Pages in headless Chromium: what a reader sees, touches and hears."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from manifests import open_lake
from pipelines.report import write_report

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::DeprecationWarning:playwright.*", "ignore::ResourceWarning")]
WIDTHS = (1920, 1366, 390)


@pytest.fixture(scope="module")
def browser(need_program: Callable[[str], str]) -> Iterator[Any]:
    path = need_program("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(decided: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    with open_lake(decided / "lake") as lake:
        return write_report(lake, tmp_path_factory.mktemp("page") / "report.html").as_uri()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page; afterwards it must have had no error and no request beyond ``allowed``."""
    contexts, troubles = [], []

    def go(address: str, width: int = 1366, scheme: str = "light", allowed: str = "file:") -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: troubles.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith((allowed, "data:")) else troubles.append(request.url))
        page.goto(address)
        return page

    yield go
    for context in contexts:
        context.close()
    assert not troubles


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits(visit: Callable[..., Any], report: str, width: int) -> None:
    page = visit(report, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit: Callable[..., Any], report: str, scheme: str) -> None:
    page = visit(report, 1366, scheme)
    assert serious(page) == []


def serious(page: Any) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found if v["impact"] in ("serious", "critical")]


def test_every_picture_has_a_text(visit: Callable[..., Any], report: str) -> None:
    page = visit(report)
    assert page.locator("img").count() > 20
    assert page.locator("figure img:not([alt])").count() == 0
    assert page.locator('figure img[alt=""]').count() == 0


def test_sliders_count_what_sql_counts(visit: Callable[..., Any], report: str, decided: Path) -> None:
    page = visit(report)
    signals = json.loads(page.locator("#state").text_content())["signals"]
    with open_lake(decided / "lake") as lake:
        for at, one in enumerate(signals):
            part = page.locator(f".signal[data-index='{at}']")
            places = sorted({round(i * (len(one["cuts"]) - 1) / 19) for i in range(20)})
            shown = part.evaluate(
                """(part, places) => places.map((at) => {
                    const range = part.querySelector("input[type=range]");
                    range.value = at; range.dispatchEvent(new Event("input"));
                    return [Number(part.dataset.count), Number(part.querySelector("input[type=number]").value)];
                })""",
                places,
            )
            filters = ", ".join(f"count(*) FILTER ({one['signal']} {one['op']} {format(cut, 'f')})" for _, cut in shown)
            row = lake.connection.execute(
                f'SELECT {filters} FROM wide WHERE "error" IS NULL AND isfinite(CAST({one["signal"]} AS DOUBLE))'
            ).fetchone()
            assert row == tuple(count for count, _ in shown), one["signal"]


def test_moved_thresholds_say_what_tiers_would_hold(visit: Callable[..., Any], report: str, decided: Path) -> None:
    from pipelines.recipe import load_recipe
    from quality.tiers import compile_tiers

    page = visit(report)
    with open_lake(decided / "lake") as lake:
        before = lake.value("SELECT count(*) FROM wide WHERE tier = 'gold'")
        assert json.loads(page.locator("#now").get_attribute("data-counts"))[1] == before
        for rule, number in (("silver.sharp", "500"), ("gold.words", "3")):
            box = page.locator(f"article[aria-label='{rule}'] input[type=number]").first
            box.fill(number)
            box.dispatch_event("change")
        page.wait_for_timeout(100)
        command = page.locator("#text").text_content()
        sets = [part.removesuffix("'").replace("'\\''", "'") for part in command.split("--set '")[1:]]
        assert len(sets) == 2
        compiled = compile_tiers(lake.connection, load_recipe(decided / "recipe.yaml", [s.rstrip("' ") for s in sets]).tiers)
        wanted = lake.value(f"SELECT count(*) FROM ({compiled.select_sql}) WHERE tier = 'gold'")
        assert json.loads(page.locator("#now").get_attribute("data-counts"))[1] == wanted != before
        page.locator("#reset").click()
        page.wait_for_timeout(100)
        assert json.loads(page.locator("#now").get_attribute("data-counts"))[1] == before


def test_keys_and_pictures(visit: Callable[..., Any], report: str) -> None:
    page = visit(report)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.wait_for_timeout(600)
    assert page.locator(".side a[aria-current]").text_content().strip().startswith("Thresholds")
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    shot = page.locator("#failed .shot").first
    shot.scroll_into_view_if_needed()
    shot.focus()
    page.keyboard.press("Enter")
    first = page.locator("#look-key").text_content()
    assert page.locator("#look").is_visible()
    page.keyboard.press("ArrowRight")
    assert page.locator("#look-key").text_content() != first
    page.keyboard.press("Escape")
    assert not page.locator("#look").is_visible()
    slider = page.locator("#thresholds input[type=range]").first
    slider.focus()
    before = slider.input_value()
    page.keyboard.press("ArrowRight")
    assert int(slider.input_value()) == int(before) + 1
    page.emulate_media(media="print")
    assert not page.locator(".side").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_live_pages(visit: Callable[..., Any], live: str, decided: Path, scheme: str) -> None:
    with open_lake(decided / "lake") as lake:
        copy = lake.value("SELECT sample_id FROM wide WHERE is_duplicate ORDER BY key LIMIT 1")
    page = visit(f"{live}/?where=sharpness+%3E+10&order=sharpness+desc", 390, scheme, allowed=live)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(".sample img").count() > 20
    assert page.locator("img:not([alt])").count() == 0
    assert serious(page) == []
    page.goto(f"{live}/sample/{copy}")
    assert serious(page) == []
    assert page.locator("meter").count() > 10


def test_marking_with_keys(visit: Callable[..., Any], live: str, decided: Path) -> None:
    page = visit(f"{live}/?tier=gold", allowed=live)
    sample = page.locator(".sample").first
    sample.hover()
    page.keyboard.press("g")
    page.wait_for_selector(".sample[data-said=good]")
    page.reload()
    assert page.locator(".sample").first.get_attribute("data-said") == "good"


@pytest.fixture(scope="module")
def live(decided: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    import shutil
    import threading
    import time

    import uvicorn

    from pipelines.web.app import make_app
    from quality.gallery import Gallery

    folder = tmp_path_factory.mktemp("live") / "decided"
    shutil.copytree(decided, folder)
    with Gallery(folder / "lake") as gallery:
        server = uvicorn.Server(uvicorn.Config(make_app(gallery, label=True), port=0, log_level="error"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        server.should_exit = True
        thread.join(10)
