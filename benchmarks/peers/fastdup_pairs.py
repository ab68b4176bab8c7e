"""Pairs that fastdup's default model finds similar at its default threshold of 0.9, in a folder of pictures. Prints JSON.

Runs in an environment of its own (see requirements-fastdup.txt): python fastdup_pairs.py FOLDER
"""

import csv
import json
import os
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

os.environ["SENTRY_OPT_OUT"] = "True"  # it would report errors and use to its makers


def main() -> None:
    import fastdup

    folder = sys.argv[1]
    result, _ = os.dup(1), os.dup2(2, 1)  # its compiled part prints progress to standard output
    with tempfile.TemporaryDirectory() as work:
        started = time.perf_counter()
        code = fastdup.run(folder, work_dir=work, num_threads=2)
        ended = time.perf_counter()
        if code:
            raise SystemExit(f"fastdup.run returned {code}")
        pairs = []
        with open(Path(work) / "similarity.csv", newline="") as file:
            for row in csv.DictReader(file):
                pairs.append((row["from"], row["to"]))
    count = sum(path.is_file() for path in Path(folder).rglob("*"))
    found = {"version": f"fastdup {version('fastdup')}", "count": count, "seconds": ended - started, "pairs": pairs}
    os.write(result, json.dumps(found).encode())


if __name__ == "__main__":
    main()
