"""Pixel, semantic and caption duplicates, merged captions, copies of protected pictures, edited and turned copies."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from operators import ALL, OPTIONAL, cells
from operators.base import Batch
from operators.caption_duplicates import CaptionDuplicates, jaccard, normalised, shingles
from operators.copy_signature import CopySignature
from operators.merged_captions import MergedCaptions
from operators.near_duplicates import NearDuplicates
from operators.phash import PHash
from operators.pixel_duplicates import PixelDuplicates
from operators.pixel_hash import PixelHash
from operators.protected_copies import ProtectedCopies
from operators.semantic_duplicates import SemanticDuplicates, groups
from operators.testing import encode, make_batch, picture
from operators.turned_hashes import TurnedHashes

KINDS = {
    **{f.name: f.type for operator in (*ALL, *OPTIONAL) for f in operator.adds},
    "sample_id": pa.uuid(),
    "media_hash": pa.uuid(),
    "caption": pa.string(),
    "captions": pa.list_(pa.string()),
    "is_protected": pa.bool_(),
}


def run(operator: Any, **columns: Sequence[Any]) -> Mapping[str, list[Any]]:
    """What a corpus operator says of rows; ids and hashes are written as small numbers."""
    count = len(next(iter(columns.values())))
    columns = {"sample_id": range(count), "exact_duplicate": [False] * count, "near_duplicate": [False] * count, **columns}
    table = {}
    for name, values in columns.items():
        if KINDS[name] == pa.uuid():
            values = [None if v is None else uuid.UUID(int=v).bytes for v in values]
        table[name] = pa.array(values, KINDS[name])
    found = operator.open()(Batch(pa.table(table), ()))
    return {name: [v.int if isinstance(v, uuid.UUID) else v for v in column.to_pylist()] for name, column in found.items()}


def test_pixel_hash_sees_pictures_and_not_files() -> None:
    image = picture(80, 60)
    files = [
        encode(image),
        encode(image, "WEBP", lossless=True),
        encode(image, "TIFF"),
        encode(image, "JPEG"),
        encode(image.rotate(180)),
        b"x",
    ]
    hashes = PixelHash().open()(make_batch([{}] * len(files), files))
    values = hashes["pixel_hash"].to_pylist()
    assert values[0] == values[1] == values[2]
    assert len({*values[2:5]}) == 3
    assert values[5] is None
    assert hashes["error"][5].as_py()


def test_pixel_duplicates_leave_exact_ones_alone() -> None:
    got = run(PixelDuplicates(), pixel_hash=[7, 7, 8, 7], exact_duplicate=[False, False, False, True])
    assert got["pixel_duplicate"] == [False, True, False, None]
    assert got["pixel_duplicate_of"] == [None, 0, None, None]
    assert got["pixel_group"] == [0, 0, None, None]


def test_semantic_groups_are_within_the_radius_and_take_the_densest_first() -> None:
    angles = np.radians([0, 14, 28, 90])  # cosine 0.97 between neighbours, 0.88 between the ends
    got = run(SemanticDuplicates(min_cosine=0.95), image_embedding=np.stack([np.cos(angles), np.sin(angles)], 1).tolist())
    assert got["semantic_duplicate_of"] == [1, None, 1, None]
    assert got["semantic_density"] == [1, 2, 1, 0]
    assert got["semantic_cosine"][0] == pytest.approx(np.cos(angles[1]), abs=1e-3)
    plain = run(SemanticDuplicates(0.95, dense_first=False), image_embedding=np.stack([np.cos(angles), np.sin(angles)], 1).tolist())
    assert plain["semantic_duplicate_of"] == [None, 0, None, None]


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([50, 500]), st.booleans())
def test_semantic_groups_do_not_depend_on_blocks(seed: int, n: int, dense: bool) -> None:
    rng = np.random.default_rng(seed)
    rows = cells.whole(rng.standard_normal((8, 16))[rng.integers(0, 8, n)] + rng.normal(0, 0.2, (n, 16)))
    results = []
    for few, numbers in ((10**6, 1 << 24), (10**6, 64), (20, 1 << 24), (20, 300)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cells, "FEW", few)
            patch.setattr("operators.semantic_duplicates.NUMBERS", numbers)
            leader, cosine, _ = groups(rows, 0.9, dense)
            assert (leader[leader] == leader).all()
            exact = (rows.astype(int) * rows[leader].astype(int)).sum(1) / cells.SCALE**2
            assert np.allclose(cosine[leader != np.arange(n)], exact[leader != np.arange(n)], atol=1e-6)
            assert (exact[leader != np.arange(n)] >= 0.9 - 1e-6).all()
            results.append(leader.tolist())
    assert results[0] == results[1]
    assert results[2] == results[3]


def test_nearest_pairs_are_those_of_brute_force() -> None:
    vectors = np.random.default_rng(1).standard_normal((300, 24)).astype(np.float32)
    got = {(i, j) for pairs, _ in cells.nearest_pairs(vectors, 3, -1) for i, j in pairs.tolist()}
    unit = cells.whole(vectors).astype(float)
    near = unit @ unit.T
    np.fill_diagonal(near, -np.inf)
    assert got == {(i, j) for i in range(300) for j in np.argsort(-near[i], kind="stable")[:3].tolist()}


CAPTIONS = ["A brown dog runs through the deep snow", "a brown  dog runs through the deep snow!", "A brown dog runs through the deep snows"]


def test_caption_duplicates() -> None:
    texts = [*CAPTIONS, "Two children play football", None, "…", "一只棕色的狗在雪地里奔跑", "一只棕色的狗在雪地里奔跑。"]
    got = run(CaptionDuplicates(), caption=texts)
    assert got["caption_duplicate_of"] == [None, 0, 0, None, None, None, None, 6]
    assert got["caption_duplicate"][3:6] == [False, None, None]
    assert got["caption_similarity"][1] == 1
    assert 0.8 <= got["caption_similarity"][2] < 1
    assert run(CaptionDuplicates(min_similarity=1.0), caption=texts)["caption_duplicate_of"] == [None, 0, None, None, None, None, None, 6]


@settings(max_examples=50)
@given(st.lists(st.text(alphabet="abcd ", min_size=1, max_size=30), min_size=1, max_size=30))
def test_captions_in_a_group_are_near_the_kept_one(texts: list[str]) -> None:
    got = run(CaptionDuplicates(), caption=texts)
    for row, of in enumerate(got["caption_duplicate_of"]):
        if of is not None:
            assert got["caption_duplicate"][of] is False
            assert jaccard(shingles(normalised(texts[row])), shingles(normalised(texts[of]))) >= 0.8


def test_merged_captions_keep_what_copies_say() -> None:
    got = run(
        MergedCaptions(),
        caption=["A dog.", "a dog", "Two dogs", None],
        captions=[["A dog."], None, ["Two dogs", "Dogs in snow"], None],
        exact_duplicate_of=[None, 0, None, None],
        near_duplicate_of=[None, None, 0, None],
    )
    assert got["merged_captions"] == [["A dog.", "Two dogs", "Dogs in snow"], None, None, None]
    assert got["merged_from"] == [2, None, None, None]


def test_copies_of_protected_pictures() -> None:
    base = 0x0F0F0F0F0F0F0F0F
    got = run(
        ProtectedCopies(),
        media_hash=[1, 2, 1, 3, 4],
        is_protected=[True, False, False, False, False],
        phash=[base, base ^ 7, None, base ^ (2**30 - 1), None],
        dhash=[0, 0, None, 0, None],
    )
    assert got["near_protected"] == [None, True, True, False, None]
    assert got["protected_copy_of"] == [None, 0, 0, None, None]
    assert got["protected_distance"] == [None, 3, 0, None, None]


def detailed(seed: int) -> Image.Image:
    """A picture with corners to find."""
    rng, image = np.random.default_rng(seed), picture(400, 300, seed)
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, y, w, h = (int(v) for v in rng.integers((0, 0, 10, 10), (390, 290, 60, 60)))
        draw.rectangle((x, y, x + w, y + h), tuple(int(v) for v in rng.integers(0, 256, 3)))
    return image


def columns_of(images: Sequence[Image.Image]) -> dict[str, list[Any]]:
    files = [encode(image, "JPEG", quality=80) for image in images]
    found: dict[str, list[Any]] = {}
    for operator in (PHash(), CopySignature(), TurnedHashes()):
        columns = operator.open()(make_batch([{}] * len(files), files))
        found |= {name: columns[name].to_pylist() for name in operator.adds.names}
    return found


def banded(image: Image.Image) -> Image.Image:
    image = image.copy()
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, image.height * 5 // 6, image.width, image.height), "black")
    draw.text((image.width // 2, image.height * 11 // 12), "www.example.org", "white", font_size=image.height // 12, anchor="mm")
    return image


def test_strong_path_finds_crops_and_is_not_fooled_by_a_shared_band() -> None:
    one, two = detailed(1), detailed(2)
    images = [one, two, banded(one.crop((40, 30, 360, 270))), banded(two.crop((40, 30, 360, 270))), detailed(3)]
    embeddings = [[1.0, 0.1], [0.1, 1.0], [1.0, 0.2], [0.2, 1.0], [0.7, 0.7]]
    columns = columns_of(images)
    weak = run(NearDuplicates(), **{k: columns[k] for k in ("phash", "dhash")})
    assert weak["near_duplicate_of"][2:] == [None, None, None]
    strong = run(NearDuplicates(strong=True), image_embedding=embeddings, **{k: columns[k] for k in ("phash", "dhash", "copy_signature")})
    assert strong["near_duplicate_of"] == [None, None, 0, 1, None]
    assert strong["near_points"][2] >= 9


def test_turned_copies_are_found_on_request() -> None:
    image = detailed(4)
    turns = [image.transpose(way) for way in Image.Transpose]
    columns = columns_of([image, *turns, detailed(5)])
    hashes = {k: columns[k] for k in ("phash", "dhash")}
    assert run(NearDuplicates(), **hashes)["near_duplicate"][1:8] == [False] * 7
    got = run(NearDuplicates(turned=True), phash_turned=columns["phash_turned"], dhash_turned=columns["dhash_turned"], **hashes)
    assert got["near_duplicate_of"] == [None, *[0] * 7, None]
