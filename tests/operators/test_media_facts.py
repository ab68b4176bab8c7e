import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from operators.base import Operator, settings
from operators.image_quality import ImageQuality
from operators.media_facts import MediaFacts, iso_time
from operators.phash import PHash
from operators.testing import encode, make_batch, picture


def facts(*files: bytes | None) -> list[dict]:
    columns = MediaFacts().open()(make_batch([{}] * len(files), list(files)))
    assert set(columns) == {*MediaFacts.adds.names, "error"}
    return [{name: column[i].as_py() for name, column in columns.items()} for i in range(len(files))]


def test_camera_fields():
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131], exif[0x0112] = "  Canon\0", "EOS 40D", "GIMP 2.4", 6
    exif.get_ifd(0x8769)[0x9003] = "2019:08:01 17:30:05"
    (row,) = facts(encode(picture(40, 30), "JPEG", exif=exif))
    assert row["camera_make"] == "Canon"
    assert row["camera_model"] == "EOS 40D"
    assert row["software"] == "GIMP 2.4"
    assert row["taken_at"] == "2019-08-01T17:30:05"
    assert row["orientation"] == 6
    assert row["error"] is None


def test_what_files_say():
    data = encode(Image.new("RGBA", (40, 25), (1, 2, 3, 4)))
    frames = [Image.new("RGB", (9, 9), c) for c in ("red", "blue")]
    rgba, gray, cmyk, gif = facts(
        data,
        encode(picture().convert("L"), "JPEG"),
        encode(picture().convert("CMYK"), "JPEG"),
        encode(frames[0], "GIF", save_all=True, append_images=frames[1:]),
    )
    assert rgba["has_alpha"] is True
    assert rgba["bytes_per_pixel"] == pytest.approx(len(data) / 1000)
    assert (rgba["colour_mode"], gray["colour_mode"], cmyk["colour_mode"], gif["colour_mode"]) == ("rgb", "gray", "cmyk", "palette")
    assert (gif["frames"], gif["animated"], rgba["frames"], rgba["animated"]) == (2, True, 1, False)
    assert rgba["camera_make"] is None


def test_a_bad_file_leaves_its_neighbours_alone():
    good, bad, missing = facts(encode(picture()), b"<html>", None)
    assert good["error"] is None
    assert "HTML" in bad["error"]
    assert bad["frames"] is None
    assert missing["error"] == "the sample has no media"


def test_hostile_exif_is_bounded():
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "A" * 30_000, "\x1b[31mred\x07"
    (row,) = facts(encode(picture(), "JPEG", exif=exif))
    assert row["camera_make"] == "A" * 120
    assert row["camera_model"] == "[31mred"
    data = encode(picture(), "JPEG", exif=exif)
    at = data.index(b"Exif\0\0") + 6
    for broken in (data[:at] + b"\xff" * 40 + data[at + 40 :], data[: at + 8] + b"\xff\xff" + data[at + 10 :]):
        (row,) = facts(broken)
        assert row["error"] is None
        assert row["orientation"] == 1


@pytest.mark.parametrize("text", [None, "", "0000:00:00 00:00:00", "    :  :     :  :  ", "2019-08-01", "2019:13:41 99:00:00"])
def test_no_moment(text):
    assert iso_time(text) is None


@given(st.text(max_size=40))
def test_any_text_is_a_moment_or_none(text):
    value = iso_time(text)
    assert value is None or len(value) == 19


def test_image_operators_have_no_settings_yet():
    """An annotated class attribute would silently become a setting and change the fingerprint."""
    assert [settings(operator) for operator in (MediaFacts(), PHash(), ImageQuality())] == [{}, {}, {}]
    assert all(isinstance(operator, Operator) for operator in (MediaFacts(), PHash(), ImageQuality()))
