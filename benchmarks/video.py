"""Video: shots, camera movement, speed, memory, broken files. Ours and other tools on the same input.

    python -m benchmarks.video truth      [--first 1000 --videos 25] [--folder DIR] [--methods NAME ...]
    python -m benchmarks.video published
    python -m benchmarks.video camera     [--clips 400]
    python -m benchmarks.video size
    python -m benchmarks.video speed
    python -m benchmarks.video memory     [--hours 2]
    python -m benchmarks.video broken     [--fuzzed 500]

Every part says what is wanted, prints PASS or MISS and ends with exit code 1 when something was missed. Method and figures: docs/video.md.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks import video_broken, video_camera, video_shots, video_speed
from benchmarks.common import DATA, Checks

PARTS = {
    "truth": video_shots.truth_table,
    "published": video_shots.published,
    "camera": video_camera.camera,
    "size": video_camera.size,
    "speed": video_speed.speed,
    "memory": video_speed.memory_of_hours,
    "broken": video_broken.broken,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*PARTS])
    parser.add_argument("--data", type=Path, default=DATA, help="the evaluation data")
    parser.add_argument("--first", type=int, default=1000, help="seed of the first video (truth); from 1000 on of the photographs held out")
    parser.add_argument("--videos", type=int, default=25)
    parser.add_argument("--folder", type=Path, help="keeps the videos that are made (truth)")
    parser.add_argument("--methods", nargs="*", help="only these (truth)")
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--fuzzed", type=int, default=500)
    parser.add_argument("--verbose", action="store_true", help="name what was missed")
    options = parser.parse_args()
    check = Checks()
    with tempfile.TemporaryDirectory() as scratch:
        PARTS[options.part](options, Path(scratch), check)
    check.end()


if __name__ == "__main__":
    main()
