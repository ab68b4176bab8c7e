"""The pictures `aigc_score` learns from and is tested on, both sides treated alike; used by train_aigc_score.py. Seeded by names.

No format, size, shape or resizing can tell the sides apart: training copies are a random crop of a random shape, reduced to a side that
both have, saved as JPEG, WebP or PNG of a random quality. Tests are squares of 256 pixels in JPEG of quality 90.
"""

import itertools
import re
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
from operators.hash_loops import hashes
from operators.media import Media
from operators.phash import SMALL, matrices
from operators.testing import encode

GENERATED = {f"aigc/matched/ai/{name}": name for name in ("flux-schnell", "openfake", "pixart", "sdxl")}
GENERATED |= {f"aigc/generated_resaved/{name}": name for name in ("gpt4o", "comfyui")}
MATCHED = [family for folder, family in GENERATED.items() if "matched" in folder]
FAMILIES = sorted({*GENERATED.values(), "templates"})
NOT_GENERATED = tuple(f"comfyui/{number}.jpg" for number in ("053", "054", "066", "067", "069"))
"""Of ComfyUI's pictures two are the photograph that others were made from and three are screenshots of its node graph."""
TEMPLATE = re.compile(r"(t2i|text_to_image|text_to_vector).*-1$")
"""The results of workflows that make a picture from text alone."""
SIDES = (200, 256, 320, 384, 448)
COPIES, FLICKR, ART = 6, 1500, 300
"""Training copies of a picture; of Flickr8k's, which are many, one, and none of drawings by people, whose test versions are trained on: so
many files at most from one folder."""
TRAINED_ON = ("photos", "packaged", "flickr")
ALIKE = 10
"""Pictures whose 64-bit hashes differ by so many bits or fewer are one picture, see operators/phash.py."""


def sources(art: Path | None, templates: Path | None) -> Iterator[tuple[str, str, Image.Image]]:
    """(name, group, picture): a generator's family, or where real pictures come from. Of pictures that look alike only the first."""
    seen: list[int] = []
    for name, group, image in found(art, templates):
        gray = np.asarray(image.convert("L"))
        own = hashes(gray, SMALL, *matrices(*gray.shape))[0]
        if group == "flickr" or all((own ^ other).bit_count() > ALIKE for other in seen):
            seen.append(own)
            yield name, group, image


def found(art: Path | None, templates: Path | None) -> Iterator[tuple[str, str, Image.Image]]:
    folders = [*GENERATED.items(), ("photos", "photos"), ("aigc/matched/real", "coco"), ("quality", "photos")]
    paths = [(f"{folder}/{path.name}", group, path) for folder, group in folders for path in sorted((DATA / folder).iterdir())]
    if templates:
        paths += [(path.stem, "templates", path) for path in sorted(templates.rglob("*.webp")) if TEMPLATE.search(path.stem)]
    for package in sorted(art.iterdir()) if art else ():
        every = [path for path in package.rglob("*") if path.suffix.lower() in (".jpg", ".png", ".webp") and path.stat().st_size > 30_000]
        some = sorted((str(path.relative_to(package)), path) for path in every)
        paths += [(name, f"art/{package.name}", path) for name, path in sorted(some, key=lambda one: zlib.crc32(one[0].encode()))[:ART]]
    for name, group, path in paths:
        if not name.endswith(NOT_GENERATED) and (image := opened(path.read_bytes())) is not None and min(image.size) >= 224:
            yield name, group, image
    for name, data, _ in itertools.islice(flickr("train"), FLICKR):
        if (image := opened(data)) is not None:
            yield name, "flickr", image
    yield from ((name, "packaged", Image.fromarray(pixels)) for name, pixels in packaged())


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
