"""caption_quality: what it counts, what it calls junk, and that it leaves good captions alone."""

import concurrent.futures
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.base import Batch, BatchFn
from operators.caption_quality import CaptionQuality

FLICKR = Path(__file__).parents[3] / "shared/data/flickr8k"

JUNK = {
    "empty": [
        "", "   ", "...", "-", "!!!", "🔥🔥🔥", "\n\t", "—", "?", "* * *",
    ],
    "filename": [
        "IMG_2034.jpg", "DSC0123", "DSC_0456.JPG", "DSCN1234.jpeg", "DSCF0001", "P1010023", "PICT0044.png", "GOPR1234",
        "DJI_0042", "PXL_20210312_101112345", "100_1234.jpg", "Screenshot 2021-03-04 at 10.11.12 AM", "screen-shot-20190304",
        "WhatsApp Image 2020-05-01", "image001.png", "photo-1498050108023-c5249f4df085", "d41d8cd98f00b204e9800998ecf8427e",
        "my holiday picture (2).webp", "550e8400-e29b-41d4-a716-446655440000", "12345678_1234567890_n", "red_dress_front_view",
        "mens-shoes-size-42-black", "banner-top.gif", "how-to-make-a-pizza-at-home", "a1b2c3d4e5f60718", "800x600",
        "IMG 20190304 121314", "FB_IMG_1572345678901", "scan0001-22", "MVI_0042.MOV",
    ],
    "url": [
        "https://example.com/a/b/c.html?x=1", "www.example.com", "http://bit.ly/2xYz", "example.com",
        "https://example.com https://example.org", "info@example.com", "contact: sales@example.co.uk", "+49 30 1234567",
        "Call (555) 123-4567", "visit www.shop.example.com",
    ],
    "markup": [
        "<img src='a.png'>", "<b>Red</b> shoes", "Shoes &amp; bags", "&nbsp;&nbsp;", "[caption id=12 align=left]",
        "{{ product.title }}", "<a href=x>here</a>", "javascript:void(0)",
    ],
    "hashtags": [
        "#love #nature #sky", "#sunset", "#a1 #b2 #c3 wow",
    ],
    "placeholder": [
        "image", "Image 1", "photo", "Picture of", "logo", "untitled", "Untitled-1", "null", "None", "N/A", "n/a", "no caption",
        "default image", "product image", "Thumbnail", "img", "undefined", "nan", "alt text", "image description here", "Slide 3",
        "header image", "an image", "Foto", "图片", "写真", "Figure 12.", "The photo", "lorem ipsum", "your caption here", "12",
        "icon", "Profile photo", "photo not available",
    ],
    "boilerplate": [
        "Click to enlarge", "click here for more", "Buy now and save", "Red shoes - free shipping", "Add to cart",
        "View larger image of the red shoes", "Stock photo of a smiling business woman",
        "Royalty-free vector illustration of a cat", "Sunset over sea, Shutterstock", "Getty Images", "All rights reserved",
        "Copyright 2019 John Smith", "© 2020 Example Inc", "Image unavailable", "No image found", "Facebook icon",
        "Subscribe to our newsletter", "Pin it on Pinterest", "Share on Twitter", "HD wallpaper of mountains and lakes",
        "Photo by John", "Image via Flickr", "Photo: Reuters", "$19.99", "Only €25,00", "50% off", "Dress for sale",
        "Zum Vergrößern klicken Sie hier", "点击查看大图", "立即购买 红色连衣裙", "Photo courtesy NASA", "Jetzt kaufen",
        "Best price on leather shoes", "Read more", "Image is not available",
    ],
    "repetition": [
        "buy shoes buy shoes buy shoes buy shoes", "dog dog dog dog dog", "cheap bags cheap bags cheap bags cheap",
        "haaaaaaaappy dog", "red car red car red car red car", "哈哈哈哈哈哈哈哈哈哈", "aaaaaaaaaaaaa", "shoes, shoes, shoes, shoes, shoes",
    ],
    "symbols": [
        "A1 ~~~ ### $$$ %%%", "1234 5678 x 9012", "~*~*~ x ~*~*~", "(4) - [3] = q", "10:45:33 x7",
    ],
}  # fmt: skip

GOOD = [
    "A brown dog runs through the snow .",
    "A photo of a cat on a windowsill",
    "A man is selling watermelons for sale outside a bank",
    "Two girls",
    "mother-in-law",
    "state-of-the-art",
    "Vue de la mer depuis la colline",
    "Ein Hund springt über einen Baumstamm im Wald",
    "一只棕色的狗在雪地里奔跑",
    "雪の中を走る茶色の犬",
    "สุนัขสีน้ำตาลวิ่งผ่านหิมะ",
    "बर्फ में दौड़ता हुआ एक भूरा कुत्ता",
    "Коричневая собака бежит по снегу",
    "كلب بني يركض في الثلج",
    "눈 속을 달리는 갈색 개",
    "The Eiffel Tower at night, Paris, 2019",
    "Boeing 747-400 landing at Heathrow",
    "A sign shows a price of $5 for two apples",
    "Sunset at the beach #travel",
    "Portrait of a woman, photo by Jane Doe, wearing a red hat",
]


@pytest.fixture(scope="module")
def measure() -> BatchFn:
    return CaptionQuality().open()


def describe(measure: BatchFn, captions: list[str | None]) -> list[dict[str, object]]:
    columns = measure(Batch(pa.table({"caption": pa.array(captions, pa.string())}), []))
    return pa.table(dict(columns)).to_pylist()


@pytest.mark.parametrize(("reason", "caption"), [(reason, caption) for reason, captions in JUNK.items() for caption in captions])
def test_junk_is_named(measure: BatchFn, reason: str, caption: str) -> None:
    [row] = describe(measure, [caption])
    assert row["caption_junk"] == reason
    assert row["error"] is None


@pytest.mark.parametrize("caption", GOOD)
def test_good_captions_are_not_junk(measure: BatchFn, caption: str) -> None:
    assert describe(measure, [caption])[0]["caption_junk"] is None


def test_no_caption_is_a_fact_not_an_error(measure: BatchFn) -> None:
    for row in describe(measure, [None, "", "  "]):
        assert (row["caption_words"], row["caption_characters"], row["caption_language"]) == (0, 0, None)
        assert (row["caption_junk"], row["error"]) == ("empty", None)


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("A dog - in the snow .", 5),
        ("don't stop", 2),
        ("well-known café", 2),
        ("棕色的狗在雪地里", 4),
        ("雪の中を走る iPhone ケース", 6),
        ("สุนัขสีน้ำตาล", 3),
        ("갈색 개", 2),
        ("बर्फ में कुत्ता", 3),
        ("🔥 fire", 1),
    ],
)
def test_words(measure: BatchFn, caption: str, words: int) -> None:
    assert describe(measure, [caption])[0]["caption_words"] == words


@pytest.mark.parametrize(
    ("caption", "language"),
    [
        ("A brown dog runs through the snow", "en"),
        ("Ein brauner Hund läuft durch den Schnee", "de"),
        ("Un chien brun court dans la neige", "fr"),
        ("一只棕色的狗在雪地里奔跑", "zh"),
        ("雪の中を走る茶色の犬", "ja"),
        ("Коричневая собака бежит по снегу", "ru"),
        ("A BROWN DOG RUNS THROUGH THE SNOW", "en"),
        ("12345", None),
    ],
)
def test_language(measure: BatchFn, caption: str, language: str | None) -> None:
    assert describe(measure, [caption])[0]["caption_language"] == language


def test_counts_and_shares(measure: BatchFn) -> None:
    text = "SALE Call +1 (555) 123-4567 or mail me@example.com, see https://example.com/x #deal #now 🔥"
    [row] = describe(measure, [text])
    assert row["caption_has_email"]
    assert row["caption_has_phone"]
    assert (row["caption_urls"], row["caption_hashtags"], row["caption_emoji"]) == (1, 2, 1)
    [upper, half, digits] = describe(measure, ["ABC", "AbCd", "ab12 !!"])
    assert (upper["caption_uppercase"], half["caption_uppercase"]) == (1.0, 0.5)
    assert digits["caption_digits"] == pytest.approx(2 / 6)
    assert digits["caption_symbols"] == pytest.approx(2 / 6)


@pytest.mark.parametrize(
    "caption", ["born 1990 - 1995 in 2001", "ISBN 978-3-16-148410-0", "2019-11-21 2020-01-02", "id 1234567890123", "in 1 234 ways"]
)
def test_numbers_that_are_no_telephone(measure: BatchFn, caption: str) -> None:
    assert not describe(measure, [caption])[0]["caption_has_phone"]


@settings(max_examples=200)
@given(st.text(max_size=300))
def test_any_text_is_described(caption: str) -> None:
    try:
        caption.encode()
    except UnicodeEncodeError:  # a lone surrogate cannot be in an Arrow string
        return
    [row] = describe(_MEASURE, [caption])
    assert row["error"] is None
    assert 0 <= row["caption_repetition"] <= 1  # type: ignore[operator]
    assert 0 <= row["caption_symbols"] + row["caption_digits"] <= 1 + 1e-6  # type: ignore[operator]
    assert row["caption_characters"] == len(caption.strip())


_MEASURE = CaptionQuality().open()


@pytest.mark.parametrize("unit", ["a", "<", "a.", "1 ", "-a", "#a", "@", "a@", "((", "1-", "&", "image ", "an_", "0", " ", "photo of "])
def test_hostile_repeats_stay_cheap(measure: BatchFn, unit: str) -> None:
    """A pattern that backtracks would not end within pytest's time limit."""
    rows = describe(measure, [unit * 200_000] * 3)
    assert rows[0]["caption_characters"] == len((unit * 200_000).strip())


def test_threads_agree(measure: BatchFn) -> None:
    captions = [*GOOD, *(caption for some in JUNK.values() for caption in some)]
    expected = describe(measure, captions)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(rows == expected for rows in pool.map(lambda _: describe(measure, captions), range(8)))


def test_settings_move_the_limits() -> None:
    caption = ["the dog and the dog and the dog"]
    assert describe(CaptionQuality(max_repetition=0.9).open(), caption)[0]["caption_junk"] is None
    assert describe(CaptionQuality(max_repetition=0.1).open(), caption)[0]["caption_junk"] == "repetition"
    assert describe(CaptionQuality(min_language_confidence=1.01).open(), ["A brown dog runs"])[0]["caption_language"] is None


@pytest.mark.skipif(not FLICKR.is_dir(), reason="the evaluation data is not here")
def test_human_captions_are_not_junk(measure: BatchFn) -> None:
    captions: list[str | None] = []
    for path in sorted(FLICKR.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    captions += json.load(tar.extractfile(member))["captions"]  # type: ignore[arg-type]
    rows = describe(measure, captions)
    assert [caption for caption, row in zip(captions, rows, strict=True) if row["caption_junk"]] == ["A", "a"]
    english = sum(row["caption_language"] == "en" for row in rows)
    assert english / len(rows) > 0.975
