import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests import create_lake
from manifests.errors import SourceError
from pipelines.reader import Reader
from pipelines.sources import SourceSpec, guess_kind, list_source, source_name

EVALUATION = Path(__file__).parents[3] / "shared" / "data"


def rows(path: Path, **settings: Any) -> list[dict[str, Any]]:
    return [row for batch in list_source(SourceSpec(str(path), "folder", **settings)) for row in batch.to_pylist()]


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def test_captions_metadata_and_credits_from_sidecars(tmp_path: Path) -> None:
    meta = {"caption": "a cat", "captions": ["a cat", "ein Kater"], "License": "CC BY 4.0", "creator": "Ann", "url": "http://x", "n": 1}
    write(
        tmp_path,
        {
            "b.JPG": b"1",
            "b.txt": "\ufeff A tom cat.\n".encode(),
            "b.json": json.dumps(meta).encode(),
            "a/c.webp": b"22",
            "a/c.webp.txt": b"beside the whole name",
            "notes.txt": b"no picture of this name",
            "movie.mp4": b"",
            ".hidden.jpg": b"",
        },
    )
    b, c = rows(tmp_path)
    assert (b["key"], b["caption"], b["captions"]) == ("b", "A tom cat.", ["A tom cat.", "a cat", "ein Kater"])
    assert (b["license"], b["author"], b["source_url"], json.loads(b["metadata"])) == ("CC BY 4.0", "Ann", "http://x", {"n": 1})
    stat = (tmp_path / "b.JPG").stat()
    assert (b["source"], b["uri"], b["byte_offset"], b["byte_length"]) == (tmp_path.name, str(tmp_path / "b.JPG"), None, 1)
    assert b["stamp"] == f"1:{stat.st_mtime_ns}"
    assert (c["key"], c["caption"], c["error"]) == ("a/c", "beside the whole name", None)
    assert rows(tmp_path, caption_column="captions")[0]["caption"] == "a cat"


def test_pictures_that_share_a_stem_keep_their_extension(tmp_path: Path) -> None:
    write(tmp_path, {"a.jpg": b"", "a.png": b"", "a.txt": b"both", "b.c.d.jpg": b"", "x/a.gif": b""})
    assert [(row["key"], row["caption"]) for row in rows(tmp_path)] == [
        ("a.jpg", "both"),
        ("a.png", "both"),
        ("b.c.d", None),
        ("x/a", None),
    ]


def test_links_stay_inside(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", {"secret.jpg": b"s", "secret.txt": b"secret"})
    root = write(tmp_path / "root", {"a.jpg": b"a", "sub/b.jpg": b"b", "d.jpg": b"d"})
    (root / "inside.jpg").symlink_to(root / "sub" / "b.jpg")
    (root / "out.jpg").symlink_to(outside / "secret.jpg")
    (root / "gone.jpg").symlink_to(root / "nothing.jpg")
    (root / "d.txt").symlink_to(outside / "secret.txt")
    (root / "folder").symlink_to(outside)
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe.jpg")
    listed = {row["key"]: row for row in rows(root)}
    assert {key for key, row in listed.items() if row["error"]} == {"out", "gone", "folder", "pipe"}
    assert {key for key, row in listed.items() if not row["error"]} == {"a", "sub/b", "inside", "d"}
    assert listed["d"]["caption"] is None
    assert json.loads(listed["d"]["metadata"]) == {"not_read": ["d.txt"]}


def test_file_name_that_is_not_utf8(tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jpg")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (row,) = rows(tmp_path)
    assert row["key"] == "\\xff"
    assert "UTF-8" in row["error"]


names = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=60)


@settings(max_examples=40)
@given(st.dictionaries(names.filter(lambda name: not name.startswith(".")), st.binary(max_size=40), min_size=1, max_size=6))
def test_any_key_and_its_bytes_come_back(tmp_path_factory: pytest.TempPathFactory, samples: dict[str, bytes]) -> None:
    root = tmp_path_factory.mktemp("folder")
    for key, data in samples.items():
        (root / f"{key}.png").write_bytes(data)
    listed = rows(root)
    assert [row["key"] for row in listed] == [name.removesuffix(".png") for name in sorted(f"{key}.png" for key in samples)]
    with Reader() as reader:
        for row in listed:
            assert reader.read(row["uri"], row["byte_offset"], row["byte_length"]) == samples[row["key"]]


def test_order_is_stable_and_batches_are_bounded(tmp_path: Path) -> None:
    for number in range(10_050):
        (tmp_path / f"{number}.jpg").touch()
    batches = list(list_source(SourceSpec(str(tmp_path))))
    assert [batch.num_rows for batch in batches] == [10_000, 50]
    keys = [key for batch in batches for key in batch["key"].to_pylist()]
    assert keys == [name[:-4] for name in sorted(f"{number}.jpg" for number in range(10_050))]


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    files = {"a.jpg": b"", "a.txt": b"a", "lost.txt": b"of no picture", "b.jxl": b"", "c.ppm": b"", "d.svg": b"", "t.csv": b""}
    said: list[str] = []
    list(list_source(SourceSpec(str(write(tmp_path, files))), said.append))
    (text,) = said
    assert "left out 1 .svg, 1 .csv, 1 .txt" in text
    assert text.endswith("Tables, tars and other media are sources of their own.")
    assert [row["key"] for row in rows(tmp_path)] == ["a", "b", "c"]


def test_a_lake_in_the_folder_is_not_searched(tmp_path: Path) -> None:
    write(tmp_path, {"a.jpg": b""})
    create_lake(tmp_path / "lake").close()
    said: list[str] = []
    listed = [key for batch in list_source(SourceSpec(str(tmp_path)), said.append) for key in batch["key"].to_pylist()]
    assert (listed, said) == (["a"], [f"{tmp_path.name}: lake is a lake and was not searched."])


def test_null_caption_and_utf16(tmp_path: Path) -> None:
    write(tmp_path, {"a.jpg": b"", "a.json": b'{"caption": null, "text": "said"}', "b.jpg": b"", "b.txt": "caf\xe9\r\n".encode("utf-16")})
    a, b = rows(tmp_path)
    assert (a["caption"], b["caption"]) == ("said", "caf\xe9")
    assert json.loads(b["metadata"]) == {"caption_encoding": "UTF-16"}


def test_what_cannot_be_listed_says_why(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        rows(tmp_path / "none")
    write(tmp_path, {"a.mp4": b"", "b.mp4": b""})
    with pytest.raises(SourceError, match=r"holds no picture \(it has 2 .mp4\)"):
        rows(tmp_path)
    assert [r["modality"] for batch in list_source(SourceSpec(str(tmp_path / "a.mp4"))) for r in batch.to_pylist()] == ["video"]
    with pytest.raises(SourceError, match="downloaded into a lake first"):
        list(list_source(SourceSpec(str(tmp_path), "urls")))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("flickr8k/*.tar", "flickr8k"),
        ("train-{00000..00003}.tar", "train"),
        ("crawl/{00000..00099}.tar", "crawl"),
        ("a/b.tar.gz", "b"),
        ("a/my.table.parquet", "my.table"),
        ("a/photos/", "photos"),
        ("a/**/*.parquet", "a"),
    ],
)
def test_source_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a" / "photos").mkdir(parents=True)
    assert source_name(SourceSpec(path)) == name
    assert source_name(SourceSpec(path, name="mine")) == "mine"


def test_guess_kind(tmp_path: Path) -> None:
    files = ["t/0.tar", "t/0.parquet", "p/0.parquet", "f/0.jpg", "f/metadata.csv", "x.csv", "x.jsonl", "x.tgz", "v.MP4", "x.xyz", "x.jpg"]
    write(tmp_path, {name: b"" for name in files} | {"coco.json": b' {"images": []}', "llava.json": b"[]", "odd.json": b"hello"})
    kinds = {
        name: guess_kind(str(tmp_path / name)) for name in ["t", "p", "f", "x.csv", "x.jsonl", "x.tgz", "v.MP4", "coco.json", "llava.json"]
    }
    assert list(kinds.values()) == ["webdataset", "parquet", "folder", "csv", "jsonl", "webdataset", "video", "coco", "llava"]
    write(tmp_path, {"urls.txt": b"# mine\n\nhttps://x/1.jpg\n", "x.tar.zst": b"", "x.csv.gz": b"", "captions.txt": b"image,caption\n"})
    assert (guess_kind(str(tmp_path / "urls.txt")), guess_kind(str(tmp_path / "x.tar.zst"))) == ("urls", "webdataset")
    for name, said in (("x.csv.gz", "Unpack it first"), ("captions.txt", "--kind csv")):
        with pytest.raises(SourceError, match=said):
            guess_kind(str(tmp_path / name))
    for name in ["x.xyz", "x.jpg", "odd.json"]:
        with pytest.raises(SourceError):
            guess_kind(str(tmp_path / name))


@pytest.mark.skipif(not EVALUATION.exists(), reason="the evaluation data folder ../shared/data is absent")
def test_broken_files_are_samples_all_the_same() -> None:
    listed = rows(EVALUATION / "broken")
    assert len(listed) > 400
    assert not any(row["error"] for row in listed)
