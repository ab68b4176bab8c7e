"""webdataset.ShardWriter: the pictures of a folder with a caption and facts each. Prints JSON.

Runs in an environment of its own (see requirements-webdataset.txt): python shard_writer.py MEGABYTES MEDIA EMPTY-FOLDER
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import webdataset


def main() -> None:
    megabytes, media, out = sys.argv[1:]
    started = time.perf_counter()
    with webdataset.ShardWriter(f"{out}/shard-%06d.tar", maxsize=128e6, verbose=0) as writer:
        for path in sorted(Path(media).iterdir()):
            facts = json.dumps({"uri": str(path)}).encode()
            writer.write({"__key__": path.stem, "jpg": path.read_bytes(), "json": facts, "txt": f"file {path.stem}"})
    ended = time.perf_counter()
    print(json.dumps({"version": f"webdataset {version('webdataset')}", "count": int(megabytes), "seconds": ended - started}))


if __name__ == "__main__":
    main()
