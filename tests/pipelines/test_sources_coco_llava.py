import json
from pathlib import Path
from typing import Any

import pytest

from manifests.errors import SourceError
from pipelines.reader import Reader
from pipelines.sources import SourceSpec, list_source


def rows(path: Path, **settings: Any) -> list[dict[str, Any]]:
    return [row for batch in list_source(SourceSpec(str(path), **settings)) for row in batch.to_pylist()]


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def test_coco(tmp_path: Path) -> None:
    write(tmp_path / "images" / "val2017" / "01.jpg", b"one")
    content = {
        "licenses": [{"id": 3, "name": "CC BY-NC-ND", "url": "http://cc"}, {"id": [1]}],
        "images": [
            {"id": 1, "file_name": "01.jpg", "license": 3, "coco_url": "http://coco/1", "flickr_url": "http://f/1", "width": 5},
            {"id": 2, "file_name": "02.jpg", "license": [3]},
            {"id": 3, "file_name": "../../secret.jpg"},
            {"id": 4},
            "odd",
        ],
        "categories": [{"id": 9, "name": "cat"}],
        "annotations": [
            {"image_id": 1, "caption": "A cat.\n"},
            {"image_id": 1, "caption": "Second."},
            {"image_id": 1, "category_id": 9},
            {"image_id": 77, "caption": "nobody"},
            {"image_id": [1], "caption": "odd"},
        ],
    }
    write(tmp_path / "secret.jpg", b"s")
    one, two, up, nameless, lost, odd = rows(write(tmp_path / "annotations" / "captions_val2017.json", content))
    assert (one["source"], one["key"], one["captions"]) == ("captions_val2017", "01.jpg", ["A cat.", "Second."])
    assert (one["license"], one["source_url"]) == ("CC BY-NC-ND", "http://coco/1")
    assert json.loads(one["metadata"]) == {
        "id": 1, "license_url": "http://cc", "flickr_url": "http://f/1", "width": 5, "categories": ["cat"],
    }  # fmt: skip
    with Reader() as reader:
        assert reader.read(one["uri"], one["byte_offset"], one["byte_length"]) == b"one"
    assert "No such file" in two["error"]
    assert "leads outside" in up["error"]
    assert "names no picture" in nameless["error"]
    assert "2 pictures have annotations" in lost["error"]
    assert "1 entries" in odd["error"]


def test_coco_pictures_that_are_not_beside_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a" / "captions.json", {"images": [{"id": 1, "file_name": "1.jpg"}]})
    write(tmp_path / "far" / "1.jpg", b"x")
    with pytest.raises(SourceError, match="media_root"):
        rows(path)
    (row,) = rows(path, media_root=str(tmp_path / "far"), key_column="id")
    assert (row["key"], row["error"]) == ("1", None)


def test_llava(tmp_path: Path) -> None:
    write(tmp_path / "images" / "x" / "1.jpg", b"one")
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "<image> A cat."}, {"from": "gpt", "value": "More."}]
    content = [
        {"id": "s1", "image": "x/1.jpg", "conversations": turns},
        {"image": ["x/1.jpg"], "caption": ["one", "two"]},
        {"id": "text only", "conversations": turns[:1]},
        {"id": 5, "image": ["x/1.jpg", "x/1.jpg"]},
        "odd",
    ]
    first, second, text_only, two, odd = rows(write(tmp_path / "llava.json", content))
    assert (first["key"], first["caption"]) == ("s1", "A cat.")
    assert json.loads(first["metadata"])["conversations"] == turns
    assert (second["key"], second["captions"]) == ("x/1.jpg", ["one", "two"])
    assert "names no picture" in text_only["error"]
    assert (two["key"], "2 pictures" in two["error"]) == ("5", True)
    assert (odd["key"], "no object" in odd["error"]) == ("llava.json#4", True)


def test_other_names_and_content_in_parts(tmp_path: Path) -> None:
    write(tmp_path / "1.jpg", b"one")
    answer = [{"type": "text", "text": "A cat."}, {"type": "image"}]
    (row,) = rows(write(tmp_path / "chat.json", [{"images": ["1.jpg"], "messages": [{"role": "assistant", "content": answer}]}]))
    assert (row["uri"], row["caption"]) == (str(tmp_path / "1.jpg"), "A cat.")
    split = write(tmp_path / "split.json", {"images": [{"filename": "1.jpg", "imgid": 0}]})
    with pytest.raises(SourceError, match="They have filename, imgid; name one with media_column"):
        rows(split)
    (row,) = rows(split, media_column="filename")
    assert (row["key"], row["error"]) == ("1.jpg", None)
    with pytest.raises(SourceError, match="empty list"):
        rows(write(tmp_path / "empty.json", {"images": []}))


@pytest.mark.parametrize("content", [b"[1, 2]", b'{"a": 1}', b"{", b"[" * 100_000, b"\xff[]"])
def test_what_is_neither_says_so(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "x.json", content)
    with pytest.raises(SourceError, match=r"x\.json"):
        rows(path)
