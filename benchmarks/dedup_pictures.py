"""Pictures for `benchmarks.dedup`: photographs as distractors, and edited copies of some of them made by script."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

Edit = Callable[[Image.Image], bytes]


def photographs(data: Path) -> dict[str, bytes]:
    """Flickr8k: 224 x 224 JPEGs by file stem, in the order of the tars."""
    files: dict[str, bytes] = {}
    for path in sorted((data / "flickr8k").glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".jpg"):
                    stream = tar.extractfile(member)
                    assert stream is not None
                    files[Path(member.name).stem] = stream.read()
    return files


def re_encodes(data: Path) -> dict[str, bytes]:
    """Independent re-encodes at 200 px and true aspect of some of `photographs`, by the same stems."""
    return {path.stem: path.read_bytes() for path in sorted((data / "near_duplicates/flickr_200px").iterdir())}


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def webp(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=60)
    return buffer.getvalue()


def cropped(image: Image.Image, share: float) -> Image.Image:
    """``share`` of the width and height cut off at every side: 0.1 leaves 64 % of the area."""
    x, y = round(image.width * share), round(image.height * share)
    return image.crop((x, y, image.width - x, image.height - y))


def lettered(image: Image.Image) -> Image.Image:
    """Two lines of outlined white text over the lower third, as on a meme."""
    image = image.copy()
    draw, size = ImageDraw.Draw(image), image.height // 9
    for line, text in enumerate(("SAMPLE TEXT", "over the picture")):
        place = (image.width // 2, image.height - size * (3.2 - 1.4 * line))
        draw.text(place, text, "white", font_size=size, anchor="mt", stroke_width=max(size // 12, 1), stroke_fill="black")
    return image


def banded(image: Image.Image) -> Image.Image:
    """A black band with text over the lowest sixth."""
    image = image.copy()
    draw, band = ImageDraw.Draw(image), image.height // 6
    draw.rectangle((0, image.height - band, image.width, image.height), "black")
    draw.text((image.width // 2, image.height - band // 2), "www.example.org", "white", font_size=band // 2, anchor="mm")
    return image


EDITS: dict[str, Edit] = {
    "half size": lambda i: jpeg(i.resize((i.width // 2, i.height // 2), Image.Resampling.BICUBIC)),
    "quality 30": lambda i: jpeg(i, 30),
    "brightness +25": lambda i: jpeg(i.point(lambda v: min(v + 25, 255))),
    "webp": webp,
    "blur": lambda i: jpeg(i.filter(ImageFilter.GaussianBlur(1.5))),
    "grayscale": lambda i: jpeg(i.convert("L")),
    "saturation": lambda i: jpeg(ImageEnhance.Color(i).enhance(1.6)),
    "crop 3 %": lambda i: jpeg(cropped(i, 0.03)),
    "crop 10 %": lambda i: jpeg(cropped(i, 0.10)),
    "text overlay": lambda i: jpeg(lettered(i)),
    "text band": lambda i: jpeg(banded(i)),
    "border": lambda i: jpeg(ImageOps.expand(i, i.width // 16, "white")),
    "crop+band+q50": lambda i: jpeg(banded(cropped(i, 0.10)), 50),
}
"""What is made of a picture. All but these are found on request only: see `TURNS`."""

TURNS: dict[str, Edit] = {
    "flip": lambda i: jpeg(ImageOps.mirror(i)),
    "quarter turn": lambda i: jpeg(i.transpose(Image.Transpose.ROTATE_90)),
}
