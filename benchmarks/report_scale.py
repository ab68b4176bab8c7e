"""The report of a large lake: time, memory, size, and how long a browser takes to open it.

    python -m benchmarks.manifest_scale --samples 100000 --folder DIR --build     # a lake, if there is none
    python -m benchmarks.report_scale DIR/lake

Wanted for 100,000 samples: under 60 s, 2 GiB and 20 MiB; opened in under 3 s (load event and first slider drawn). Point 2.
"""

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from manifests import open_lake


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lake")
    parser.add_argument("--opens", type=int, default=3)
    options = parser.parse_args()
    with open_lake(options.lake) as lake:
        samples = lake.value("SELECT count(*) FROM refs WHERE NOT vanished")
    page = Path(tempfile.mkdtemp()) / "report.html"
    started = time.perf_counter()
    command = "from pipelines.cli import main; main()"
    subprocess.run([sys.executable, "-c", command, "report", options.lake, "-o", str(page)], check=True, stdout=subprocess.DEVNULL)
    took = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    size = page.stat().st_size / 2**20
    print(f"{samples:,} samples: {took:.1f} s (wanted < 60), {memory:,.0f} MiB at most (wanted < 2,048), {size:.2f} MiB (wanted < 20)")
    if chromium := shutil.which("chromium"):
        from playwright.sync_api import sync_playwright

        times = []
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for _ in range(options.opens):
                tab = browser.new_page()
                begun = time.perf_counter()
                tab.goto(page.as_uri(), wait_until="load")
                tab.wait_for_selector("#now span")
                times.append(time.perf_counter() - begun)
                pictures = tab.locator("figure img").count()
                tab.close()
            browser.close()
        print(f"opened in {statistics.median(times):.2f} s (wanted < 3; of {options.opens}), {pictures} pictures")
    shutil.rmtree(page.parent)


if __name__ == "__main__":
    main()
