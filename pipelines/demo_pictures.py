"""The pictures the demo is made of: photographs inside installed packages, and what is on them."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageOps

from manifests.errors import MissingDependencyError

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as fractions of the picture."""


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
