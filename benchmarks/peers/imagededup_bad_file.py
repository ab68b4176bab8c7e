"""How many pictures of a folder imagededup's PHash gives a hash. Prints JSON.

Runs in an environment of its own (see requirements-data-juicer.txt): python imagededup_bad_file.py FOLDER
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

from image_dedup_quality import imagededup_hashes


def main() -> None:
    folder = Path(sys.argv[1])
    started = time.perf_counter()
    hashes = imagededup_hashes(folder)
    found = {"count": len(list(folder.glob("*.jpg"))), "kept": len(hashes), "seconds": time.perf_counter() - started}
    print(json.dumps({"version": f"imagededup {version('imagededup')}", **found}))


if __name__ == "__main__":
    main()
