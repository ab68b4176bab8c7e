"""The pictures the demo is made of: photographs inside installed packages, what is on them, and crops that show different things."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import imagehash
from PIL import Image, ImageOps, ImageStat

from manifests.errors import MissingDependencyError

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as fractions of the picture."""

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
class Picture:
    """One photograph: where it is, what it shows, and which part of it is worth cropping."""

    name: str
    package: str
    path: str
    scene: str
    parts: tuple[tuple[Box, str], ...] = ()
    area: Box = (0.0, 0.0, 1.0, 1.0)  # leaves out-of-focus background and black corners aside: a clean crop shows something
    license: str = "public domain"
    author: str = ""
    scale: float = 1.0  # a picture that is soft at its full size is reduced before it is cropped

    def open(self) -> Image.Image:
        """The picture as RGB."""
        spec = find_spec(self.package)
        if spec is None or spec.origin is None:
            raise MissingDependencyError(
                f"The demo is made of pictures that {self.package} carries, and it is not installed: pip install 'goldsieve[demo]'"
            )
        file = Path(spec.origin).parent / self.path
        if not file.is_file():
            raise MissingDependencyError(
                f"{file} is missing from the installed {self.package}: pip install --force-reinstall 'goldsieve[demo]'"
            )
        with Image.open(file) as image:
            return ImageOps.scale(image.convert("RGB"), self.scale, Image.Resampling.LANCZOS)


def _skimage(
    name: str,
    scene: str,
    *parts: tuple[Box, str],
    area: Box = (0, 0, 1, 1),
    license: str,
    author: str,
    suffix: str = "png",
    scale: float = 1.0,
) -> Picture:
    return Picture(name, "skimage", f"data/{name}.{suffix}", scene, parts, area, license, author, scale)


PICTURES = (
    _skimage(
        "astronaut",
        "a smiling astronaut in an orange space suit",
        ((0.33, 0.05, 0.60, 0.36), "the astronaut's smiling face"),
        ((0.00, 0.00, 0.18, 0.50), "a flag with stars and stripes"),
        ((0.70, 0.00, 0.92, 0.45), "a model of a space shuttle"),
        ((0.24, 0.66, 0.42, 0.84), "a round mission patch"),
        ((0.55, 0.66, 0.98, 1.00), "a helmet with a black visor"),
        license="public domain",
        author="NASA",
    ),
    _skimage("brick", "a wall of long narrow bricks in black and white", license="CC0-1.0", author="CC0Textures"),
    _skimage(
        "camera",
        "a man in a dark coat with a film camera on a tripod, in black and white",
        ((0.31, 0.10, 0.54, 0.38), "the man's head seen from the side"),
        ((0.48, 0.24, 0.66, 0.50), "the camera"),
        ((0.45, 0.58, 0.80, 1.00), "the legs of the tripod on the grass"),
        ((0.66, 0.20, 1.00, 0.45), "buildings on the horizon"),
        license="CC0-1.0",
        author="Lav Varshney",
    ),
    _skimage(
        "chelsea",
        "a tabby cat with green eyes",
        ((0.30, 0.28, 0.48, 0.52), "a green eye of the cat"),
        ((0.64, 0.35, 0.78, 0.57), "the other green eye of the cat"),
        ((0.50, 0.68, 0.66, 0.90), "the cat's nose"),
        ((0.35, 0.00, 0.75, 0.28), "the stripes on the cat's forehead"),
        area=(0.10, 0.00, 0.82, 1.00),
        license="CC0-1.0",
        author="Stefan van der Walt",
    ),
    _skimage(
        "coffee",
        "a cup of coffee on a red saucer on a wooden table",
        ((0.30, 0.05, 0.68, 0.50), "the white rim of the cup"),
        ((0.53, 0.58, 0.68, 0.82), "a teaspoon"),
        ((0.31, 0.55, 0.47, 0.78), "the handle of the cup"),
        license="CC0-1.0",
        author="Rachel Michetti",
    ),
    _skimage(
        "coins", "rows of ancient Greek coins in black and white", license="no known copyright restrictions", author="Brooklyn Museum"
    ),
    _skimage("grass", "a dense lawn of grass seen from above in black and white", license="CC0-1.0", author="CC0Textures"),
    _skimage("gravel", "small sharp stones of a gravel path in black and white", license="CC0-1.0", author="CC0Textures"),
    _skimage(
        "ihc",
        "tissue with stained glands under a microscope",
        ((0.00, 0.00, 0.50, 0.48), "a large brown gland"),
        ((0.49, 0.62, 0.76, 0.95), "a small round gland"),
        ((0.30, 0.52, 0.50, 0.85), "blue cell nuclei between the glands"),
        license="no known copyright restrictions",
        author="Center for Microscopy and Molecular Imaging",
    ),
    _skimage(
        "moon",
        "the grey surface of the moon",
        ((0.18, 0.10, 0.30, 0.23), "a sharp round crater"),
        ((0.57, 0.16, 0.74, 0.36), "a dark crater on a bright hill"),
        ((0.44, 0.76, 0.58, 0.91), "a group of dark pits"),
        license="not stated",
        author="not stated",
    ),
    _skimage(
        "motorcycle_left",
        "a red motorcycle parked in a garage",
        ((0.17, 0.46, 0.37, 0.80), "the rear wheel"),
        ((0.70, 0.58, 0.93, 0.92), "the front wheel"),
        ((0.47, 0.50, 0.64, 0.76), "the engine"),
        ((0.47, 0.10, 0.95, 0.34), "shelves full of boxes"),
        license="not stated",
        author="Middlebury College",
    ),
    _skimage("hubble_deep_field", "many distant galaxies on a black sky", license="public domain", author="NASA", suffix="jpg"),
    _skimage(
        "retina",
        "the orange-red retina of a human eye with blood vessels",
        ((0.10, 0.38, 0.25, 0.54), "the bright optic disc"),
        ((0.43, 0.43, 0.55, 0.56), "the darker macula"),
        area=(0.13, 0.13, 0.87, 0.87),
        license="CC0-1.0",
        author="Mikael Häggström",
        suffix="jpg",
        scale=0.35,
    ),
    _skimage(
        "rocket",
        "a white rocket on its launch pad at dusk",
        ((0.47, 0.32, 0.54, 0.85), "the rocket"),
        ((0.25, 0.45, 0.33, 0.90), "a steel lattice tower"),
        ((0.10, 0.78, 0.40, 1.00), "bright flood lights"),
        ((0.66, 0.80, 0.74, 1.00), "a bright star-shaped lamp"),
        area=(0.00, 0.28, 1.00, 1.00),
        license="public domain",
        author="SpaceX",
        suffix="jpg",
    ),
    Picture(
        "china",
        "sklearn",
        "datasets/images/china.jpg",
        "a Chinese pagoda above a lake",
        (
            ((0.15, 0.06, 0.50, 0.32), "the pagoda's pointed roof"),
            ((0.12, 0.56, 0.54, 0.88), "the pagoda's red balconies"),
            ((0.56, 0.66, 0.94, 1.00), "green trees"),
        ),
        area=(0.02, 0.02, 0.66, 1.00),
        license="CC-BY-2.0",
        author="danielbuechele",
    ),
    Picture(
        "flower",
        "sklearn",
        "datasets/images/flower.jpg",
        "an orange dahlia in front of dark green leaves",
        (((0.28, 0.20, 0.68, 0.82), "the whole flower head"), ((0.42, 0.40, 0.56, 0.60), "the red centre of the flower")),
        area=(0.20, 0.12, 0.74, 1.00),
        license="CC-BY-2.0",
        author="vultilion",
    ),
    Picture(
        "grace_hopper",
        "matplotlib",
        "mpl-data/sample_data/grace_hopper.jpg",
        "an elderly officer in a navy uniform in front of a flag",
        (
            ((0.32, 0.18, 0.72, 0.52), "the officer's face with glasses"),
            ((0.30, 0.04, 0.74, 0.24), "the cap with a golden badge"),
            ((0.62, 0.80, 0.90, 0.90), "a row of coloured ribbons"),
            ((0.00, 0.02, 0.28, 0.50), "white stars on a flag"),
            ((0.14, 0.80, 0.35, 0.88), "a name tag"),
        ),
        license="public domain",
        author="US Navy",
    ),
)


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
