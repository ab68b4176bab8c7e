"""The samples of the demo before they are written: crops of photographs, some of them spoiled or copied on purpose."""

import io
import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageEnhance, ImageFilter

from pipelines.demo_crops import Crop, crops
from pipelines.demo_pictures import PICTURES

SHARES = {
    # Copies of a clean sample, each with the original's caption.
    "exact copy": 10,
    "re-encoded copy": 10,
    "resized copy": 10,
    "cropped copy": 8,
    "brighter copy": 8,
    # Files that cannot or must not be decoded.
    "truncated file": 6,
    "empty file": 2,
    "decompression bomb": 1,
    # Pictures one cannot learn from.
    "blurred": 10,
    "too dark": 8,
    "tiny": 8,
    "blank": 6,
    "animated": 3,
    # Captions that do not describe the picture.
    "junk caption": 12,
    "empty caption": 4,
    "wrong caption": 10,
}
"""How many of 300 samples carry each defect; other sizes are scaled. The rest, about 184, is clean."""
COPIES = ("exact copy", "re-encoded copy", "resized copy", "cropped copy", "brighter copy")
JUNK = (
    "IMG_2034.JPG",
    "DSC00417.jpg",
    "photo-1529778873920-4da4926a72c2.png",
    "https://www.example.com/shop/item?id=88213",
    "www.example.com/gallery/2019/05/",
    "Buy now! 50% off, free shipping on all orders, click here",
    "Best price best price best price best price best price",
    "image image image image image image",
    "Click to enlarge",
    "Untitled",
    "!!! *** >>> ### <<< *** !!!",
    "Contact sales@example.com or call +1 555 0100 200 for a quote",
)


@dataclass(frozen=True)
class Sample:
    """One sample about to be written."""

    image: Image.Image | None
    data: bytes
    suffix: str
    caption: str
    crop: Crop
    defect: str = ""
    of: int | None = None  # index of the original in the list of samples


def plan(samples: int, seed: int) -> list[Sample]:
    """All samples, clean ones first, then one defect after another."""
    rng = random.Random(seed)
    supply = _all_crops(rng)
    counts = {defect: max(1, round(share * samples / 300)) for defect, share in SHARES.items()}
    out = [_encoded(crop, rng) for _, crop in zip(range(samples - sum(counts.values())), supply, strict=False)]
    # Copies keep their original's size limits: a copy of a small picture would be tiny as well.
    originals = [i for i, s in enumerate(out) if min(s.crop.image.size) >= 190]
    rng.shuffle(originals)
    for defect, count in counts.items():
        for n in range(count):
            out.append(_copy(out, originals.pop(), defect, rng) if defect in COPIES else _spoiled(next(supply), defect, n, rng))
    return out


def _all_crops(rng: random.Random) -> Iterator[Crop]:
    """One crop of each picture in turn, so that no picture dominates."""
    open_ones = [crops(picture, random.Random(rng.random())) for picture in PICTURES]
    while open_ones:
        for each in list(open_ones):
            crop = next(each, None)
            if crop is None:
                open_ones.remove(each)
            else:
                yield crop


def _encode(image: Image.Image, suffix: str, quality: int) -> bytes:
    buffer = io.BytesIO()
    match suffix:
        case "jpg":
            image.save(buffer, "JPEG", quality=quality)
        case "webp":
            image.save(buffer, "WEBP", quality=quality, method=2)
        case _:
            image.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def _encoded(crop: Crop, rng: random.Random, **changes: Any) -> Sample:
    """A crop as one of the usual files of the web."""
    image: Image.Image = changes.pop("image", crop.image)
    suffix = rng.choices(("jpg", "png", "webp"), (8, 1, 1))[0]
    data = _encode(image, suffix, rng.randint(70, 95))
    return Sample(**{"image": image, "data": data, "suffix": suffix, "caption": crop.caption, "crop": crop, **changes})


def _copy(out: list[Sample], of: int, defect: str, rng: random.Random) -> Sample:
    """A copy of ``out[of]`` as it would be met on another page of the web."""
    original = out[of]
    image = original.crop.image
    width, height = image.size
    match defect:
        case "exact copy":
            return Sample(image, original.data, original.suffix, original.caption, original.crop, defect, of)
        case "re-encoded copy":
            return Sample(image, _encode(image, "jpg", 30), "jpg", original.caption, original.crop, defect, of)
        case "resized copy":
            scale = rng.uniform(0.70, 0.85)
            image = image.resize((round(width * scale), round(height * scale)), Image.Resampling.LANCZOS)
        case "cropped copy":
            x, y = (round(side * rng.uniform(0.03, 0.05)) for side in image.size)
            left, top = rng.randint(0, x), rng.randint(0, y)
            image = image.crop((left, top, left + width - x, top + height - y))
        case "brighter copy":
            image = image.point(lambda value: min(255, value + 25))
    return _encoded(original.crop, rng, image=image, caption=original.caption, defect=defect, of=of)


def _spoiled(crop: Crop, defect: str, n: int, rng: random.Random) -> Sample:
    """A crop nobody else has, with the ``n``-th variant of a defect."""
    image = crop.image
    match defect:
        case "truncated file":
            whole = _encoded(crop, rng)
            kept = int(len(whole.data) * rng.uniform(0.3, 0.8))
            return Sample(image, whole.data[:kept], whole.suffix, crop.caption, crop, defect)
        case "empty file":
            return Sample(None, b"", "jpg", crop.caption, crop, defect)
        case "decompression bomb":
            return Sample(None, bomb(), "png", crop.caption, crop, defect)
        case "blurred":
            image = image.filter(ImageFilter.GaussianBlur(max(image.size) * rng.uniform(0.018, 0.03)))
        case "too dark":
            image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.06, 0.12))
        case "tiny":
            image = image.copy()
            image.thumbnail((rng.randint(40, 90),) * 2, Image.Resampling.LANCZOS)
        case "blank":
            shade = rng.randint(90, 255)
            image = Image.new("RGB", image.size, (shade, shade, max(0, shade - rng.randint(0, 20))))
        case "animated":
            frames = [image.quantize(64).rotate(angle) for angle in (0, 90, 180)]
            buffer = io.BytesIO()
            frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=200, loop=0)
            return Sample(image, buffer.getvalue(), "gif", crop.caption, crop, defect)
        case "junk caption":
            return _encoded(crop, rng, caption=JUNK[n % len(JUNK)], defect=defect)
        case "empty caption":
            return _encoded(crop, rng, caption="", defect=defect)
        case "wrong caption":
            other = rng.choice([p for p in PICTURES if p is not crop.picture])
            return _encoded(crop, rng, caption=f"A photo of {other.scene}.", defect=defect)
    return _encoded(crop, rng, image=image, defect=defect)


def bomb(side: int = 50_000) -> bytes:
    """A PNG of a few bytes that says it is ``side`` x ``side`` pixels: 7.5 GB once decoded, with an honest header."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 4096)) + chunk(b"IEND", b"")
