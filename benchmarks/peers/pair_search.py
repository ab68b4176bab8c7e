"""Pairs of 64-bit hashes within a Hamming radius by imagededup or faiss, timed. Prints JSON.

python pair_search.py imagededup|faiss HASHES.npy RADIUS
"""

import json
import sys
import time
from importlib.metadata import version

import numpy as np


def imagededup(hashes: np.ndarray, radius: int) -> int:
    from imagededup.methods import PHash

    encodings = {str(i): f"{int(value):016x}" for i, value in enumerate(hashes)}
    found = PHash(verbose=False).find_duplicates(encoding_map=encodings, max_distance_threshold=radius, num_dist_workers=2)
    return sum(map(len, found.values())) // 2


def faiss(hashes: np.ndarray, radius: int) -> int:
    import faiss as library

    library.omp_set_num_threads(2)
    rows = hashes.view(np.uint8).reshape(-1, 8)
    index = library.IndexBinaryFlat(64)
    index.add(rows)
    limits, _, _ = index.range_search(rows, radius + 1)  # faiss finds what is nearer than this
    return (int(limits[-1]) - len(rows)) // 2


def main() -> None:
    tool, path, radius = sys.argv[1:]
    hashes = np.load(path)
    started = time.perf_counter()
    pairs = {"imagededup": imagededup, "faiss": faiss}[tool](hashes, int(radius))
    package = "faiss-cpu" if tool == "faiss" else tool
    print(json.dumps({"version": f"{package} {version(package)}", "seconds": time.perf_counter() - started, "pairs": pairs}))


if __name__ == "__main__":
    main()
