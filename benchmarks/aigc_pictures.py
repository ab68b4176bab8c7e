"""The pictures `aigc_score` learns from and is tested on, both sides treated alike; used by train_aigc_score.py. Seeded by names.

No format, size, shape or resizing can tell the sides apart: training copies are a random crop of a random shape, reduced to a side that
both have, saved as JPEG, WebP or PNG of a random quality. Tests are squares of 256 pixels in JPEG of quality 90.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.aigc_defects import packaged
from benchmarks.common import DATA
from benchmarks.starter_data import flickr
from manifests.errors import MediaError
from operators.base import Pixels
from operators.media import Media
from operators.testing import encode

GENERATED = {f"aigc/matched/ai/{name}": name for name in ("flux-schnell", "openfake", "pixart", "sdxl")}
GENERATED |= {f"aigc/generated_resaved/{name}": name for name in ("gpt4o", "comfyui")}
SIDES = (200, 256, 320, 384, 448)
COPIES = {"starter": 6, "clip_b16": 1}
"""Training copies of a picture; of Flickr8k's, which are many, one, and none of drawings by people, which are only tested on."""
FLICKR, ART = {"starter": 1500, "clip_b16": 200}, {"starter": 400, "clip_b16": 150}
TRAINED_ON = ("photos", "packaged", "flickr")


def sources(art: Path | None, encoder: str) -> Iterator[tuple[str, str, Image.Image]]:
    """(name, group, picture): a generator's family, or where real pictures come from."""
    folders = [(folder, family) for folder, family in GENERATED.items()] + [
        ("photos", "photos"),
        ("aigc/matched/real", "coco"),
        ("quality", "photos"),
    ]
    for folder, group in folders:
        for path in sorted((DATA / folder).iterdir()):
            if (image := opened(path.read_bytes())) is not None:
                yield f"{folder}/{path.name}", group, image
    for i, (name, data, _) in enumerate(flickr("train")):
        if i < FLICKR[encoder] and (image := opened(data)) is not None:
            yield name, "flickr", image
    yield from ((name, "packaged", Image.fromarray(pixels)) for name, pixels in packaged())
    found = sorted(p for p in art.rglob("*") if p.suffix.lower() in (".jpg", ".png", ".webp")) if art else []
    chosen = sorted(found, key=lambda p: zlib.crc32(p.name.encode()))
    count = 0
    for path in chosen:
        if count == ART[encoder] or path.stat().st_size < 30_000:
            continue
        image = opened(path.read_bytes())
        if image is not None and min(image.size) >= 256:
            count += 1
            yield f"art/{path.name}", "art", image


def opened(data: bytes) -> Image.Image | None:
    try:
        return Image.fromarray(np.asarray(Media(data).view(Pixels(1024))))
    except MediaError:
        return None


def varied(image: Image.Image, name: str, copy: int) -> bytes:
    """A training copy; the same treatment whoever made the picture."""
    random = np.random.default_rng(zlib.crc32(f"{name}#{copy}".encode()))
    width, height = image.size
    shape, area = np.exp(random.uniform(-0.35, 0.35)), random.uniform(0.7, 1.0)
    w = min(width, height * shape) * area**0.5
    h = w / shape
    left, top = random.uniform(0, width - w), random.uniform(0, height - h)
    side = min(random.choice(SIDES), int(min(w, h)))
    scale = side / min(w, h)
    way = (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BOX)[random.integers(3)]
    small = image.resize((round(w * scale), round(h * scale)), way, box=(left, top, left + w, top + h))
    quality, kind = int(random.integers(55, 96)), random.random()
    return encode(small) if kind >= 0.85 else encode(small, "JPEG" if kind < 0.65 else "WEBP", quality=quality)


def tested(image: Image.Image) -> bytes:
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return encode(image.resize((256, 256), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side)), "JPEG", quality=90)
