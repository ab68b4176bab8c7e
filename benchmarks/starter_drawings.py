"""Screenshots, charts and documents, drawn: what the style heads learn of pictures that no camera took. Seeded by their names."""

import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFont

DRAWN = 120  # of each kind


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
