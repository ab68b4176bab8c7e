import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from operators.header import MediaInfo, read_info
from operators.jpeg_header import read_plain_jpeg
from operators.testing import encode, picture

DATA = Path(__file__).parents[3] / "shared" / "data"


def pillow(data: bytes) -> MediaInfo:
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        return read_info(image, "JPEG", data)


@given(
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    mode=st.sampled_from(["L", "RGB"]),
    quality=st.integers(1, 100),
    subsampling=st.integers(0, 2),
    progressive=st.booleans(),
    optimize=st.booleans(),
    comment=st.one_of(st.none(), st.binary(min_size=1, max_size=20)),
)
@settings(max_examples=60)
def test_says_what_pillow_says(width, height, mode, **options):
    options = {key: value for key, value in options.items() if value is not None}
    data = encode(picture(width, height).convert(mode), "JPEG", **options)
    assert read_plain_jpeg(data) == pillow(data)


@pytest.mark.parametrize(
    "options", [{"exif": Image.Exif()}, {"icc_profile": b"profile" * 20}, {"xmp": b"<x/>"}], ids=["exif", "icc", "xmp"]
)
def test_leaves_what_is_not_plain_to_pillow(options):
    if "exif" in options:
        options["exif"][0x0112] = 6
    assert read_plain_jpeg(encode(picture(), "JPEG", **options)) is None
    assert read_plain_jpeg(encode(picture().convert("CMYK"), "JPEG")) is None
    assert read_plain_jpeg(b"\xff\xd8\xff") is None


@given(st.data())
@settings(max_examples=300)
def test_damaged_headers_are_never_read_differently(data):
    file = bytearray(encode(picture(), "JPEG", quality=70))
    end = file.index(b"\xff\xda")
    for _ in range(data.draw(st.integers(1, 3))):
        file[data.draw(st.integers(3, end))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del file[data.draw(st.integers(3, end + 12)) :]
    found = read_plain_jpeg(bytes(file))
    try:
        expected = pillow(bytes(file))
    except Exception:  # Pillow refuses it: decoding says why
        return
    assert found is None or found == expected


@pytest.mark.skipif(not DATA.is_dir(), reason="evaluation data is not here")
def test_says_what_pillow_says_of_real_files():
    plain = 0
    for path in [*(DATA / "photos").glob("*.jpg"), *(DATA / "aigc").rglob("*.jpg")]:
        found = read_plain_jpeg(path.read_bytes())
        plain += found is not None
        assert found is None or found == pillow(path.read_bytes()), path
    assert plain > 100
