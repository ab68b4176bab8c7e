"""Faces and portrait quality on two portraits that installed packages carry, and on pictures made worse in known ways."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from operators.base import Operator
from operators.faces import Faces, crop, detail
from operators.mtcnn import distinct, load_detector, squared
from operators.portrait_quality import PortraitQuality, describe
from operators.testing import encode, make_batch, picture

for module in ("mtcnnruntime", "onnxruntime"):
    pytest.importorskip(module, reason="needs the packages mtcnn-runtime and onnxruntime")


@pytest.fixture(scope="module")
def portraits() -> list[Image.Image]:
    """An astronaut, 512 x 512, and an admiral, 512 x 600."""
    data = pytest.importorskip("skimage.data", reason="needs scikit-image")
    matplotlib = pytest.importorskip("matplotlib", reason="needs matplotlib")
    admiral = Image.open(Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg")
    return [Image.fromarray(data.astronaut()), admiral.convert("RGB")]


def measured(operator: Operator, images: list[Image.Image]) -> list[dict[str, Any]]:
    columns = operator.open()(make_batch([{}] * len(images), [encode(image) for image in images]))
    assert columns["error"].null_count == len(images), columns["error"]
    return [{name: column[i].as_py() for name, column in columns.items()} for i in range(len(images))]


def test_finds_the_faces(portraits: list[Image.Image]) -> None:
    astronaut, admiral = portraits
    both = Image.new("RGB", (astronaut.width + admiral.width, 600))
    both.paste(astronaut, (0, 0))
    both.paste(admiral, (astronaut.width, 0))
    one, other, two, none = measured(Faces(), [astronaut, admiral, both, Image.new("RGB", (400, 300), "gray")])
    assert [found["face_count"] for found in (one, other, two, none)] == [1, 1, 2, 0]
    assert 0.02 < one["face_area"] < 0.06 < other["face_area"] < 0.16
    assert two["face_area"] == pytest.approx(other["face_area"] * 512 * 600 / (1024 * 600), rel=0.1)  # that of the larger
    assert none == {"face_count": 0, "face_area": 0.0, "face_confidence": None, "face_sharpness": None, "error": None}


def test_textures_are_no_faces() -> None:
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)) for _ in range(4)]
    found = measured(Faces(), [*noise, *(picture(500, 400, seed) for seed in range(6))])
    assert [one["face_count"] for one in found] == [0] * 10


def test_where_and_how_large_does_not_depend_on_resolution(portraits: list[Image.Image]) -> None:
    sizes = [
        image.resize((image.width * n // 2, image.height * n // 2), Image.Resampling.LANCZOS) for image in portraits for n in (1, 2, 5)
    ]
    found = measured(Faces(), sizes)
    assert all(one["face_count"] == 1 for one in found)
    for group in (found[:3], found[3:]):
        areas = [one["face_area"] for one in group]
        assert max(areas) < 1.25 * min(areas)


def test_an_extreme_shape_is_harmless() -> None:
    shapes = [(3000, 1), (1, 3000), (12, 12), (11, 300), (1, 1), (2500, 30)]
    assert [one["face_count"] for one in measured(Faces(), [Image.new("RGB", shape, "tan") for shape in shapes])] == [0] * 6


@pytest.mark.parametrize(
    ("change", "column", "factor"),
    [
        (lambda image: image.filter(ImageFilter.GaussianBlur(4)), "portrait_sharpness", 0.3),
        (lambda image: image.filter(ImageFilter.GaussianBlur(4)), "portrait_eye_detail", 0.3),
        (lambda image: ImageEnhance.Brightness(image).enhance(0.35), "portrait_brightness", 0.5),
        (lambda image: ImageEnhance.Contrast(image).enhance(0.4), "portrait_contrast", 0.6),
        (lambda image: image.resize((image.width // 2, image.height // 2)), "portrait_size", 0.6),
    ],
)
def test_what_is_made_worse_reads_lower(
    portraits: list[Image.Image], change: Callable[[Image.Image], Image.Image], column: str, factor: float
) -> None:
    found = measured(PortraitQuality(), [*portraits, *map(change, portraits)])
    for before, after in zip(found[:2], found[2:], strict=True):
        assert after[column] < factor * before[column]


def test_burnt_out_faces_are_clipped(portraits: list[Image.Image]) -> None:
    detect = load_detector(smallest=0.06, confidence=0.97)
    for portrait in portraits:
        (face,) = detect(np.asarray(portrait))
        assert describe(np.asarray(portrait), face, 1.0)["portrait_clipped"] < 0.05
        for factor in (2.0, 0.05):
            worse = np.asarray(ImageEnhance.Brightness(portrait).enhance(factor))
            assert describe(worse, face, 1.0)["portrait_clipped"] > 0.2


def test_size_is_of_the_stored_picture(portraits: list[Image.Image]) -> None:
    """Both are decoded from files; the larger one is shown to the operator at a reduced scale."""
    (admiral,) = measured(PortraitQuality(), [portraits[1]])
    large = portraits[1].resize((512 * 4, 600 * 4), Image.Resampling.LANCZOS)
    columns = PortraitQuality().open()(make_batch([{}], [encode(large, "JPEG", quality=95)]))
    assert columns["portrait_size"][0].as_py() == pytest.approx(4 * admiral["portrait_size"], rel=0.1)


def test_no_face_no_quality() -> None:
    (found,) = measured(PortraitQuality(), [picture(300, 300)])
    assert set(found.values()) == {None}


def test_detail_is_compared_at_one_scale() -> None:
    image = picture(800, 800).convert("L").filter(ImageFilter.GaussianBlur(6))
    values = [detail(np.asarray(image.resize((n, n), Image.Resampling.LANCZOS)), 96) for n in (200, 300, 400, 800)]
    assert max(values) < 1.5 * min(values)


def test_crop_stays_inside() -> None:
    pixels = np.zeros((10, 20, 3), np.uint8)
    assert crop(pixels, -5, -5, 8, 30).shape == (10, 8, 3)
    assert crop(pixels, 19.6, 9.7, 50, 50).shape == (1, 1, 3)
    assert crop(pixels, 5, 5, 5, 5).shape == (1, 1, 3)


def test_suppression_keeps_the_best_of_each() -> None:
    boxes = np.array([[0, 0, 10, 10, 0.8], [1, 1, 11, 11, 0.9], [50, 50, 60, 60, 0.7], [2, 2, 6, 6, 0.6]], np.float32)
    assert distinct(boxes, 0.5) == [1, 2, 3]
    assert distinct(boxes, 0.5, of_smaller=True) == [1, 2]
    assert squared(boxes)[3, :4].tolist() == [2, 2, 6, 6]


@pytest.mark.parametrize("wrong", [{"min_confidence": 1.0}, {"min_confidence": 0.1}, {"min_face": 0.0}, {"min_face": 2.0}])
@pytest.mark.parametrize("kind", [Faces, PortraitQuality])
def test_settings_are_checked(kind: type, wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be from"):
        kind(**wrong)
