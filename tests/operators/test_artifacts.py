"""The artifact operators on pictures with planted defects; figures on photographs come from benchmarks/aigc.py."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image

from operators import banding, missing_grain, moire, over_smooth, oversharpen_halo, texture_loss, upsampling_grid
from operators.base import Gray, Pixels
from operators.media import Media
from operators.testing import MediaRow, encode
from operators.tiles import boxes, cut

OPERATORS = {
    m.__name__.split(".")[1]: m for m in (over_smooth, missing_grain, texture_loss, moire, upsampling_grid, banding, oversharpen_halo)
}


def score(name: str, pixels: np.ndarray, format: str = "PNG", **options) -> float:
    return OPERATORS[name].measure(MediaRow({}, Media(encode(np.ascontiguousarray(pixels), format, **options))))[name]


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.coffee())


def smoothed(pixels, strength):
    return cv2.bilateralFilter(pixels, 5, 8 * strength, 3) if strength else pixels


def without_detail(pixels, strength):
    return cv2.medianBlur(pixels, 2 * strength + 1)


def striped(pixels, strength):
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    stripes = np.stack([np.cos(2 * np.pi * (0.21 * x + 0.13 * y + shift)) for shift in (0, 1 / 3, 2 / 3)], axis=-1)
    return np.clip(pixels * (1 + 0.08 * strength * stripes), 0, 255).astype(np.uint8)


def doubled(pixels, strength):
    if not strength:
        return pixels
    way = {1: cv2.INTER_CUBIC, 2: cv2.INTER_LINEAR, 3: cv2.INTER_NEAREST}[strength]
    return cv2.resize(pixels[:200, :300], None, fx=2, fy=2, interpolation=way)


def with_few_levels(pixels, strength):
    step = (1, 8, 12, 20)[strength]
    return (pixels // step * step + step // 2).astype(np.uint8)


def sharpened(pixels, strength):
    return cv2.addWeighted(pixels, 1 + 1.2 * strength, cv2.GaussianBlur(pixels, (0, 0), 2), -1.2 * strength, 0)


PLANT = {
    "over_smooth": smoothed,
    "missing_grain": smoothed,
    "texture_loss": without_detail,
    "moire": striped,
    "upsampling_grid": doubled,
    "banding": with_few_levels,
    "oversharpen_halo": sharpened,
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("file", [{"format": "PNG"}, {"format": "JPEG", "quality": 92}])
def test_scores_rise_with_the_defect(photograph, name, file):
    values = [score(name, PLANT[name](photograph, strength), **file) for strength in range(4)]
    assert values == sorted(values)
    assert values[0] < values[1] < values[2] < values[3]


@pytest.mark.parametrize("name", OPERATORS)
def test_the_same_of_a_larger_picture(photograph, name):
    """Native tiles: a picture repeated to four times its area has about the score it had."""
    planted = PLANT[name](photograph, 2)
    large = np.tile(planted, (2, 2, 1))
    assert score(name, large) == pytest.approx(score(name, planted), rel=0.35, abs=0.05)


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("pixels", [np.zeros((300, 300, 3)), np.full((300, 300, 3), 255), np.full((70, 900, 3), 128), np.zeros((9, 7, 3))])
def test_nothing_to_see_scores_nothing(name, pixels):
    assert score(name, pixels.astype(np.uint8)) == 0.0


def test_noise_is_no_defect():
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    assert score("over_smooth", noise) < 0.05
    assert score("missing_grain", noise) == 0
    assert score("upsampling_grid", noise) < 0.05
    assert score("banding", noise) < 0.5
    assert score("moire", noise) < 14


@pytest.mark.parametrize("top", [0, 1])
@pytest.mark.parametrize("left", [0, 1])
def test_doubling_is_found_at_every_crop(photograph, top, left):
    cropped = doubled(photograph, 2)[top:, left:]
    assert score("upsampling_grid", cropped) > 0.1
    assert score("upsampling_grid", cropped, "JPEG", quality=95) > 0.1


def test_compression_alone_is_no_grid(photograph):
    assert score("upsampling_grid", photograph, "JPEG", quality=50) < 0.1


@pytest.mark.parametrize("contrast", [1.0, 0.4])
def test_halos_are_found_in_faint_pictures_too(photograph, contrast):
    faint = (60 + contrast * (photograph.astype(float) - 60).clip(-60)).clip(0, 255).astype(np.uint8)
    assert score("oversharpen_halo", faint) < 0.13 < score("oversharpen_halo", sharpened(faint, 3))


@pytest.mark.parametrize("quality", [75, 95])
@pytest.mark.parametrize(
    "smoother",
    [
        lambda p: cv2.bilateralFilter(p, 9, 50, 4),
        lambda p: cv2.fastNlMeansDenoisingColored(p, None, 12, 12, 5, 11),
        lambda p: cv2.edgePreservingFilter(p, sigma_s=20, sigma_r=0.3),
        lambda p: cv2.medianBlur(p, 5),
    ],
    ids=["bilateral", "non-local means", "edge preserving", "median"],
)
def test_smoothed_photographs_score_higher(smoother, quality):
    photographs = pytest.importorskip("sklearn.datasets").load_sample_images().images
    photographs = [p[:300, :400] for p in (*photographs, pytest.importorskip("skimage.data").coffee())]
    before, after = ([score("over_smooth", f(p), "JPEG", quality=quality) for p in photographs] for f in (lambda p: p, smoother))
    assert all(a > b for a, b in zip(after, before, strict=True))
    assert np.mean(after) > np.mean(before) + 0.1


def test_skin_is_told_apart():
    face = np.ascontiguousarray(pytest.importorskip("skimage.data").astronaut()[:256, 96:352])
    smooth = cv2.bilateralFilter(face, 9, 60, 5)
    values = [over_smooth.measure(MediaRow({}, Media(encode(np.ascontiguousarray(p))))) for p in (face, smooth, face[..., ::-1])]
    before, after, blue = (v["over_smooth_skin"] for v in values)
    assert before < 0.5 < after
    assert blue is None


def test_grain_of_skin_is_told_apart():
    random = np.random.default_rng(0)
    x = np.mgrid[:300, :400][1]
    ramp = np.abs(x % 160 - 80) // 2
    shade = np.stack([160 + ramp, 115 + ramp, 95 + ramp], axis=-1).astype(float)  # skin, shaded
    shade[40::80, 40:360] = 30  # lashes: without an edge nothing tells that it is in focus
    grainy = np.clip(shade + random.normal(0, 6, shade.shape), 0, 255).astype(np.uint8)
    half = grainy.copy()
    half[:150] = shade[:150].astype(np.uint8)
    soft = cv2.GaussianBlur(shade, (0, 0), 4).astype(np.uint8)
    blue = grainy[..., ::-1].copy()
    values = [missing_grain.measure(MediaRow({}, Media(encode(p)))) for p in (grainy, half, shade.astype(np.uint8), soft, blue)]
    skins = [v["missing_grain_skin"] for v in values]
    assert skins[0] == 0
    assert skins[1:3] == [1, 1]  # the calmest fifth decides
    assert skins[3] == 0  # out of focus
    assert skins[4] is None


def test_the_network_finds_the_same_in_every_thread(photograph):
    rows = [MediaRow({}, Media(encode(smoothed(photograph, k)))) for k in range(4)] * 3
    alone = [over_smooth.measure(row) for row in rows]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(over_smooth.measure, rows)) == alone


@pytest.mark.parametrize(
    ("height", "width", "count"), [(63, 900, 0), (64, 64, 1), (256, 256, 1), (257, 256, 2), (375, 500, 4), (4000, 6000, 9)]
)
def test_tiles(height, width, count):
    found = boxes(height, width)
    assert len(found) == count
    for top, left, tall, wide in found:
        assert 0 <= top <= height - tall
        assert 0 <= left <= width - wide
        assert max(tall, wide) <= 256
        assert top % 24 == left % 24 == 0
    assert [tile.shape for tile in cut(np.zeros((height, width), np.uint8))] == [(tall, wide) for _, _, tall, wide in found]


def test_tiles_are_native_pixels():
    plane = np.arange(600 * 700, dtype=np.uint32).reshape(600, 700).astype(np.uint8)
    for (top, left, tall, wide), tile in zip(boxes(600, 700), cut(plane), strict=True):
        assert (tile == plane[top : top + tall, left : left + wide]).all()


def test_views_are_native():
    for module in OPERATORS.values():
        (cls,) = (c for c in vars(module).values() if isinstance(c, type) and hasattr(c, "adds") and c.__module__ == module.__name__)
        assert set(cls.reads.views) <= {Pixels(), Gray()}


def test_pictures_of_odd_sizes():
    for size in ((64, 64), (65, 1000), (1000, 66), (257, 511)):
        pixels = np.asarray(Image.effect_noise(size, 40).convert("RGB"))
        for name in OPERATORS:
            assert np.isfinite(score(name, pixels))
