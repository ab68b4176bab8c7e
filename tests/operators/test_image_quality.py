import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from operators import pixel_loops
from operators.image_quality import ImageQuality, colourfulness, jpeg_quality, read_only, sharpness
from operators.media import Media
from operators.testing import encode, make_batch, picture


def measure(*files: bytes | Image.Image) -> list[dict]:
    data = [f if isinstance(f, bytes) else encode(f) for f in files]
    columns = ImageQuality().open()(make_batch([{}] * len(data), data))
    assert set(columns) == {*ImageQuality.adds.names, "error"}
    return [{name: column[i].as_py() for name, column in columns.items()} for i in range(len(data))]


def test_known_pictures():
    black, white, gray, halves = measure(
        Image.new("RGB", (300, 300), "black"),
        Image.new("RGB", (300, 300), "white"),
        Image.new("RGB", (300, 300), (51, 51, 51)),
        Image.fromarray(np.repeat(np.uint8([[0, 255]]), 150, axis=1).repeat(300, axis=0)),
    )
    assert (black["brightness"], white["brightness"]) == (0, 1)
    assert gray["brightness"] == pytest.approx(0.2)
    for flat in (black, white, gray):
        assert (flat["sharpness"], flat["contrast"], flat["entropy"], flat["colourfulness"]) == (0, 0, 0, 0)
        assert flat["is_uniform"] is True
        assert flat["border_share"] == 1
        assert flat["error"] is None
    assert halves["brightness"] == pytest.approx(0.5)
    assert halves["contrast"] == pytest.approx(0.5)
    assert halves["entropy"] == pytest.approx(1, abs=0.01)
    assert halves["is_uniform"] is False


def test_entropy_of_a_flat_histogram_is_eight_bits():
    assert pixel_loops.entropy(np.full(256, 64)) == pytest.approx(8)


@given(shape=st.tuples(st.integers(1, 40), st.integers(1, 40)), tall=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=60)
def test_compiled_sums_are_opencvs_and_numpys(shape, tall, seed):
    if tall:
        shape = (shape[0] * 60, shape[1])  # beyond the rows after which sums are emptied
    gray = (
        np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8) // 255 * 255
        if seed % 2
        else picture(*shape[::-1], seed).convert("L")
    )
    gray = read_only(np.asarray(gray))
    laplacian = cv2.Laplacian(gray, cv2.CV_16S).astype(np.int64)
    assert pixel_loops.laplacian_sums(gray) == (laplacian.sum(), (laplacian**2).sum())
    assert pixel_loops.luma_sums(gray) == (gray.sum(), (gray.astype(np.int64) ** 2).sum())
    assert (pixel_loops.histogram(gray, 1) == np.bincount(gray.ravel(), minlength=256)).all()
    assert (pixel_loops.histogram(gray, 3) == np.bincount(gray[::3, ::3].ravel(), minlength=256)).all()
    even = gray[: shape[0] & ~1, : shape[1] & ~1]
    if even.size:
        half = cv2.resize(even, (even.shape[1] // 2, even.shape[0] // 2), interpolation=cv2.INTER_AREA)
        assert (pixel_loops.halved(gray) == half).all()


def test_blur_lowers_sharpness_step_by_step():
    image = picture(640, 480)
    rows = measure(*(encode(image.filter(ImageFilter.GaussianBlur(r)), "JPEG", quality=90) for r in (0, 1, 2, 4, 8)))
    values = [row["sharpness"] for row in rows]
    assert values == sorted(values, reverse=True)
    assert values[3] < 0.1 * values[0]


def test_dark_and_dull_show():
    image = picture(400, 300)
    plain, dark, dull = measure(image, image.point(lambda v: v // 8), image.point(lambda v: 118 + v // 25))
    assert dark["brightness"] < 0.15 < plain["brightness"]
    assert dull["contrast"] < 0.25 * plain["contrast"]
    assert dull["entropy"] < plain["entropy"] - 2


def test_sharpness_compares_between_sizes():
    data = pytest.importorskip("skimage.data")
    for name in ("astronaut", "coffee", "chelsea"):
        image = Image.fromarray(getattr(data, name)())
        values = []
        for side in (224, 231, 250, 280, 299):
            scale = side / min(image.size)
            size = (round(image.width * scale), round(image.height * scale))
            values.append(sharpness(np.asarray(image.resize(size, Image.Resampling.LANCZOS).convert("L"))))
        assert max(values) / min(values) < 1.25


def whole_colourfulness(rgb: np.ndarray) -> float:
    return colourfulness(pixel_loops.opponent_sums(read_only(rgb), 1), rgb.shape[0] * rgb.shape[1])[0]


def test_colourfulness_is_hasler_and_suesstrunks():
    rgb = np.asarray(picture(120, 90))
    r, g, b = (rgb[:, :, i].astype(float) for i in range(3))
    rg, yb = r - g, 0.5 * (r + g) - b
    expected = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    assert whole_colourfulness(rgb) == pytest.approx(expected, rel=1e-6)


def test_thinning_changes_colourfulness_little():
    image = picture(440, 330)
    (row,) = measure(image)
    assert row["colourfulness"] == pytest.approx(whole_colourfulness(np.asarray(image)), rel=0.05)


def test_equally_bright_colours_are_not_uniform():
    pixels = np.zeros((240, 240, 3), np.uint8)
    pixels[:, :120], pixels[:, 120:] = (200, 0, 0), (0, 102, 0)  # the same luma
    (row,) = measure(Image.fromarray(pixels))
    assert row["contrast"] < 0.01
    assert row["is_uniform"] is False


@pytest.mark.parametrize("quality", [10, 25, 49, 50, 51, 75, 90, 95, 99, 100])
def test_jpeg_quality(quality):
    (row,) = measure(encode(picture(), "JPEG", quality=quality))
    assert row["jpeg_quality"] == quality


def test_jpeg_quality_of_foreign_tables_and_formats():
    (png,) = measure(picture())
    assert png["jpeg_quality"] is None
    table = Media(encode(picture(), "JPEG", quality=80)).info.quantization
    assert abs(jpeg_quality(tuple(min(v + i % 2, 255) for i, v in enumerate(table))) - 80) <= 3


@pytest.mark.parametrize(
    ("top", "bottom", "left", "right"), [(0, 0, 0, 0), (40, 40, 0, 0), (0, 0, 60, 60), (30, 0, 0, 80), (20, 20, 20, 20)]
)
@pytest.mark.parametrize("colour", ["black", "white"])
def test_border_share(top, bottom, left, right, colour):
    canvas = Image.new("RGB", (400, 320), colour)
    inner = picture(400 - left - right, 320 - top - bottom)
    canvas.paste(inner, (left, top))
    (row,) = measure(encode(canvas, "JPEG", quality=90))
    assert row["border_share"] == pytest.approx(1 - inner.width * inner.height / (400 * 320), abs=0.03)


def test_a_smooth_gradient_has_no_border():
    ramp = np.tile(np.arange(256, dtype=np.uint8)[:, None], (1, 256))
    (row,) = measure(Image.fromarray(ramp))
    assert row["border_share"] < 0.25


@given(width=st.integers(1, 500), height=st.integers(1, 500), seed=st.integers(0, 3), level=st.integers(0, 255))
@settings(max_examples=40)
def test_ranges_hold_for_any_size(width, height, seed, level):
    for row in measure(picture(width, height, seed), Image.new("L", (width, height), level)):
        assert row["error"] is None
        assert row["sharpness"] >= 0
        assert 0 <= row["brightness"] <= 1
        assert 0 <= row["contrast"] <= 0.5001
        assert 0 <= row["entropy"] <= 8
        assert row["colourfulness"] >= 0
        assert 0 <= row["border_share"] <= 1


def test_a_bad_file_leaves_its_neighbours_alone():
    good, bad = measure(picture(), encode(picture(300, 300), "JPEG")[:2000])
    assert good["error"] is None
    assert good["sharpness"] > 0
    assert "truncated" in bad["error"]
    assert bad["sharpness"] is None
