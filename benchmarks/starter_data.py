"""Pictures, captions and labels that the heads of `starter` are trained and tested on; used by train_starter.py and encoders.py.

Pictures come from the evaluation data folder ``../shared/data`` and from drawings made here; a name such as
``train/123#blur`` is a picture of the training split, blurred. All is seeded by the names.
"""

import json
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from operators.base import Pixels
from operators.media import Media
from operators.style import STYLES

DATA = Path(__file__).parents[2] / "shared" / "data"
DEGRADE = ("blur", "jpeg", "small", "noise", "dark")
FOLDERS = ("photos", "aigc/styles_sdxl_128px", "aigc/generated_resaved", "aigc/matched/real", "aigc/matched/ai", "quality")
DRAWN = 120  # screenshots, charts and documents, each


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


def names(originals: Iterable[str], degradations: int = 2, mirrored: bool = True) -> Iterator[str]:
    """The names of all pictures to look at: ``originals``, some of their degraded copies (``degradations`` of Flickr8k's, blurred and
    recompressed ones of other photographs) and the mirror images of the training split."""
    for i, name in enumerate(originals):
        yield name
        if name.startswith(("train/", "test/")):
            kinds = ("blur", "jpeg") if name.startswith("test/") else [DEGRADE[(i + k) % len(DEGRADE)] for k in range(degradations)]
        else:
            kinds = () if name.startswith("val/") or "styles" in name or "quality" in name else ("blur", "jpeg")
        yield from (f"{name}#{kind}" for kind in kinds)
        if mirrored and name.startswith("train/"):
            yield f"{name}#flip"


def pixels_of(name: str, files: Mapping[str, bytes | Path]) -> np.ndarray:
    """The picture of a name of `names`. Raises `MediaError` for one that cannot be read."""
    base, _, kind = name.partition("#")
    data = files[base]
    pixels = np.asarray(Media(data if isinstance(data, bytes) else data.read_bytes()).view(Pixels(224)))
    if kind == "flip":
        return np.ascontiguousarray(pixels[:, ::-1])
    return degrade(pixels, kind, np.random.default_rng(zlib.crc32(name.encode()))) if kind else pixels


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


def drawn() -> Iterator[tuple[str, np.ndarray]]:
    for kind, draw in (("screenshot", window), ("chart", chart), ("document", document)):
        for i in range(DRAWN):
            random = np.random.default_rng(zlib.crc32(f"{kind}{i}".encode()))
            canvas = Image.new("RGB", (400, 300), tuple(int(v) for v in random.integers(215, 256, 3)))
            draw(ImageDraw.Draw(canvas), random)
            yield f"drawn/{kind}-{i}", np.asarray(canvas.resize((224, 224), Image.Resampling.BOX))


def words(random: np.random.Generator, count: int) -> str:
    return " ".join("".join(chr(97 + int(c)) for c in random.integers(0, 26, random.integers(2, 10))) for _ in range(count))


def colour(random: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(v) for v in random.integers(0, 220, 3))
    return red, green, blue


def window(draw: ImageDraw.ImageDraw, random: np.random.Generator) -> None:
    """A program's window: title bar, side bar, buttons, rows of text."""
    draw.rectangle((0, 0, 400, 22), fill=colour(random))
    draw.rectangle((0, 22, int(random.integers(50, 120)), 300), fill=colour(random))
    for _ in range(random.integers(4, 14)):
        x, y = int(random.integers(0, 330)), int(random.integers(30, 280))
        draw.rounded_rectangle(
            (x, y, x + int(random.integers(30, 120)), y + 18),
            4,
            fill=colour(random) if random.random() < 0.5 else None,
            outline=(90, 90, 90),
        )
        draw.text((x + 4, y + 3), words(random, 1), fill="black", font=ImageFont.load_default(10))
    for y in range(30, 290, 16):
        draw.text((130, y), words(random, int(random.integers(2, 6))), fill=colour(random), font=ImageFont.load_default(10))


def chart(draw: ImageDraw.ImageDraw, random: np.random.Generator) -> None:
    """Bars, lines, points or slices, with axes and labels."""
    draw.text((120, 5), words(random, 3), fill="black", font=ImageFont.load_default(14))
    kind, count = int(random.integers(4)), int(random.integers(4, 12))
    if kind == 3:
        angles = np.cumsum(random.dirichlet(np.ones(count)) * 360)
        for start, end in zip([0, *angles[:-1]], angles, strict=True):
            draw.pieslice((90, 40, 310, 260), float(start), float(end), fill=colour(random), outline="white")
        return
    draw.line((40, 30, 40, 260, 380, 260), fill="black", width=2)
    paint = colour(random)
    places = np.linspace(55, 360, count)
    for _ in range(random.integers(1, 4)):
        values = 260 - random.uniform(10, 220, count)
        if kind == 0:
            for x, y in zip(places, values, strict=True):
                draw.rectangle((x - 8, y, x + 8, 260), fill=paint)
        elif kind == 1:
            draw.line([(float(x), float(y)) for x, y in zip(places, values, strict=True)], fill=colour(random), width=2)
        else:
            for x, y in zip(random.uniform(45, 375, 40), random.uniform(35, 255, 40), strict=True):
                draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=paint)
    for x in places:
        draw.text((float(x) - 8, 264), words(random, 1)[:4], fill="black", font=ImageFont.load_default(10))


def document(draw: ImageDraw.ImageDraw, random: np.random.Generator) -> None:
    """A page of text, with a heading and perhaps a table."""
    draw.rectangle((0, 0, 400, 300), fill="white")
    draw.text((20, 8), words(random, 4), fill="black", font=ImageFont.load_default(18))
    for y in range(36, 290, int(random.integers(11, 16))):
        draw.text((20, y), words(random, 9), fill=(40, 40, 40), font=ImageFont.load_default(int(random.integers(8, 12))))
    if random.random() < 0.4:
        for y in range(150, 280, 20):
            draw.rectangle((30, y, 370, y + 20), fill="white", outline="black")


_KEYWORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "photo",
        (
            *(
                "_photography",
                "polaroid_photo",
                "fooocus_photograph",
                "photo_film",
                "photo_glamour",
                "photo_hdr",
                "photo_iphone",
                "photo_long",
            ),
            *("photo_neon", "photo_tilt", "sai_analog", "sai_photographic", "sai_cinematic", "dufaycolor", "albumen", "calotype"),
            *("ads_automotive", "ads_real_estate", "ads_fashion", "fooocus_cinematic", "cinematic_diva"),
        ),
    ),
    ("anime", ("anime", "manga", "cel_shaded", "kawaii", "fooocus_pony", "game_pokemon")),
    (
        "3d_render",
        ("3d", "action_figure", "craft_clay", "lowpoly", "isometric", "minecraft", "fortnite", "sketchup", "terragen", "game_gta"),
    ),
    (
        "painting",
        (
            *(
                "paint",
                "impression",
                "expressionis",
                "baroque",
                "rococo",
                "renaissance",
                "cubis",
                "fauvism",
                "watercolor",
                "van_gogh",
                "pollock",
            ),
            *(
                "singer_sargent",
                "pointillism",
                "classicism",
                "surreal",
                "ukiyo",
                "sumi_e",
                "basquiat",
                "color_field",
                "alcohol_ink",
                "suprematism",
            ),
        ),
    ),
    (
        "illustration",
        (
            *(
                "comic",
                "drawing",
                "line_art",
                "vector",
                "flat_2d",
                "sketch",
                "poster",
                "doodle",
                "papercut",
                "pop_art",
                "warhol",
                "halftone",
            ),
            *(
                "illustration",
                "coloring_book",
                "sticker",
                "logo",
                "art_deco",
                "art_nouveau",
                "digital_art",
                "caricature",
                "game_",
                "woodcut",
            ),
            *("zentangle", "typography", "graffiti", "bauhaus", "shepard_fairey", "chromolith", "manuscript", "marker", "pixel"),
        ),
    ),
    (
        "other",
        (
            "mosaic",
            "stained_glass",
            "embroidery",
            "stitching",
            "porcelain",
            "texture",
            "pebble",
            "shibori",
            "suminagashi",
            "carving",
            "op_art",
        ),
    ),
    ("illustration", ("mre_", "artstyle_", "futuristic_", "dark_fantasy", "steampunk", "glitchcore", "vaporwave", "neo_", "futurism")),
    ("other", ("mk_", "papercraft")),
)
"""Words in the style names of `styles_sdxl_128px` -> label; names with none of them look like either and get none."""


def style_of(name: str) -> int | None:
    """The label (index into `STYLES`) of a picture, or None where it is not known."""
    base = name.split("#")[0]
    if base.startswith(("train/", "val/", "test/", "photos/", "aigc/matched/real", "quality/")):
        return STYLES.index("photo")
    if base.startswith("drawn/"):
        return STYLES.index("screenshot" if "screenshot" in base else "chart")
    if "styles_sdxl_128px" not in base:
        return None
    stem = Path(base).stem
    return next((STYLES.index(label) for label, found in _KEYWORDS if any(word in stem for word in found)), None)


_COMMON = {"style", "artstyle", "print", "painting", "drawing", "photo", "photography", "photographic", "futuristic", "papercraft"}


def held_out(name: str) -> bool:
    """Whether a picture is for testing alone: Flickr8k's test split, a fixed third of all others by name, never its training split."""
    base = name.split("#")[0]
    if base.startswith(("train/", "val/")):
        return False
    if "styles" in base:  # the same style has several names: artstyle_cubist, cubism
        longest = max((word for word in Path(base).stem.split("_") if word not in _COMMON), key=len, default="")
        return zlib.crc32(longest[:5].encode()) % 3 == 0
    return base.startswith("test/") or zlib.crc32(base.encode()) % 3 == 0


def by_name(names: Any) -> dict[str, int]:
    return {str(name): i for i, name in enumerate(names)}
