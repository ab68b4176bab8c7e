"""Makes the pictures in docs/images from a demo: report and live pages in headless Chromium, three widths, light and dark.

python -m benchmarks.screenshots DEMO [--to docs/images]
"""

import argparse
import io
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from PIL import Image

VIEWS = ((1920, "light"), (1366, "light"), (1366, "dark"), (390, "light"), (390, "dark"))
MOST_COLOURS = 240


def save(tab: Any, path: Path) -> None:
    """A small PNG, once the pictures in sight are there: a page has few colours."""
    tab.wait_for_function("[...document.images].every(i => i.getBoundingClientRect().top > innerHeight || i.complete && i.naturalWidth)")
    image = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
    image.quantize(MOST_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1024:.0f} KB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path)
    parser.add_argument("--to", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    from playwright.sync_api import sync_playwright

    from manifests import open_lake
    from pipelines.report import write_report

    with open_lake(options.demo / "lake") as lake:
        page = write_report(lake, Path(tempfile.mkdtemp()) / "report.html", "Goldsieve report: demo")
        story = lake.value("SELECT sample_id FROM wide WHERE duplicate_kind = 'near' ORDER BY key LIMIT 1")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", "from pipelines.cli import main; main()", "serve", "lake", "--port", str(port), "--label"]
    server = subprocess.Popen(command, cwd=options.demo, stdout=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(base, timeout=5).read()
                break
            except OSError:
                time.sleep(0.2)
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            for width, scheme in VIEWS:
                context = browser.new_context(viewport={"width": width, "height": 844 if width < 500 else 900}, color_scheme=scheme)
                tab = context.new_page()
                tab.goto(page.as_uri())
                tab.wait_for_timeout(300)
                save(tab, options.to / f"report-{width}-{scheme}.png")
                tab.evaluate("document.getElementById('thresholds').scrollIntoView({behavior: 'instant'})")
                tab.wait_for_timeout(500)
                save(tab, options.to / f"report-thresholds-{width}-{scheme}.png")
                if width != 1920:
                    tab.goto(f"{base}/?where=aesthetic+%3E+4&order=aesthetic+desc", wait_until="networkidle")
                    save(tab, options.to / f"serve-{width}-{scheme}.png")
                    tab.goto(f"{base}/sample/{story}", wait_until="networkidle")
                    save(tab, options.to / f"serve-story-{width}-{scheme}.png")
                context.close()
            browser.close()
    finally:
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    main()
