"""What train_over_smooth.py learns from: the same place of a picture as it is and with a filter at three strengths, saved alike. Seeded."""

import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.aigc_defects import UInt8, banding, bokeh, fog, middle, night, saved
from benchmarks.common import DATA
from benchmarks.smoothers import KINDS, between
from manifests.errors import MediaError
from operators.base import Pixels
from operators.media import Media
from operators.patches import SIDE, chosen, patches

CROP = 5 * SIDE
PATCHES = 12
SHARES = {
    "bsds500": 0.2,
    "cid22": 0.16,
    "clic2025": 0.16,
    "kodak": 0.07,
    "urban100": 0.06,
    "sunhays80": 0.05,
    "set14": 0.01,
    "wallpapers": 0.06,
    "flickr": 0.1,
    "camera": 0.05,
    "flickr small": 0.08,
}
"""Group of pictures -> share of the examples. The first eight are folders of ``--pictures``, the others evaluation data."""
UNSEEN = ("kuwahara", "mean_shift", "flattened")
"""Kinds of smoothing the network never learns from. They paint flat areas: by choice of a region, modes of colour, a count of steps."""
OFTEN = ("bilateral", "guided_filter", "diffusion", "edge_preserving", "masked_median", "masked_gauss", "beauty", "rolling_guidance") * 4
OFTEN += ("least_squares", "reduced_between_edges", "noise_and_bilateral", "deblocking", "median") * 3
OFTEN += ("non_local_means", "noise_and_means", "wavelets", "total_variation") * 2
"""What examples are made with, each as often as it stands here; slow ones less."""
CAMERAS = ("DSCN", "kodak", "sony", "landscape", "portrait", "33-", "45-")


@dataclass(frozen=True)
class Examples:
    """``shown``: uint8 (n, 4, patches, 64, 64), the picture as it is and at three strengths; ``grain``: (n, 4, patches), see `grain_of`;
    ``kinds``, ``sources``, ``before``: by example the filter, the picture's name, and what was done to all four first; ``changed``: (n, 3)
    mean change of luma in levels."""

    shown: UInt8
    grain: np.ndarray
    kinds: np.ndarray
    sources: np.ndarray
    before: np.ndarray
    changed: np.ndarray


def held_out(name: str) -> bool:
    """A fifth of the pictures is for choosing among networks, not for learning."""
    return zlib.crc32(f"held {name}".encode()) % 5 == 0


def read(paths: list[Path], least: int = 256) -> list[tuple[str, UInt8]]:
    found = []
    for path in paths:
        try:
            pixels = np.asarray(Media(path.read_bytes()).view(Pixels()))
        except MediaError:
            continue
        if min(pixels.shape[:2]) >= least:
            found.append((path.name, pixels))
    return found


def pictures(folder: Path) -> dict[str, list[tuple[str, UInt8]]]:
    """Group -> (name, pixels). None of the benchmark's photographs is among them."""
    import skimage.data

    near, found = DATA / "near_duplicates", {}
    for group in SHARES:
        found[group] = read(sorted(p for p in (folder / group).rglob("*") if p.is_file())) if (folder / group).exists() else []
    found["flickr"] = read(sorted((near / "flickr_200px").iterdir()))
    cameras = read(sorted((near / "transforms").glob("base_images-*")))
    cameras += read([p for p in sorted((DATA / "broken/exif_samples").iterdir()) if p.name.startswith(CAMERAS)])
    cameras += [("retina", np.ascontiguousarray(skimage.data.retina()[..., :3]))]
    found["camera"] = cameras + [(f"motorcycle {i}", side) for i, side in enumerate(skimage.data.stereo_motorcycle()[:2])]
    with tarfile.open(DATA / "flickr8k/train-00000.tar") as tar:
        for member in tar.getmembers():
            if member.name.endswith(".jpg") and zlib.crc32(member.name.encode()) % 3 == 0:
                found["flickr small"].append((member.name, np.asarray(Media(tar.extractfile(member).read()).view(Pixels()))))
    return found


def examples(groups: dict[str, list[tuple[str, UInt8]]], kinds: tuple[str, ...], count: int, seed: int) -> Iterator[tuple]:
    """Rows of `Examples`, at most ``count``."""
    random = np.random.default_rng(seed)
    names = [name for name in SHARES if groups[name]]
    shares = np.array([SHARES[name] for name in names])
    for _ in range(count):
        group = names[random.choice(len(names), p=shares / shares.sum())]
        name, pixels = groups[group][random.integers(len(groups[group]))]
        kind = str(random.choice(kinds))
        before, base = prepared(cut_out(pixels, random), random)
        after, quality, chroma = random.random(), int(random.integers(70, 99)), random.random() < 0.5
        quality = 95 if random.random() < 0.3 else quality
        scale, poor = random.uniform(0.6, 0.95), int(random.integers(50, 85))

        def finished(
            x: UInt8, after: float = after, quality: int = quality, chroma: bool = chroma, scale: float = scale, poor: int = poor
        ) -> UInt8:
            if after < 0.08 and min(x.shape[:2]) * scale > 2 * SIDE:
                x = cv2.resize(x, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            elif after < 0.16:
                x = saved(x, poor)
            return cv2.cvtColor(x if after > 0.92 else saved(x, quality, chroma), cv2.COLOR_RGB2GRAY)

        strengths, own = (np.arange(3) + random.uniform(0.05, 1, 3)) / 3, random.integers(2**32)
        made = [base, *(KINDS[kind](base, s, np.random.default_rng(own)) for s in strengths)]
        shown = [finished(x) for x in made]
        cells = [patches(x) for x in shown]
        at = chosen(cells[0], PATCHES)
        if len(at) < 3:
            continue
        at = np.sort(np.resize(random.permutation(at), PATCHES))
        changed = [float(np.abs(x.astype(np.float32) - shown[0]).mean()) for x in shown[1:]]
        kept = np.stack([c[at] for c in cells])
        yield kept, grain_of(kept), kind, name, before, changed


def grain_of(shown: UInt8) -> np.ndarray:
    """Mean absolute Laplacian of those 8 x 8 blocks of every patch that are the calmer half before any filter; (4, patches) for
    ``shown`` (4, patches, 64, 64)."""
    x = shown.astype(np.float32)
    bend = np.abs(x[..., 2:, 1:-1] + x[..., :-2, 1:-1] + x[..., 1:-1, 2:] + x[..., 1:-1, :-2] - 4 * x[..., 1:-1, 1:-1])[..., 3:-3, 3:-3]
    blocks = bend.reshape(*bend.shape[:2], 7, 8, 7, 8).mean((3, 5)).reshape(*bend.shape[:2], 49)
    calm = np.argsort(blocks[0], axis=-1)[:, :24]
    return np.take_along_axis(blocks, np.broadcast_to(calm, (len(blocks), *calm.shape)), axis=-1).mean(-1).astype(np.float32)


def cut_out(pixels: UInt8, random: np.random.Generator) -> UInt8:
    """A place of at most 320 x 320. Large pictures are reduced first, most by an area filter; half of all are cut in step with JPEG."""
    if min(pixels.shape[:2]) > 1000:
        scale = max(random.choice([1, 1, 0.7, 0.5, 0.35]), (CROP + 8) / min(pixels.shape[:2]))
        way = cv2.INTER_AREA if random.random() < 0.7 else cv2.INTER_CUBIC
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=way) if scale < 1 else pixels
    step = 8 if random.random() < 0.5 else 1
    top, left = (int(random.integers(max(side - CROP, 0) // step + 1)) * step for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + CROP, left : left + CROP])


def halo(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    amount = random.uniform(0.8, 1.25) * between(0.4, 4, strength)
    return cv2.addWeighted(pixels, 1 + amount, cv2.GaussianBlur(pixels, (0, 0), random.uniform(0.8, 3)), -amount, 0)


def scaled(pixels: UInt8, random: np.random.Generator) -> UInt8:
    """One in five reduced, one in eight enlarged."""
    which = random.random()
    if which < 0.2:
        scale = max(random.uniform(0.45, 0.9), 3 * SIDE / min(pixels.shape[:2]))
        way = cv2.INTER_AREA if random.random() < 0.6 else cv2.INTER_CUBIC
        return cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=way) if scale < 1 else pixels
    if which > 0.88:
        scale, way = random.uniform(1.1, 2), int(random.choice([cv2.INTER_CUBIC, cv2.INTER_LINEAR, cv2.INTER_LANCZOS4]))
        return middle(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=way), CROP)
    return pixels


def prepared(pixels: UInt8, random: np.random.Generator) -> tuple[str, UInt8]:
    """What is done to the picture with and without filter: what cameras, weather and the way through the web do, none of it smoothing."""
    pixels = scaled(pixels, random)
    name = str(random.choice(list(BEFORE), p=list(BEFORE.values())))
    if name == "bokeh":
        pixels = bokeh(pixels, random)
    elif name == "blurred":
        pixels = cv2.GaussianBlur(pixels, (0, 0), random.uniform(0.5, 2))
    elif name == "noise":
        pixels = np.clip(pixels + random.normal(0, random.uniform(2, 10), pixels.shape), 0, 255).astype(np.uint8)
    elif name == "fog":
        pixels = fog(pixels, random)
    elif name == "night":
        pixels = night(pixels, random)
    elif name == "banding":
        pixels = banding(pixels, int(random.integers(1, 4)), random)
    elif name == "halo":
        pixels = halo(pixels, random.uniform(0, 0.9), random)
    for _ in range(2):  # saved, changed in size or not, saved again
        if random.random() < 0.4:
            pixels = saved(pixels, int(random.integers(30, 96)), random.random() < 0.3)
        if random.random() < 0.85:
            break
        pixels = scaled(pixels, random)
    return name, pixels


BEFORE = {"bokeh": 0.13, "blurred": 0.08, "noise": 0.07, "fog": 0.05, "night": 0.05, "banding": 0.03, "halo": 0.09, "nothing": 0.5}
"""What is done first -> share."""


def gather(groups: dict[str, list[tuple[str, UInt8]]], kinds: tuple[str, ...], count: int, seed: int) -> Examples:
    rows = list(zip(*examples(groups, kinds, count, seed), strict=True))
    return Examples(np.stack(rows[0]), np.stack(rows[1]), *(np.array(c) for c in rows[2:5]), changed=np.array(rows[5], np.float32))
