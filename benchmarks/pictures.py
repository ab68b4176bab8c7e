"""Pictures of 640x480, or another size, for benchmarks: crops of photographs, as many as wanted, the same at every run."""

import io
import itertools
import os
import random
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from PIL import Image, ImageOps

SIZE = (640, 480)
PHOTOS = Path(__file__).parents[2] / "shared" / "data" / "photos"
FILES_PER_FOLDER = 1000


def photographs() -> list[Image.Image]:
    """What the pictures are cropped from, all of at least 320x240."""
    if PHOTOS.is_dir():
        images = [ImageOps.exif_transpose(Image.open(path)).convert("RGB") for path in sorted(PHOTOS.glob("*.jpg"))]
    else:
        from pipelines.demo_pictures import PICTURES

        images = [picture.open() for picture in PICTURES]
    return [image for image in images if image.width >= 320 and image.height >= 240]


_photographs: list[Image.Image] = []


def write_pictures(folder: Path, numbers: range, quality: int, size: tuple[int, int] = SIZE) -> int:
    """Write some of the pictures, each a crop of its own; returns their bytes. Number n is always the same picture."""
    if not _photographs:
        _photographs.extend(photographs())
    total = 0
    for n in numbers:
        rng = random.Random(n)
        image = _photographs[n % len(_photographs)]
        share = rng.uniform(0.8, 1.0) * min(image.width / 4, image.height / 3)
        width, height = share * 4, share * 3
        left, top = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
        crop = image.resize(size, Image.Resampling.LANCZOS, (left, top, left + width, top + height))
        crop = ImageOps.mirror(crop) if rng.random() < 0.5 else crop
        buffer = io.BytesIO()
        crop.save(buffer, "JPEG", quality=quality)
        path = folder / f"{n // FILES_PER_FOLDER:03d}" / f"{n:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(buffer.getvalue())
        total += buffer.tell()
    return total


def make_pictures(folder: Path, count: int, quality: int, size: tuple[int, int] = SIZE) -> None:
    jobs = [range(i, min(i + 100, count)) for i in range(0, count, 100)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        total = sum(pool.map(write_pictures, itertools.repeat(folder), jobs, itertools.repeat(quality), itertools.repeat(size)))
    print(f"{count} pictures of {size[0]}x{size[1]}, JPEG quality {quality}, {total / count / 1000:.1f} kB each on average", flush=True)


def make_many(few: Path, folder: Path, count: int) -> None:
    """``count`` files: the pictures over and over, told apart by a comment segment behind the start marker."""
    sources = sorted(few.rglob("*.jpg"))
    for n in range(count):
        data = sources[n % len(sources)].read_bytes()
        comment = f"copy {n:08d}".encode()
        path = folder / f"{n // FILES_PER_FOLDER:03d}" / f"{n:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:])


def warm(folder: Path) -> None:
    """Bring the files into the page cache."""
    for path in folder.rglob("*.jpg"):
        path.read_bytes()
