import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests.errors import MediaError, SourceError
from manifests.schema import REFERENCE
from pipelines.reader import Reader
from pipelines.sources import SourceSpec, list_source

LAYOUTS = Path(__file__).parents[3] / "shared" / "data" / "layouts"


def rows(path: Path, **settings: Any) -> list[dict[str, Any]]:
    batches = list(list_source(SourceSpec(str(path), **settings)))
    assert all(batch.schema.equals(REFERENCE) for batch in batches)
    return [row for batch in batches for row in batch.to_pylist()]


def read(row: dict[str, Any]) -> bytes:
    with Reader() as reader:
        return reader.read(row["uri"], row["byte_offset"], row["byte_length"])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "images" / name).write_bytes(name.encode())
    return tmp_path


def test_text_that_is_not_utf8_costs_its_row_only(tmp_path: Path) -> None:
    captions = _as_text([b"a dog", b"caf\xe9", b"a cat"])
    pq.write_table(pa.table({"image": [b"1", b"2", b"3"], "caption": captions}), tmp_path / "t.parquet")
    found = rows(tmp_path / "t.parquet")
    assert [row["caption"] for row in found] == ["a dog", None, "a cat"]
    assert [row["error"] for row in found] == [None, "Row 1 has text that is not UTF-8.", None]


def _as_text(values: list[bytes]) -> pa.Array:
    """A column of text whose bytes nobody has checked."""
    array = pa.array(values, pa.binary())
    return pa.StringArray.from_buffers(len(values), *array.buffers()[1:])


def test_parquet_as_hugging_face_writes_it(tmp_path: Path) -> None:
    data = [random.Random(n).randbytes(200) for n in range(2500)]
    images = [{"bytes": b, "path": f"{n}.png"} for n, b in enumerate(data)]
    images[7] = {"bytes": None, "path": "7.png"}
    table = pa.table(
        {
            "image": images,
            "caption": pa.array([["one", "two"]] * 2500),
            "licence": ["CC0"] * 2500,
            "score": [0.5, float("nan")] * 1250,
            "embedding": pa.array([[1.0, 2.0]] * 2500),
        }
    )
    pq.write_table(table, tmp_path / "train-00000-of-00001.parquet", row_group_size=1000)
    listed = rows(tmp_path)
    assert [row["key"] for row in listed] == [f"{n}.png" for n in range(2500)]
    assert (listed[3]["caption"], listed[3]["captions"], listed[3]["license"]) == ("one", ["one", "two"], "CC0")
    assert json.loads(listed[2]["metadata"]) == {"score": 0.5}
    assert json.loads(listed[3]["metadata"]) == {"score": None}
    with Reader() as reader:
        for number in (0, 2499, 999, 1000):
            assert reader.read(listed[number]["uri"], listed[number]["byte_offset"], None) == data[number]
        with pytest.raises(MediaError, match="no bytes"):
            reader.read(listed[7]["uri"], listed[7]["byte_offset"], None)


def test_parquet_bytes_column_with_key(tmp_path: Path) -> None:
    table = pa.table({"id": [11, None], "jpg": [b"x", b"y"], "TEXT": ["  hi ", ""], "when": pa.array([0, 0], pa.timestamp("s"))})
    pq.write_table(table, tmp_path / "t.parquet")
    first, second = rows(tmp_path / "t.parquet")
    assert (first["key"], first["caption"], read(first)) == ("11", "hi", b"x")
    assert (second["key"], second["caption"], read(second)) == ("t#1", None, b"y")
    assert json.loads(first["metadata"]) == {"when": "1970-01-01 00:00:00"}


def test_csv_with_paths(pictures: Path) -> None:
    text = (
        "\ufefffile_name,caption,author,note\n"
        'images/a.jpg,"two\nlines, with comma",Ann,\n'
        'images/a.jpg,"[""x"", ""y""]",,1\n'
        "images/none.jpg,[sic],,\n"
        "too,few\n"
        "http://x/b.jpg,remote,,\n"
        f"{pictures}/images/b.jpg,absolute,,\n"
    )
    (pictures / "t.csv").write_text(text)
    a, again, none, few, remote, absolute = rows(pictures / "t.csv")
    assert (a["key"], a["caption"], a["author"], read(a)) == ("images/a.jpg", "two\nlines, with comma", "Ann", b"a.jpg")
    assert (again["key"], again["captions"], json.loads(again["metadata"])) == ("images/a.jpg", ["x", "y"], {"author": "", "note": "1"})
    assert (none["caption"], "No such file" in none["error"]) == ("[sic]", True)
    assert "2 fields, the header 4" in few["error"]
    assert "URL" in remote["error"]
    assert read(absolute) == b"b.jpg"


def test_csv_in_another_shape(pictures: Path) -> None:
    (pictures / "t.tsv").write_bytes(b"where\twords\r\nimages/a.jpg\tcaf\xe9\r\n")
    with pytest.raises(SourceError, match=r"no column of pictures or paths. Its columns are where, words"):
        rows(pictures / "t.tsv")
    (row,) = rows(pictures / "t.tsv", media_column="where", caption_column="words")
    assert row["caption"] == "caf\ufffd"
    assert "not UTF-8" in json.loads(row["metadata"])["caption_encoding"]
    with pytest.raises(SourceError, match="no column 'nope'"):
        rows(pictures / "t.tsv", media_column="where", caption_column="nope")
    (pictures / "u.csv").write_text("image;text\nimages/a.jpg;x\n", encoding="utf-16")
    with pytest.raises(SourceError, match="UTF-16"):
        rows(pictures / "u.csv")
    (pictures / "s.csv").write_text("image;text\nimages/a.jpg;x, y\n")
    assert rows(pictures / "s.csv")[0]["caption"] == "x, y"


def test_paths_are_taken_before_bytes_that_may_be_anything(pictures: Path) -> None:
    columns = {"file_name": ["images/a.jpg"], "hash": [b"\x01"], "fixed": pa.array([b"12"], pa.binary(2))}
    pq.write_table(pa.table(columns), pictures / "t.parquet")
    (row,) = rows(pictures / "t.parquet")
    assert (read(row), row["metadata"]) == (b"a.jpg", None)
    pq.write_table(pa.table({"path": ["dbfs:/gone.jpg"], "content": [b"x"]}), pictures / "spark.parquet")
    assert read(rows(pictures / "spark.parquet")[0]) == b"x"


def test_captions_among_nulls_and_in_conversations(pictures: Path) -> None:
    pq.write_table(pa.table({"image": [b"x"], "caption": [["one", None]]}), pictures / "list.parquet")
    assert rows(pictures / "list.parquet")[0]["captions"] == ["one"]
    turns = [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "A cat."}]
    pq.write_table(pa.table({"image": [b"x"], "conversations": [turns]}), pictures / "llava.parquet")
    assert rows(pictures / "llava.parquet")[0]["caption"] == "A cat."


def test_a_quote_that_is_not_closed(pictures: Path) -> None:
    (pictures / "t.csv").write_text('image,caption\nimages/a.jpg,"open\nimages/b.jpg,b\n')
    with pytest.raises(SourceError, match=r"Lines 2 to 3 are one record: a quote"):
        rows(pictures / "t.csv")
    (pictures / "t.csv").write_text('image , caption\nimages/b.jpg,a 5" pipe\nimages/a.jpg,"open\nimages/b.jpg,b\n')
    good, bad = rows(pictures / "t.csv")
    assert (read(good), good["caption"]) == (b"b.jpg", 'a 5" pipe')
    assert "Lines 3 to 4" in bad["error"]


def test_lines_of_other_kinds(pictures: Path) -> None:
    lines = ['{"image": "images/a.jpg"}', '{"image": "images/b.jpg"}']
    (pictures / "mac.jsonl").write_bytes("\r".join(lines).encode())
    assert [read(row) for row in rows(pictures / "mac.jsonl")] == [b"a.jpg", b"b.jpg"]
    for text, said in ((f"[{lines[0]}]", "JSON list"), ("\ufeffx", "no record"), ("no\nno", "Line 1 is not valid JSON")):
        (pictures / "bad.jsonl").write_text(text)
        with pytest.raises(SourceError, match=said):
            rows(pictures / "bad.jsonl")
    (pictures / "bad.jsonl").write_text(f"[1]\n{lines[0]}")  # one odd line costs itself only
    assert [row["error"] for row in rows(pictures / "bad.jsonl")] == ["Line 1 is no JSON object.", None]
    (pictures / "bad.jsonl").write_text(lines[0], encoding="utf-16")
    with pytest.raises(SourceError, match="UTF-16"):
        rows(pictures / "bad.jsonl")


def test_pictures_as_text_and_tables_without_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": ["data:image/png;base64,iVBO", "a" * 5000]}), tmp_path / "t.parquet")
    listed = rows(tmp_path / "t.parquet")
    assert [row["key"] for row in listed] == ["t#0", "t#1"]
    assert all("base64" in row["error"] for row in listed)
    pq.write_table(pa.table({"image": pa.array([], pa.binary())}), tmp_path / "t.parquet")
    with pytest.raises(SourceError, match="no rows"):
        rows(tmp_path / "t.parquet")


def test_media_root_is_not_left(pictures: Path) -> None:
    (pictures / "secret.jpg").write_bytes(b"s")
    (pictures / "images" / "link.jpg").symlink_to(pictures / "secret.jpg")
    (pictures / "t.csv").write_text("image\na.jpg\n../secret.jpg\nlink.jpg\n/etc/hostname\n")
    listed = rows(pictures / "t.csv", media_root=str(pictures / "images"))
    assert [row["error"] is None for row in listed] == [True, False, False, False]
    assert all("leads outside" in row["error"] for row in listed[1:])


def test_json_lines(pictures: Path) -> None:
    lines = [
        '{"images": ["images/a.jpg"], "text": "<__dj__image> A bed. <|__dj__eoc|>", "meta": {"src": "x"}}',
        "not json",
        "[1]",
        "",
        '{"images": ["images/a.jpg", "images/b.jpg"], "text": "two"}',
        '{"images": [], "text": "none"}',
        '{"images": ["images/b.jpg"], "text": "\\ud83d lone", "id": "k\\u0000\u00e9"}',
        '{"images": ["a\\u0000b.jpg"]}',
    ]
    (pictures / "t.jsonl").write_text("\n".join(lines))
    bed, bad, wrong, two, none, lone, nul = rows(pictures / "t.jsonl")
    assert (bed["caption"], read(bed)) == ("A bed.", b"a.jpg")
    assert json.loads(bed["metadata"]) == {"raw_text": "<__dj__image> A bed. <|__dj__eoc|>", "meta": {"src": "x"}}
    assert "Line 2 is not valid JSON" in bad["error"]
    assert "Line 3 is no JSON object" in wrong["error"]
    assert "2 pictures" in two["error"]
    assert two["caption"] == "two"
    assert "0 pictures" in none["error"]
    assert (lone["key"], lone["caption"]) == ("k\0é", "\ufffd lone")
    assert nul["error"]


def test_a_broken_table_among_several(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [b"x"]}), tmp_path / "0.parquet")
    (tmp_path / "1.parquet").write_bytes(b"PAR1")
    pq.write_table(pa.table({"other": [1]}), tmp_path / "2.parquet")
    good, broken, odd = rows(tmp_path)
    assert read(good) == b"x"
    assert "not a readable Parquet file" in broken["error"]
    assert "no column of pictures" in odd["error"]
    with pytest.raises(SourceError, match="not a readable Parquet file"):
        rows(tmp_path / "1.parquet")


def test_urls_only(tmp_path: Path) -> None:
    pq.write_table(pa.table({"URL": ["http://x/1.jpg"], "TEXT": ["x"]}), tmp_path / "laion.parquet")
    with pytest.raises(SourceError, match=r"URLs only \(column 'URL'\).*--kind urls"):
        rows(tmp_path / "laion.parquet")
    (tmp_path / "t.csv").write_text("image,text\nhttps://x/1.jpg,x\n")
    with pytest.raises(SourceError, match=r"URLs only \(column 'image'\)"):
        rows(tmp_path / "t.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(SourceError, match="no header"):
        rows(tmp_path / "empty.csv")


@pytest.mark.skipif(not LAYOUTS.exists(), reason="the evaluation data folder ../shared/data is absent")
def test_real_layouts_list_or_say_why() -> None:
    said = []
    for path in sorted(LAYOUTS.iterdir()):
        try:
            assert rows(path)
        except SourceError as error:
            said.append((path.name, str(error)))
    assert len(said) == 9  # text and videos only, URLs only
    assert all(name in text for name, text in said)
    (first, *_) = rows(LAYOUTS / "demo-dataset-images-bytes.parquet")
    assert first["caption"] == "A comfortable bed."
    assert read(first).startswith(b"\x89PNG")
