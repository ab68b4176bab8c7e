"""Data-Juicer's `image_deduplicator` (phash) over a folder, two processes. Prints JSON.

``seconds`` is what Data-Juicer itself logs as the time of an operator: the call of the operator's ``run``.
Runs in an environment of its own (see requirements-data-juicer.txt): python data_juicer_dedup.py FOLDER
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path


def main() -> None:
    started = time.perf_counter()
    import datasets
    from data_juicer.core import NestedDataset
    from data_juicer.ops.deduplicator.image_deduplicator import ImageDeduplicator

    datasets.disable_caching()
    paths = sorted(str(path) for path in Path(sys.argv[1]).rglob("*.jpg"))
    data = NestedDataset(datasets.Dataset.from_list([{"text": "", "images": [path]} for path in paths]))
    operator = ImageDeduplicator(method="phash", num_proc=2)
    ready = time.perf_counter()
    kept = operator.run(data)
    ended = time.perf_counter()
    found = {
        "count": len(paths),
        "kept": len(kept),
        "processes": operator.runtime_np(),
        "seconds": ended - ready,
        "wall_seconds": ended - started,
        "version": f"py-data-juicer {version('py-data-juicer')}",
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
