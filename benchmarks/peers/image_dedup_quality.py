"""Pairs that imagededup (PHash, Hamming 10) and Data-Juicer's `image_deduplicator` (phash) find. Prints JSON.

    python image_dedup_quality.py imagededup|data-juicer FOLDER

FOLDER has a folder ``original`` and one for each kind of edit, with equal file names for copies of the same picture. Every file
is hashed once; then each kind is looked for among all originals. Data-Juicer keeps the first of pictures with equal
hashes: its own operator computes them here, and equal ones are its pairs.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path


def imagededup_hashes(folder: Path) -> dict[str, str]:
    from imagededup.methods import PHash

    return PHash(verbose=False).encode_images(image_dir=str(folder), num_enc_workers=2)


def imagededup_pairs(hashes: dict[str, str]) -> list[tuple[str, str]]:
    from imagededup.methods import PHash

    found = PHash(verbose=False).find_duplicates(encoding_map=hashes, max_distance_threshold=10, num_dist_workers=2)
    return [(name, other) for name, others in found.items() for other in others if name < other]


def juicer_hashes(folder: Path) -> dict[str, str]:
    import datasets
    from data_juicer.core import NestedDataset
    from data_juicer.ops.deduplicator.image_deduplicator import ImageDeduplicator
    from data_juicer.utils.constant import HashKeys

    datasets.disable_caching()
    paths = sorted(folder.iterdir())
    data = NestedDataset(datasets.Dataset.from_list([{"text": "", "images": [str(path)]} for path in paths]))
    operator = ImageDeduplicator(method="phash", num_proc=2)
    hashed = data.map(operator.compute_hash, num_proc=2)
    return {path.name: value for path, value in zip(paths, hashed[HashKeys.imagehash], strict=True)}


def juicer_pairs(hashes: dict[str, str]) -> list[tuple[str, str]]:
    groups: dict[str, list[str]] = {}
    for name, value in hashes.items():
        groups.setdefault(value, []).append(name)
    return [(one, two) for names in groups.values() for i, one in enumerate(sorted(names)) for two in sorted(names)[i + 1 :]]


def main() -> None:
    tool, folder = sys.argv[1], Path(sys.argv[2])
    hashes, pairs = (imagededup_hashes, imagededup_pairs) if tool == "imagededup" else (juicer_hashes, juicer_pairs)
    started = time.perf_counter()
    by_kind = {path.name: hashes(path) for path in sorted(folder.iterdir())}
    hashed = time.perf_counter()
    originals = {f"original/{name}": value for name, value in by_kind.pop("original").items()}
    found = {kind: pairs({**originals, **{f"{kind}/{name}": value for name, value in values.items()}}) for kind, values in by_kind.items()}
    ended = time.perf_counter()
    name = "imagededup" if tool == "imagededup" else "py-data-juicer"
    print(json.dumps({"version": f"{name} {version(name)}", "hash_s": hashed - started, "pair_s": ended - hashed, "pairs": found}))


if __name__ == "__main__":
    main()
