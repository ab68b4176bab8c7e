"""`over_smooth` on many kinds of smoothing, also those its network never learned from.

    python -m benchmarks.over_smooth_kinds [--every 1] [--pictures FOLDER]

On the first half of the benchmark's photographs, at most 384 x 384 pixels of each, before and after a filter saved as JPEG q95; with
``--pictures`` (see train_over_smooth.py) on the pictures in it that were held out. Needs the evaluation data folder ../shared/data.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from benchmarks.aigc import as_file, auc, thresholds
from benchmarks.aigc_defects import UInt8, chance, first_half, middle, photographs
from benchmarks.smooth_sets import UNSEEN, held_out, pictures
from benchmarks.smoothers import KINDS, Smoother
from operators.media import Media
from operators.over_smooth import measure
from operators.testing import MediaRow

STRENGTHS = (1 / 6, 1 / 2, 5 / 6)


def score(pixels: UInt8) -> float:
    return float(measure(MediaRow({}, Media(as_file(pixels, "jpeg"))))["over_smooth"])


def noisy(pixels: UInt8) -> UInt8:
    return np.clip(pixels + np.random.default_rng(0).normal(0, 12, pixels.shape), 0, 255).astype(np.uint8)


def after_noise(smoother: Smoother) -> Smoother:
    return lambda pixels, strength, random: smoother(noisy(pixels), strength, random)


def held(folder: Path) -> list[tuple[str, UInt8]]:
    """At most twelve of each group; large ones reduced to half."""
    found = []
    for group, members in pictures(folder).items():
        for name, pixels in [one for one in members if held_out(one[0])][:12]:
            large = min(pixels.shape[:2]) > 1000
            found.append((f"{group}/{name}", cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) if large else pixels))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="take every so many photographs, for a quick look")
    parser.add_argument("--pictures", type=Path)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    every = held(args.pictures) if args.pictures else [one for one in photographs() if first_half(one[0])]
    photos = [(name, middle(pixels, 384)) for name, pixels in every[:: args.every]]
    clean, limit = np.array([score(pixels) for _, pixels in photos]), thresholds()["over_smooth"]
    print(f"{len(photos)} photographs; as they are, above {limit}: {(clean >= limit).mean():.2f}; AUC and share found at three strengths")
    kinds: dict[str, Callable[..., UInt8]] = dict(KINDS)
    kinds |= {f"noise, then {name}": after_noise(KINDS[name]) for name in ("non_local_means", "total_variation")}
    for kind, smoother in kinds.items():
        made = [np.array([score(smoother(p, s, chance(name + kind))) for name, p in photos]) for s in STRENGTHS]
        rising = np.mean(np.all(np.diff([clean, *made], axis=0) >= 0, axis=0))
        aucs = "/".join(f"{auc(clean, one):.2f}" for one in made)
        shares = "/".join(f"{(one >= limit).mean():.2f}" for one in made)
        print(
            f"{kind + (' (never learned from)' if kind in UNSEEN else ''):38} rises {rising:.2f}   AUC {aucs}   found {shares}", flush=True
        )


if __name__ == "__main__":
    main()
