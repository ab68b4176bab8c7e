"""Rows that Data-Juicer's `image_shape_filter` leaves of a folder of pictures, run by its own command `dj-process`. Prints JSON.

No picture is smaller than the filter wants: what is missing was lost. Default settings, two processes.
Runs in an environment of its own (see requirements-data-juicer.txt): python data_juicer_bad_file.py FOLDER
"""

import json
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path


def main() -> None:
    paths = sorted(str(path.absolute()) for path in Path(sys.argv[1]).glob("*.jpg"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = [json.dumps({"text": "<__dj__image> a picture", "images": [path]}) for path in paths]
        (folder / "given.jsonl").write_text("\n".join(lines))
        config = {
            "project_name": "one bad file",
            "dataset_path": str(folder / "given.jsonl"),
            "export_path": str(folder / "out" / "kept.jsonl"),
            "np": 2,
            "process": [{"image_shape_filter": {"min_width": 1, "min_height": 1}}],
        }
        (folder / "config.yaml").write_text(json.dumps(config))
        started = time.perf_counter()
        command = [str(Path(sys.executable).with_name("dj-process")), "--config", str(folder / "config.yaml")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        ended = time.perf_counter()
        if done.returncode:
            raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
        kept = len((folder / "out" / "kept.jsonl").read_text().splitlines())
    found = {"count": len(paths), "kept": kept, "code": done.returncode, "seconds": ended - started}
    print(json.dumps({"version": f"py-data-juicer {version('py-data-juicer')}", **found}))


if __name__ == "__main__":
    main()
