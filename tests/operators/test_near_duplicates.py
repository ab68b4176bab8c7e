"""near_duplicates and the pair search below it: exact, without chains, best copy kept, cheap when many are equal."""

import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators import hamming
from operators.base import Batch
from operators.hamming import pair_blocks
from operators.near_duplicates import NearDuplicates
from operators.phash import PHash
from operators.testing import encode, make_batch, picture

DATA = Path(__file__).parents[3] / "shared/data"
Hashes = npt.NDArray[np.uint64]


@pytest.fixture(autouse=True, scope="module")
def compiled_search() -> Iterator[None]:
    """Small inputs go through the compiled search too, unless a test says otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hamming, "FEW", -1)
        yield


def clustered(seed: int, centres: int, copies: int, flips: int) -> Hashes:
    """Random hashes and, around each, copies with up to ``flips`` bits changed: random pairs alone would hardly ever be near."""
    rng = np.random.default_rng(seed)
    hashes = np.repeat(rng.integers(0, 2**64, centres, dtype=np.uint64), copies + 1)
    for _ in range(flips):
        flip = rng.random(len(hashes)) < 0.7
        hashes = np.where(flip, hashes ^ (np.uint64(1) << rng.integers(0, 64, len(hashes), dtype=np.uint64)), hashes)
    return rng.permutation(hashes)


def brute_force(hashes: Hashes, radius: int) -> set[tuple[int, int, int]]:
    distance = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    left, right = np.nonzero(np.triu(distance <= radius, 1))
    return set(zip(left.tolist(), right.tolist(), distance[left, right].tolist(), strict=True))


def found(*args: object, **options: object) -> list[tuple[int, int, int]]:
    blocks = list(pair_blocks(*args, **options))  # type: ignore[arg-type]
    return [pair for block in blocks for pair in zip(*(column.tolist() for column in block), strict=True)]


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(0, 20), st.integers(0, 300), st.integers(0, 5), st.integers(0, 14))
def test_all_pairs_are_those_of_brute_force(seed: int, radius: int, centres: int, copies: int, flips: int) -> None:
    hashes = clustered(seed, centres, copies, flips)
    skip, checks = np.arange(len(hashes)) % 7 == 3, hashes[::-1].copy()
    compiled = found(hashes, radius, checks, 40, skip)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hamming, "FEW", 10**9)
        assert found(hashes, radius, checks, 40, skip) == compiled


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(0, 20), st.integers(0, 60), st.integers(0, 5), st.integers(0, 14), st.integers(1, 9))
def test_neighbours_are_those_of_brute_force(seed: int, radius: int, centres: int, copies: int, flips: int, every: int) -> None:
    hashes = clustered(seed, centres, copies, flips)
    queries = np.arange(len(hashes)) % every == 0
    got = [pair for b in hamming.neighbour_blocks(hashes, radius, queries) for pair in zip(*(c.tolist() for c in b), strict=True)]
    both = brute_force(hashes, radius) | {(j, i, d) for i, j, d in brute_force(hashes, radius)}
    assert got == sorted((i, j, d) for i, j, d in both if queries[i])


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(0, 20), st.integers(0, 60), st.integers(0, 5), st.integers(0, 14), st.integers(1, 3))
def test_pairs_are_those_of_brute_force_each_once(seed: int, radius: int, centres: int, copies: int, flips: int, threads: int) -> None:
    hashes = clustered(seed, centres, copies, flips)
    pairs = found(hashes, radius, threads=threads)
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == brute_force(hashes, radius)
    assert [i for i, _, _ in pairs] == sorted(i for i, _, _ in pairs)


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 4, 7, 10, 11, 20])
def test_every_pattern_of_flips_within_the_radius_is_found(radius: int) -> None:
    """All flips in one band, spread over all, and everything between: the pigeonhole thresholds must cover each."""
    rng = np.random.default_rng(radius)
    for in_first_band in range(radius + 1):
        bits = [
            *rng.choice(16, min(in_first_band, 16), replace=False),
            *(16 + rng.choice(48, radius - min(in_first_band, 16), replace=False)),
        ]
        mask = np.bitwise_xor.reduce(np.uint64(1) << np.array(bits, np.uint64)) if bits else np.uint64(0)
        base = rng.integers(0, 2**64, dtype=np.uint64)
        assert found(np.array([base, base ^ mask]), radius) == [(0, 1, radius)]


def test_a_dense_neighbourhood_does_not_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hamming, "PAIRS_A_STEP", 10)
    hashes = clustered(1, 1, 299, 3)
    pairs = found(hashes, 8, threads=2)
    assert len(pairs) > 20_000
    assert set(pairs) == brute_force(hashes, 8)
    assert [i for i, _, _ in pairs] == sorted(i for i, _, _ in pairs)


def test_second_hash_and_left_out_rows() -> None:
    hashes, checks = np.zeros(4, np.uint64), np.array([0, 1, 7, 0], np.uint64)
    assert found(hashes, 0, checks, 1) == [(0, 1, 0), (0, 3, 0), (1, 3, 0)]
    assert found(hashes, 0, checks, 1, skip=np.array([False, True, False, False])) == [(0, 3, 0)]


@pytest.mark.parametrize("radius", [-1, 21])
def test_radius_out_of_range(radius: int) -> None:
    with pytest.raises(ValueError, match="radius must be 0 to 20"):
        found(np.zeros(2, np.uint64), radius)
    with pytest.raises(ValueError, match="radius must be 0 to 20"):
        NearDuplicates(radius=radius)


def mark(
    phash: list[int | None], dhash: list[int | None], exact: list[bool | None] | None = None, **options: int
) -> dict[str, list[object]]:
    table = pa.table(
        {
            "sample_id": pa.array([uuid.UUID(int=i).bytes for i in range(len(phash))], pa.uuid()),
            "phash": pa.array(phash, pa.uint64()),
            "dhash": pa.array(dhash, pa.uint64()),
            "exact_duplicate": pa.array(exact or [False] * len(phash), pa.bool_()),
        }
    )
    columns = NearDuplicates(**options).open()(Batch(table, []))
    return {
        name: [value.int if isinstance(value, uuid.UUID) else value for value in column.to_pylist()] for name, column in columns.items()
    }


BASE = 0x0F0F0F0F0F0F0F0F


def test_groups_do_not_chain() -> None:
    """0 - 1 - 2 - 3 are 6 bits apart each: 1 joins 0, but 2 is 12 bits from 0 and is kept, and takes 3."""
    phash = [BASE ^ ((1 << 6 * step) - 1) for step in range(4)]
    got = mark(phash, [0] * 4)
    assert got == {
        "near_duplicate": [False, True, False, True],
        "near_duplicate_of": [None, 0, None, 2],
        "near_group": [0, 0, 2, 2],
        "near_distance": [None, 6, None, 6],
        "near_check": [None, 0, None, 0],
        "near_points": [None] * 4,
    }


def test_both_hashes_must_agree() -> None:
    assert mark([BASE, BASE], [0, 2**13 - 1])["near_duplicate"] == [False, False]
    assert mark([BASE, BASE], [0, 2**13 - 1], check_radius=13)["near_duplicate"] == [False, True]
    assert mark([BASE, BASE ^ (2**11 - 1)], [0, 0])["near_duplicate"] == [False, False]
    assert mark([BASE, BASE ^ (2**11 - 1)], [0, 0], radius=11)["near_distance"] == [None, 11]


def test_exact_copies_and_missing_hashes_get_nulls_and_take_no_part() -> None:
    got = mark([BASE, BASE, None, BASE, BASE], [0, 0, 0, None, 0], [True, False, None, None, False])
    assert got["near_duplicate"] == [None, False, None, None, True]
    assert got["near_duplicate_of"] == [None, None, None, None, 1]


def test_pictures_without_detail_are_never_near_copies() -> None:
    white, black = (encode(np.full((300, 300, 3), level, np.uint8)) for level in (255, 0))
    gradient = encode(np.repeat(np.linspace(0, 255, 300).astype(np.uint8)[:, None], 300, 1)[..., None].repeat(3, 2))
    hashes = PHash().open()(make_batch([{}] * 4, [white, black, white, gradient]))
    got = mark(hashes["phash"].to_pylist(), hashes["dhash"].to_pylist())
    assert got["near_duplicate"] == [False] * 4
    assert got["near_group"] == [None] * 4


def test_a_million_equal_pictures_are_one_comparison() -> None:
    n = 1_000_000
    ids = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), n, [None, pa.py_buffer(np.arange(2 * n, dtype=np.uint64))])
    equal = pa.array(np.full(n, BASE, np.uint64))
    table = pa.table(
        {
            "sample_id": pa.ExtensionArray.from_storage(pa.uuid(), ids),
            "phash": equal,
            "dhash": equal,
            "exact_duplicate": pa.nulls(n, pa.bool_()),
        }
    )
    got = NearDuplicates().open()(Batch(table, []))
    assert got["near_duplicate"].true_count == n - 1


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(0, 12), st.integers(0, 30))
def test_the_rule_in_plain_words(seed: int, radius: int, check_radius: int) -> None:
    phash, dhash = (clustered(seed, 30, 4, 8), clustered(seed + 1, 5, 29, 6))
    got = mark(phash.tolist(), dhash.tolist(), radius=radius, check_radius=check_radius)
    kept: list[int] = []
    for row in range(len(phash)):
        if int(phash[row]).bit_count() < 16:
            near = []
        else:
            near = [
                leader
                for leader in kept
                if int(phash[row] ^ phash[leader]).bit_count() <= radius and int(dhash[row] ^ dhash[leader]).bit_count() <= check_radius
            ]
            if not near:
                kept.append(row)
        assert got["near_duplicate_of"][row] == (near[0] if near else None), row
        assert got["near_distance"][row] == (int(phash[row] ^ phash[near[0]]).bit_count() if near else None)


def test_a_re_encoded_picture_is_found_and_another_is_not() -> None:
    original = picture(640, 480, seed=1)
    files = [
        encode(original),
        encode(original.resize((320, 240)), "JPEG", quality=40),
        encode(picture(640, 480, seed=2)),
        encode(original.convert("L")),
    ]
    hashes = PHash().open()(make_batch([{}] * 4, files))
    assert mark(hashes["phash"].to_pylist(), hashes["dhash"].to_pylist())["near_duplicate_of"] == [None, 0, None, 0]


@pytest.mark.skipif(not (DATA / "near_duplicates").is_dir(), reason="the evaluation data is not here")
def test_true_pairs_are_found_among_distractors() -> None:
    files: dict[str, bytes] = {}
    for path in sorted((DATA / "flickr8k").glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".jpg"):
                    files[Path(member.name).stem] = tar.extractfile(member).read()  # type: ignore[union-attr]
    copies = {path.stem: path.read_bytes() for path in sorted((DATA / "near_duplicates/flickr_200px").iterdir())}
    media = [*files.values(), *copies.values()]
    hash_batch = PHash().open()
    hashes: dict[str, list[int | None]] = {"phash": [], "dhash": []}
    for start in range(0, len(media), 256):
        part = media[start : start + 256]
        columns = hash_batch(make_batch([{}] * len(part), part))
        for name, values in hashes.items():
            values += columns[name].to_pylist()
    got = mark(hashes["phash"], hashes["dhash"])["near_duplicate_of"]
    stems = list(files)
    assert [None if of is None else stems[of] for of in got[len(files) :]] == list(copies)  # type: ignore[index]
    assert got[: len(files)] == [None] * len(files)
