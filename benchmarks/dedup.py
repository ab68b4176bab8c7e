"""Duplicates: what is found, how fast, and that the answer is always the same. Ours and other tools on the same input.

    python -m benchmarks.dedup quality  [--copies 500] [--cache DIR] [--peers DIR | --no-peers]
    python -m benchmarks.dedup pairs    [--rows 1000000 --radius 10] [--peers DIR | --no-peers]
    python -m benchmarks.dedup growth   [--rows 10000000] [--plot PNG] [--peers DIR | --no-peers]
    python -m benchmarks.dedup incremental
    python -m benchmarks.dedup semantic
    python -m benchmarks.dedup ray
    python -m benchmarks.dedup determinism

Every part says what is wanted, prints PASS or MISS and ends with exit code 1 when something was missed.
Method and figures: docs/duplicates.md.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks import dedup_quality, dedup_scale
from benchmarks.common import Checks

PARTS = {
    "quality": dedup_quality.quality,
    "pairs": dedup_scale.pairs,
    "growth": dedup_scale.growth,
    "incremental": dedup_scale.incremental,
    "semantic": dedup_scale.semantic,
    "ray": dedup_scale.ray_path,
    "determinism": dedup_scale.determinism,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*PARTS])
    parser.add_argument("--copies", type=int, default=500, help="pictures that are edited (quality)")
    parser.add_argument("--rows", type=int, help="hashes or embeddings")
    parser.add_argument("--radius", type=int, default=10, help="bits (pairs)")
    parser.add_argument("--plot", type=Path, help="PNG or SVG (growth)")
    parser.add_argument("--cache", type=Path, help="folder that keeps what was measured of the pictures, and what other tools found")
    parser.add_argument("--peers", type=Path, help="where the other tools' environments are kept (default: a temporary folder)")
    parser.add_argument("--no-peers", action="store_true", help="only Goldsieve")
    options = parser.parse_args()
    check = Checks()
    with tempfile.TemporaryDirectory() as scratch:
        PARTS[options.part](options, Path(scratch), check)
    check.end()


if __name__ == "__main__":
    main()
