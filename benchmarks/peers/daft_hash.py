"""daft's `decode_image` and `image_hash` (phash) over a folder, its native runner on all processors. Prints JSON.

Runs in an environment of its own (see requirements-daft.txt): python daft_hash.py FOLDER
"""

import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

os.environ["DO_NOT_TRACK"] = "true"


def main() -> None:
    import daft
    from daft import col
    from daft.functions import decode_image, download, image_hash

    paths = sorted(str(path) for path in Path(sys.argv[1]).rglob("*.jpg"))
    started = time.perf_counter()
    pictures = daft.from_pydict({"path": paths}).with_column("image", decode_image(download(col("path")), on_error="null"))
    hashed = pictures.select(image_hash(col("image"), method="phash").alias("hash")).to_pydict()["hash"]
    ended = time.perf_counter()
    found = {
        "count": len(paths),
        "hashed": sum(value is not None for value in hashed),
        "seconds": ended - started,
        "version": f"daft {version('daft')}",
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
