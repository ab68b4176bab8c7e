from pathlib import Path

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter

from operators import hash_loops
from operators.base import Gray
from operators.hash_loops import projected, small
from operators.image_quality import read_only
from operators.media import Media
from operators.phash import SMALL, PHash, dct_matrix, lanczos_matrix, matrices
from operators.testing import encode, make_batch, picture

DATA = Path(__file__).parents[3] / "shared" / "data"
PHASH_BITS, DHASH_BITS = 4, 6


def hashes(gray: np.ndarray) -> tuple[int, int]:
    return hash_loops.hashes(read_only(gray), SMALL, *matrices(*gray.shape))


def distances(image: Image.Image, gray: np.ndarray) -> tuple[int, int]:
    """Bits by which our hashes of the view differ from imagehash's on the full picture."""
    ours = hashes(gray)
    theirs = (int(str(imagehash.phash(image)), 16), int(str(imagehash.dhash(image)), 16))
    return (ours[0] ^ theirs[0]).bit_count(), (ours[1] ^ theirs[1]).bit_count()


def within(image: Image.Image, data: bytes) -> None:
    p, d = distances(image, Media(data).view(Gray(min_side=224)))
    assert p <= PHASH_BITS
    assert d <= DHASH_BITS


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket", "camera", "coins", "page", "immunohistochemistry"])
def test_agrees_with_imagehash(name):
    data = pytest.importorskip("skimage.data")
    image = Image.fromarray(getattr(data, name)()).convert("RGB")
    for options in ({"format": "PNG"}, {"format": "JPEG", "quality": 90}):
        file = encode(image, **options)
        within(image, file)


@pytest.mark.skipif(not (DATA / "photos").is_dir(), reason="evaluation data is not here")
def test_agrees_with_imagehash_on_photographs():
    files = [*sorted((DATA / "photos").glob("*.jpg")), *sorted((DATA / "near_duplicates" / "flickr_200px").glob("*.jpg"))[:40]]
    for path in files:
        image = Image.open(path).convert("RGB")
        if Media(path.read_bytes()).info.orientation == 1:
            within(image, path.read_bytes())


@given(width=st.integers(1, 700), height=st.integers(1, 700), seed=st.integers(0, 9))
@settings(max_examples=40)
def test_any_size_gives_64_bits(width, height, seed):
    gray = np.asarray(picture(width, height, seed).convert("L"))
    assert max(small(read_only(gray), SMALL).shape) < SMALL
    for value in hashes(gray):
        assert 0 <= value < 2**64
        assert len(format(value, "016x")) == 16


@pytest.mark.parametrize("level", [0, 1, 127, 128, 254, 255])
def test_flat_pictures_hash_alike(level):
    for size in ((64, 64), (301, 224), (50, 33)):
        phash, dhash = hashes(np.full(size, level, np.uint8))
        assert dhash == 0
        assert phash in (0, 1 << 63)
        assert phash == int(str(imagehash.phash(Image.new("L", size[::-1], level))), 16)


@pytest.mark.parametrize("size", [(120, 160), (33, 191), (1, 1), (5, 7)])
def test_the_compiled_sums_are_those_of_the_matrices(size):
    picture = np.random.default_rng(3).integers(0, 256, size).astype(np.float32)
    rows, columns = dct_matrix(size[0]), np.ascontiguousarray(lanczos_matrix(size[1], 9).T)
    expected = rows.astype(np.float64) @ picture.astype(np.float64) @ columns.astype(np.float64)
    np.testing.assert_allclose(projected(picture, rows, columns), expected, atol=0.05)


def test_halving_averages_four_pixels_and_drops_an_odd_last_line():
    gray = np.random.default_rng(4).integers(0, 256, (225, 301), np.uint8)
    whole = gray[:224, :300].reshape(112, 2, 150, 2).astype(int)
    assert (small(read_only(gray), SMALL) == (whole.sum((1, 3)) + 2) // 4).all()
    wide = gray[:20]
    assert (small(read_only(wide), SMALL) == (wide[:, :300].reshape(20, 150, 2).astype(int).sum(2) + 1) // 2).all()


def test_near_copies_are_near_and_others_far():
    image = picture(400, 300, seed=1)
    copies = [
        encode(image, "JPEG", quality=40),
        encode(image.resize((260, 200)), "WEBP"),
        encode(image.filter(ImageFilter.GaussianBlur(1)), "PNG"),
        encode(ImageEnhance.Brightness(image).enhance(1.2), "JPEG"),
    ]
    others = [encode(picture(400, 300, seed=s), "JPEG") for s in range(2, 12)]
    batch = make_batch([{}] * 15, [encode(image), *copies, *others])
    columns = PHash().open()(batch)
    assert columns["error"].null_count == 15
    assert columns["phash"].type == "uint64"
    for name in ("phash", "dhash"):
        values = columns[name].to_pylist()
        assert all((values[0] ^ v).bit_count() <= 8 for v in values[1:5])
        assert all((values[0] ^ v).bit_count() >= 14 for v in values[5:])
