"""Text drawn with a font on real pictures: found, read, measured; watermark names and links as pure text."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from operators.testing import encode, make_batch, picture
from operators.text_area import LENGTH, READ, TextArea, watermark


def drawn(text: str, size: int = 48, canvas: tuple[int, int] = (640, 480), alpha: float = 1.0) -> Image.Image:
    plain = Image.new("RGB", canvas, (70, 110, 60))
    written = plain.copy()
    ImageDraw.Draw(written).text((30, 40), text, fill=(250, 250, 250), font=ImageFont.load_default(size))
    return Image.blend(plain, written, alpha)


def measured(*images: Image.Image, operator: TextArea | None = None) -> list[dict[str, Any]]:
    columns = (operator or TextArea()).open()(make_batch([{}] * len(images), [encode(image) for image in images]))
    assert columns["error"].null_count == len(images), columns["error"]
    return [{name: column[i].as_py() for name, column in columns.items()} for i in range(len(images))]


@pytest.fixture(autouse=True)
def _needs_rapidocr() -> None:
    pytest.importorskip("rapidocr", reason="needs the package rapidocr")


def test_reads_what_is_written_and_measures_its_area() -> None:
    plain, small, large = measured(
        Image.new("RGB", (640, 480), (70, 110, 60)), drawn("Golden sieve 1849"), drawn("Golden sieve\nCalifornia\n1849 river", 90)
    )
    assert (plain["text_area"], plain["text_lines"], plain["text_in_image"], plain["watermark_text"]) == (0.0, 0, None, None)
    assert small["text_in_image"].replace(" ", "") == "Goldensieve1849"
    assert 0.03 < small["text_area"] < 0.12 < large["text_area"] < 0.8
    assert large["text_lines"] == 3


def test_area_does_not_depend_on_resolution() -> None:
    image = drawn("Golden sieve\nCalifornia", 80)
    native, doubled, halved = measured(*(image.resize((image.width * n // 2, image.height * n // 2)) for n in (2, 4, 1)))
    assert native["text_in_image"] == doubled["text_in_image"] == halved["text_in_image"]
    assert abs(doubled["text_area"] - native["text_area"]) < 0.02
    assert abs(halved["text_area"] - native["text_area"]) < 0.04


def test_sees_a_pale_watermark() -> None:
    photo = picture(640, 480).resize((640, 480))
    marked = photo.copy()
    ImageDraw.Draw(marked).text((60, 200), "shutterstock", fill=(255, 255, 255), font=ImageFont.load_default(72))
    clean, pale = measured(photo, Image.blend(photo, marked, 0.4))
    assert clean["watermark_text"] is None
    assert pale["watermark_text"] == "shutterstock"


def test_a_page_is_bounded() -> None:
    page = Image.new("RGB", (600, 800), "white")
    for n in range(READ + 20):
        ImageDraw.Draw(page).text((15 + 290 * (n % 2), 10 + 22 * (n // 2)), f"number {n} of many lines", fill="black", font_size=15)
    (found,) = measured(page, operator=TextArea(longer_side=800))
    assert found["text_lines"] > READ
    assert len(found["text_in_image"].splitlines()) <= READ
    assert len(found["text_in_image"]) <= LENGTH


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["shutterstock"], "shutterstock"),
        (["Getty Images", "Credit: someone"], "gettyimages"),
        (["iStock by Getty"], "istock"),
        (["dreamsime.com"], "dreamstime"),  # a letter lost
        (["shutterst0ck"], "shutterstock"),
        (["视觉中国 vcg.com"], "视觉中国"),
        (["a", "www.example.org/pictures"], "www.example.org/pictures"),
        (["by photo-shop.de today"], "photo-shop.de"),
        (["@jane_doe.photo"], "@jane_doe.photo"),
        (["© Jane Doe 2019"], "© Jane Doe 2019"),
        (["STOP"], None),
        (["stocks rise", "Total: 12.50", "e.g. this", "3.5 inch", "Version 2.0"], None),
        (["alamyth of old"], None),  # short names count as words alone
        (["mail me@example"], None),
        ([], None),
    ],
)
def test_watermark(lines: list[str], expected: str | None) -> None:
    assert watermark(lines) == expected


def test_watermark_is_bounded() -> None:
    assert len(watermark(["http://" + "a" * 5000]) or "") == 100


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="longer_side"):
        TextArea(longer_side=0)
    with pytest.raises(ValueError, match="min_confidence"):
        TextArea(min_confidence=1.5)


def test_real_photographs_have_little_text(evaluation_data: Path) -> None:
    files = sorted((evaluation_data / "photos").glob("*.jpg"))[::8]
    columns = TextArea().open()(make_batch([{}] * len(files), [file.read_bytes() for file in files]))
    assert np.median(columns["text_area"].to_numpy()) == 0
    assert max(columns["text_area"].to_pylist()) < 0.2
