"""What a real CLIP tower sees in the training pictures: the teacher of `starter`'s heads. Slow: a third of a second a picture.

    python -m benchmarks.clip_teacher --work FOLDER [--pieces 1]

The tower is that of the encoder `clip_b16`, whose package must be installed. Embeddings are stored in pieces of 200 pictures, the next
``--pieces`` missing ones a call: run it until it says that nothing is left. Also what `clip_b16`'s heads are trained on.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.starter_data import names, pixels_of, stored
from benchmarks.starter_drawings import drawn
from manifests.errors import MediaError
from operators.encoders.clip_b16 import prepared, tower, tower_file

PIECE = 200
SPOILT = 83
"""Pictures of Flickr8k's test split of which a blurred and a recompressed copy is looked at, too."""


def wanted(files: Mapping[str, bytes | Path]) -> list[str]:
    """Names in the order in which they are looked at: what is tested, all of Flickr8k's pictures, all others, crops, degraded copies.
    Those of drawings are in no file."""
    test, train, val = ([name for name in files if name.startswith(split)] for split in ("test/", "train/", "val/"))
    copies = [f"{name}#{kind}" for name in test[:SPOILT] for kind in ("blur", "jpeg")]
    others = [name for name in files if not name.startswith(("test/", "val/", "train/"))]
    crops = [name for name in names([*train, *others]) if name.endswith("#crop0")]
    degraded = [name for name in (*names(others), *names(train[::3], 1)) if "#" in name and not name.endswith("#crop0")]
    return [*test, *copies, *train, *val, *others, *(name for name, _ in drawn()), *crops, *degraded]


def embeddings(work: Path) -> dict[str, np.ndarray]:
    """What is there: float32 (512,) of length 1 by name."""
    found = {}
    for path in sorted(work.glob("piece-*.npz")):
        with np.load(path) as piece:
            rows = piece["x"] / np.linalg.norm(piece["x"], axis=1, keepdims=True)
            found |= dict(zip(map(str, piece["names"]), rows, strict=True))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--pieces", type=int, default=1)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    files, drawings = stored(), dict(drawn())
    order = wanted(files)
    missing = [at for at in range(0, len(order), PIECE) if not (args.work / f"piece-{at:05}.npz").exists()]
    session = tower(tower_file())
    for at in missing[: args.pieces]:
        found, rows = [], []
        for name in order[at : at + PIECE]:
            try:
                pixels = drawings[name] if name in drawings else pixels_of(name, files)
                rows.append(session.run(["image_embeds"], {"pixel_values": prepared(pixels)})[0][0])
                found.append(name)
            except MediaError as error:
                print(f"{name}: {error}")
        np.savez(args.work / "new.npz", names=np.array(found), x=np.array(rows, np.float32))
        (args.work / "new.npz").rename(args.work / f"piece-{at:05}.npz")
    print(f"{max(0, len(missing) - args.pieces)} pieces of {PIECE} are left")


if __name__ == "__main__":
    main()
