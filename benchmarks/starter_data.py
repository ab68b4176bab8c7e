"""Pictures and captions that the heads of our encoders are trained and tested on; what is known of them is in starter_labels.py.

Pictures come from the evaluation data folder ``../shared/data`` and from starter_drawings.py; a name such as
``train/123#blur`` is a picture of the training split, blurred. All is seeded by the names.
"""

import json
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks.common import DATA
from benchmarks.starter_labels import held_out
from operators.base import Pixels
from operators.media import Media

DEGRADE = ("blur", "jpeg", "small", "noise", "dark")
FOLDERS = ("photos", "aigc/styles_sdxl_128px", "aigc/generated_resaved", "aigc/matched/real", "aigc/matched/ai", "quality")


def flickr(split: str) -> Iterator[tuple[str, bytes, list[str]]]:
    """(name, JPEG, five captions) of ``train``, ``val`` or ``test``."""
    for path in sorted((DATA / "flickr8k").glob(f"{split}-*.tar")):
        with tarfile.open(path) as tar:
            files: dict[str, dict[str, bytes]] = {}
            for member in tar:
                stem, kind = member.name.rsplit(".", 1)
                stream = tar.extractfile(member)
                files.setdefault(stem, {})[kind] = stream.read() if stream else b""
        for stem, kinds in files.items():
            yield f"{split}/{stem}", kinds["jpg"], json.loads(kinds["json"])["captions"]


def stored() -> dict[str, bytes | Path]:
    """Every picture of the data folder by name: Flickr8k's as JPEG, others as path."""
    found: dict[str, bytes | Path] = {name: data for split in ("test", "val", "train") for name, data, _ in flickr(split)}
    for folder in FOLDERS:
        found |= {str(path.relative_to(DATA)): path for path in sorted((DATA / folder).rglob("*")) if path.is_file()}
    return found


def names(originals: Iterable[str], degradations: int = 2) -> Iterator[str]:
    """The names of all pictures to look at: ``originals``, some of their degraded copies (``degradations`` of Flickr8k's, blurred and
    recompressed ones of other photographs) and of what is trained on a crop."""
    for i, name in enumerate(originals):
        yield name
        if name.startswith(("train/", "test/")):
            kinds = ("blur", "jpeg") if name.startswith("test/") else [DEGRADE[(i + k) % len(DEGRADE)] for k in range(degradations)]
        else:
            kinds = () if name.startswith("val/") or "styles" in name or "quality" in name else ("blur", "jpeg")
        yield from (f"{name}#{kind}" for kind in kinds)
        if not name.startswith("val/") and not held_out(name):
            yield f"{name}#crop0"


def pixels_of(name: str, files: Mapping[str, bytes | Path]) -> np.ndarray:
    """The picture of a name of `names`. Raises `MediaError` for one that cannot be read."""
    base, _, kind = name.partition("#")
    data = files[base]
    media, random = Media(data if isinstance(data, bytes) else data.read_bytes()), np.random.default_rng(zlib.crc32(name.encode()))
    if kind.startswith("crop"):
        return crop(Image.fromarray(np.asarray(media.view(Pixels(320)))), random)
    pixels = np.asarray(media.view(Pixels(224)))
    return degrade(pixels, kind, random) if kind else pixels


def crop(image: Image.Image, random: np.random.Generator) -> np.ndarray:
    """A part of 30 to 100 % of the picture, of another shape by a third at most, squeezed to 224 x 224; half of them mirrored."""
    (width, height), area, shape = image.size, random.uniform(0.3, 1.0), np.exp(random.uniform(-0.29, 0.29))
    across, down = min(1.0, (area * shape) ** 0.5), min(1.0, (area / shape) ** 0.5)
    left, top = random.uniform(0, 1 - across) * width, random.uniform(0, 1 - down) * height
    box = (left, top, left + across * width, top + down * height)
    pixels = np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC, box=box))
    return np.ascontiguousarray(pixels[:, ::-1]) if random.random() < 0.5 else pixels


def degrade(pixels: np.ndarray, kind: str, random: np.random.Generator) -> np.ndarray:
    """Gaussian blur (sigma 1-4 on 224 pixels), JPEG quality 4-21 (of the picture or of it twice as large), thumbnail and back, noise, or
    darkness."""
    height, width = pixels.shape[:2]
    if kind == "blur":
        return cv2.GaussianBlur(pixels, (0, 0), float(random.uniform(1, 4)) * min(height, width) / 224)
    if kind == "jpeg":
        if random.random() < 0.5:
            pixels = cv2.resize(pixels, (width * 2, height * 2), interpolation=cv2.INTER_CUBIC)
        _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(4, 22))])
        return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    if kind == "small":
        scale = float(random.uniform(0.15, 0.5))
        small = cv2.resize(pixels, (max(8, int(width * scale)), max(8, int(height * scale))), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if kind == "noise":
        return np.clip(pixels + random.normal(0, random.uniform(10, 40), pixels.shape), 0, 255).astype(np.uint8)
    return (pixels * random.uniform(0.15, 0.5)).astype(np.uint8)
