import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from manifests.errors import SourceError
from manifests.schema import REFERENCE
from pipelines.reader import Reader
from pipelines.sources import SourceSpec, list_source

EVALUATION = Path(__file__).parents[3] / "shared" / "data"


def write_tar(path: Path, members: list[tuple[str, bytes]], mode: str = "w", **settings: Any) -> Path:
    with tarfile.open(path, mode, **settings) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def rows(path: object, **settings: Any) -> list[dict[str, Any]]:
    batches = list(list_source(SourceSpec(str(path), "webdataset", **settings)))
    assert all(batch.schema.equals(REFERENCE) and 0 < batch.num_rows <= 10_000 for batch in batches)
    return [row for batch in batches for row in batch.to_pylist()]


def read(row: dict[str, Any]) -> bytes:
    with Reader() as reader:
        return reader.read(row["uri"], row["byte_offset"], row["byte_length"])


def test_what_img2dataset_writes(tmp_path: Path) -> None:
    meta = {
        "url": "http://x/1.jpg",
        "caption": "A cat",
        "key": "000000001",
        "status": "success",
        "error_message": None,
        "width": 4,
        "exif": "{}",
    }
    members = [("000000001.jpg", b"J" * 700), ("000000001.json", json.dumps(meta).encode()), ("000000001.txt", b"A cat")]
    (row,) = rows(write_tar(tmp_path / "00000.tar", members))
    assert (row["source"], row["key"], row["error"]) == ("00000", "000000001", None)
    assert (row["caption"], row["captions"], row["source_url"]) == ("A cat", ["A cat"], "http://x/1.jpg")
    assert json.loads(row["metadata"]) == {"key": "000000001", "status": "success", "error_message": None, "width": 4, "exif": "{}"}
    assert read(row) == b"J" * 700


names = st.text(st.characters(exclude_characters="/.\0", exclude_categories=("Cs",)), min_size=1, max_size=300)


@settings(max_examples=60)
@example({("0", "\ufeff"): b""}, "gnu")  # a byte order mark and nothing else
@given(st.dictionaries(st.tuples(names, names), st.binary(max_size=1500), min_size=1, max_size=8), st.sampled_from(["gnu", "pax", "gzip"]))
def test_any_key_and_its_bytes_come_back(
    tmp_path_factory: pytest.TempPathFactory, samples: dict[tuple[str, str], bytes], form: str
) -> None:
    path = tmp_path_factory.mktemp("tar") / "x.tar"
    members = []
    for (folder, stem), data in samples.items():
        members += [(f"{folder}/{stem}.png", data), (f"{folder}/{stem}.txt", stem.encode())]
    write_tar(path, members, "w:gz" if form == "gzip" else "w", format=tarfile.GNU_FORMAT if form == "gnu" else tarfile.PAX_FORMAT)
    listed = rows(path)
    assert [row["key"] for row in listed] == [f"{folder}/{stem}" for folder, stem in samples]
    assert [row["caption"] for row in listed] == [stem.removeprefix("\ufeff").strip() or None for _, stem in samples]
    with Reader() as reader:
        assert [reader.read(row["uri"], row["byte_offset"], row["byte_length"]) for row in listed] == list(samples.values())


@settings(max_examples=60)
@given(st.binary(min_size=1, max_size=4), st.integers(0, 6 * 512), st.booleans())
def test_a_damaged_archive_never_raises_and_never_goes_unsaid(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, at: int, cut: bool
) -> None:
    path = write_tar(tmp_path_factory.mktemp("tar") / "x.tar", [("a.jpg", b"1" * 600), ("a.txt", b"one"), ("b.jpg", b"2" * 10)])
    whole = path.read_bytes()
    damaged = whole[:at] if cut else whole[:at] + junk + whole[at + len(junk) :]
    path.write_bytes(damaged)
    listed = rows(path)
    good = [row for row in listed if not row["error"]]
    if cut:
        assert "x.tar" in listed[-1]["error"]
        assert [(row["key"], read(row)) for row in good] == [("a", b"1" * 600), ("b", b"2" * 10)][: len(good)]
    else:
        assert len(good) == 2 or len(good) < len(listed)
        assert all(len(read(row)) == row["byte_length"] for row in good)


def test_other_archives_go_on(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", [("a.jpg", b"a"), ("a.txt", b"first")])
    (tmp_path / "1.tar").write_bytes(b"no tar at all" * 100)
    whole = write_tar(tmp_path / "2.tar", [("b.jpg", b"b" * 600), ("b.txt", b"second"), ("c.jpg", b"c" * 600)]).read_bytes()
    (tmp_path / "2.tar").write_bytes(whole[: 512 * 6 + 10])
    (tmp_path / "3.tar").write_bytes(b"")
    write_tar(tmp_path / "4.tar.gz", [("d.jpg", b"d")], "w:gz")
    (tmp_path / "5.tar").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(600))
    listed = rows(tmp_path)
    assert [(row["key"], bool(row["error"])) for row in listed] == [
        ("a", False), ("1.tar", True), ("b", False), ("2.tar", True), ("3.tar", True), ("d", False), ("5.tar", True),
    ]  # fmt: skip
    errors = [row["error"] for row in listed if row["error"]]
    assert "1.tar is not a tar archive" in errors[0]
    assert "ends in the middle of 'c.jpg'" in errors[1]
    assert "is empty" in errors[2]
    assert "zstd" in errors[3]


def test_cut_gzip_gives_what_is_readable(tmp_path: Path) -> None:
    import random

    noise = random.Random(0).randbytes(200_000)
    whole = write_tar(tmp_path / "x.tar.gz", [("a.jpg", noise), ("b.jpg", noise)], "w:gz").read_bytes()
    (tmp_path / "x.tar.gz").write_bytes(whole[: len(whole) * 3 // 4])
    first, container = rows(tmp_path / "x.tar.gz")
    assert (first["key"], container["key"]) == ("a", "x.tar.gz")
    assert "damaged" in container["error"]
    assert read(first) == noise


def test_members_that_are_no_plain_files_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind in [("l.jpg", tarfile.SYMTYPE), ("h.jpg", tarfile.LNKTYPE), ("d.jpg", tarfile.CHRTYPE), ("p.jpg", tarfile.FIFOTYPE)]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        folder = tarfile.TarInfo("folder.jpg/")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name in ["/abs.jpg", "a/../../up.jpg", "good.jpg"]:
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
    listed = rows(path)
    assert [row["key"] for row in listed] == ["l.jpg", "h.jpg", "d.jpg", "p.jpg", "/abs.jpg", "a/../../up.jpg", "good"]
    assert [bool(row["error"]) for row in listed] == [True] * 6 + [False]
    assert read(listed[-1]) == b"abc"


def test_dotted_names_repeated_keys_and_text_alone(tmp_path: Path) -> None:
    members = [
        ("a.v1.jpg", b"1"), ("a.v1.txt", b"one"), ("a.v2.jpg", b"2"), ("a.v2.txt", b"two"),
        ("b.jpg", b"3"), ("b.txt", b"x"), ("b.1.txt", b"y"), ("b.jpg", b"4"),
        ("c.png", b"5"), ("c.JPG", b"6"), ("c.npy", b"7"), ("c.json", b'["p", "q"]'),
        ("b.txt", b"late"), ("README", b""), (".hidden.jpg", b""),
    ]  # fmt: skip
    listed = rows(write_tar(tmp_path / "x.tar", members))
    assert [(row["key"], row["captions"]) for row in listed] == [
        ("a.v1", ["one"]), ("a.v2", ["two"]), ("b", ["x", "y"]), ("b", None), ("c", ["p", "q"]), ("b", ["late"]),
    ]  # fmt: skip
    assert [read(row) for row in listed[:5]] == [b"1", b"2", b"3", b"4", b"6"]
    assert json.loads(listed[4]["metadata"]) == {"other_images": ["c.png"], "other_members": ["c.npy"]}
    assert "no picture" in listed[5]["error"]
    assert "tar --sort=name" in listed[5]["error"]


def test_archives_written_one_behind_the_other(tmp_path: Path) -> None:
    one = write_tar(tmp_path / "1", [("a.jpg", b"a")]).read_bytes()
    two = write_tar(tmp_path / "2", [("b.jpg", b"b")]).read_bytes()
    (tmp_path / "x.tar").write_bytes(one + two)
    assert [read(row) for row in rows(tmp_path / "x.tar")] == [b"a", b"b"]


def test_text_that_is_not_utf8_or_too_large(tmp_path: Path) -> None:
    members = [
        ("a.jpg", b"1"), ("a.txt", b"\xef\xbb\xbf  caf\xe9 \n"), ("b.jpg", b"2"), ("b.txt", b"x" * (2 << 20)),
        ("c.jpg", b"3"), ("c.json", b'{"caption": "\\ud800 lone", "n": NaN}'), ("d.jpg", b"4"), ("d.json", b"[" * 100_000),
    ]  # fmt: skip
    a, b, c, d = rows(write_tar(tmp_path / "x.tar", members))
    assert a["caption"] == "caf�"
    assert "not UTF-8" in json.loads(a["metadata"])["caption_encoding"]
    assert b["caption"] is None
    assert json.loads(b["metadata"]) == {"not_read": ["b.txt"]}
    assert c["caption"] == "� lone"
    assert json.loads(c["metadata"]) == {"n": None}
    assert "invalid_json" in json.loads(d["metadata"])


def test_key_that_is_not_utf8_is_kept_escaped(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", [("\udcff.jpg", b"1")], format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape")
    (row,) = rows(path)
    assert row["key"] == "\\xff"
    assert read(row) == b"1"


def test_extended_header_bomb_is_refused(tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    with gzip.open(tmp_path / "x.tar.gz", "wb", 1) as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(4 << 20))
    (row,) = rows(tmp_path / "x.tar.gz")
    assert "extended header of 1073741824 bytes" in row["error"]


def test_zeros_at_the_end(tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "x.tar", [("a.jpg", b"a")]).read_bytes()
    for extra, errors in [(0, []), (100, []), (200_000, []), (3 << 20, ["x.tar"])]:
        (tmp_path / "x.tar").write_bytes(whole + bytes(extra))
        assert [row["key"] for row in rows(tmp_path / "x.tar") if row["error"]] == errors
    (tmp_path / "x.tar").write_bytes(whole + b"junk" * 300)
    assert "bytes behind its end" in rows(tmp_path / "x.tar")[-1]["error"]
    write_tar(tmp_path / "x.tar", [])
    with pytest.raises(SourceError, match="no sample"):
        rows(tmp_path / "x.tar")


def test_sparse_files_and_very_large_sizes(tmp_path: Path) -> None:
    sparse, large = tarfile.TarInfo("s.jpg"), tarfile.TarInfo("l.jpg")
    sparse.type, large.size = tarfile.GNUTYPE_SPARSE, 1 << 40
    after = write_tar(tmp_path / "after", [("a.jpg", b"a")]).read_bytes()
    (tmp_path / "x.tar").write_bytes(sparse.tobuf(tarfile.GNU_FORMAT) + after)
    first, second = rows(tmp_path / "x.tar")
    assert "sparse" in first["error"]
    assert read(second) == b"a"
    (tmp_path / "x.tar").write_bytes(large.tobuf(tarfile.GNU_FORMAT) + after)
    (row,) = rows(tmp_path / "x.tar")
    assert "of 1099511627776 bytes" in row["error"]


def test_braces_globs_and_what_is_missing(tmp_path: Path) -> None:
    for number in (0, 1, 2):
        write_tar(tmp_path / f"train-{number:05d}.tar", [(f"k{number}.jpg", b"x")])
    listed = rows(tmp_path / "train-{00000..00001}.tar")
    assert [(row["source"], row["key"]) for row in listed] == [("train", "k0"), ("train", "k1")]
    assert {row["key"] for row in rows(tmp_path / "*.tar")} == {"k0", "k1", "k2"}
    with pytest.raises(SourceError, match="00003"):
        rows(tmp_path / "train-{00002..00003}.tar")
    with pytest.raises(SourceError, match="s3://"):
        rows("s3://bucket/x.tar")
    with pytest.raises(SourceError, match="does not exist"):
        rows(tmp_path / "none.tar")


@pytest.mark.skipif(not EVALUATION.exists(), reason="the evaluation data folder ../shared/data is absent")
def test_listing_agrees_with_tarfile_on_real_archives() -> None:
    for path in sorted((EVALUATION / "flickr8k").glob("test-*.tar")):
        listed = rows(path)
        with tarfile.open(path) as tar:
            expected = [(m.name.removesuffix(".jpg"), m.offset_data, m.size) for m in tar if m.name.endswith(".jpg")]
        assert [(row["key"], row["byte_offset"], row["byte_length"]) for row in listed] == expected
        assert {len(row["captions"]) for row in listed} == {5}
