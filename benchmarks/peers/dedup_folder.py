"""What imagededup (PHash, Hamming 10) or Data-Juicer (`image_deduplicator`, phash) drops of one flat folder. Prints JSON.

    python dedup_folder.py imagededup|data-juicer FOLDER

``pairs`` are (dropped, kept). imagededup: a picture, in the order of names, is kept unless a kept one had it as a duplicate, which is how
its own `find_duplicates_to_remove` chooses. Data-Juicer keeps the first of pictures with equal hashes.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

from image_dedup_quality import imagededup_hashes, juicer_hashes, juicer_pairs


def imagededup_dropped(hashes: dict[str, str]) -> list[tuple[str, str]]:
    from imagededup.methods import PHash

    found = PHash(verbose=False).find_duplicates(encoding_map=hashes, max_distance_threshold=10, num_dist_workers=2)
    dropped: dict[str, str] = {}
    for name, others in found.items():
        if name not in dropped:
            dropped.update({other: name for other in others if other not in dropped})
    return list(dropped.items())


def main() -> None:
    tool, folder = sys.argv[1], Path(sys.argv[2])
    hashes, pairs = (imagededup_hashes, imagededup_dropped) if tool == "imagededup" else (juicer_hashes, juicer_pairs)
    started = time.perf_counter()
    known = hashes(folder)
    found = pairs(known)
    ended = time.perf_counter()
    name = "imagededup" if tool == "imagededup" else "py-data-juicer"
    print(json.dumps({"version": f"{name} {version(name)}", "count": len(known), "seconds": ended - started, "pairs": found}))


if __name__ == "__main__":
    main()
