"""Crops of the demo's pictures: parts that look different, each with a true caption."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import imagehash
from PIL import Image, ImageStat

from pipelines.demo_pictures import Box, Picture

SIDES = (128, 330)
"""Crops are this many pixels wide and high, nothing is enlarged."""
MOST_OVERLAP = 0.35
"""Two crops of one picture share at most this part of what they cover together (intersection over union) ..."""
LEAST_DISTANCE = 14
"""... and differ in at least this many of the 64 bits of their pHash: a detail and its surroundings, but no copies."""
LEAST_CONTRAST = 10
"""Crops whose luma has a lower standard deviation (of 255 levels) show only sky or wall: not what the caption says."""
PATIENCE = 400
"""Give up on a picture after so many tries in a row that brought no new crop."""


@dataclass(frozen=True)
class Crop:
    """A part of a picture with a true caption."""

    picture: Picture
    image: Image.Image
    caption: str


def crops(picture: Picture, rng: random.Random) -> Iterator[Crop]:
    """Crops of one picture that overlap little and look different, until `PATIENCE` tries in a row bring none."""
    source = picture.open()
    left, top, right, bottom = (f * s for f, s in zip(picture.area, source.size * 2, strict=True))
    taken: list[tuple[Box, imagehash.ImageHash]] = []
    misses = 0
    while misses < PATIENCE:
        misses += 1
        width = rng.randint(SIDES[0], min(SIDES[1], int(right - left)))
        height = rng.randint(max(SIDES[0], width * 2 // 3), min(SIDES[1], int(bottom - top), width * 3 // 2))
        x, y = rng.randint(int(left), int(right - width)), rng.randint(int(top), int(bottom - height))
        box = (x, y, x + width, y + height)
        if any(_overlap(box, other) > MOST_OVERLAP for other, _ in taken):
            continue
        image = source.crop(box)
        if ImageStat.Stat(image.convert("L")).stddev[0] < LEAST_CONTRAST:
            continue
        look = imagehash.phash(image)
        if any(look - other < LEAST_DISTANCE for _, other in taken):
            continue
        taken.append((box, look))
        misses = 0
        yield Crop(picture, image, _caption(picture, box, source.size, rng))


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _shared(a: Box, b: Box) -> float:
    return _area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))


def _caption(picture: Picture, box: Box, size: tuple[int, int], rng: random.Random) -> str:
    """What the crop shows: the named parts that are at least 70 % inside, else where in the scene it lies."""
    width, height = size
    fractions = (box[0] / width, box[1] / height, box[2] / width, box[3] / height)
    seen = [text for part, text in picture.parts if _shared(part, fractions) >= 0.7 * _area(part)]
    if seen:
        subject = " and ".join(seen[:2])
        template = rng.choice(("Close-up of {0}, from a photo of {1}", "{0}, detail of a picture of {1}", "A photo of {1}, showing {0}"))
    else:
        x, y = (fractions[0] + fractions[2]) / 2, (fractions[1] + fractions[3]) / 2
        row = "upper" if y < 0.4 else "lower" if y > 0.6 else "middle"
        column = " left" if x < 0.4 else " right" if x > 0.6 else ""
        subject = f"the {row}{column} part"
        template = rng.choice(("A close view of {1}, {0} of the photo", "Detail of {1}: {0} of the picture", "{1}, cropped to {0}"))
    text = template.format(subject, picture.scene)
    return text[0].upper() + text[1:] + "."


def _overlap(a: Box, b: Box) -> float:
    shared = _shared(a, b)
    return shared / (_area(a) + _area(b) - shared)
