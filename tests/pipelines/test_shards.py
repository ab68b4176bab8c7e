import json
import tarfile
import uuid
from pathlib import Path

import pyarrow as pa
import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import GoldsieveError, MediaError
from manifests.schema import media_hash
from pipelines.sample_json import described, json_text
from pipelines.shards import ShardRecord, extension_of, original, tar_header, write_shard

BLOBS = {"a": b"first", "b": b"second" * 1000, "c": b"", "d": b"fourth"}


def table(**changes: object) -> pa.Table:
    rows = [
        {
            "sample_id": str(uuid.UUID(int=n)),
            "key": f"key.{uri}",
            "uri": uri,
            "byte_offset": None,
            "byte_length": len(data),
            "media_hash": str(media_hash(data)),
            "format": "jpeg",
            "caption": "Grüße",
            "metadata": None,
            **changes,
        }
        for n, (uri, data) in enumerate(BLOBS.items(), start=1)
    ]
    return pa.Table.from_pylist(rows)


def read(uri: str, offset: int | None, length: int | None) -> bytes:
    return BLOBS[uri]


def write(folder: Path, rows: pa.Table, read=read, name: str = "shard-000000.tar") -> ShardRecord:
    return write_shard(folder / name, folder / "x.part", rows, read, original)


@given(st.text("abcdefghij0123456789-.", min_size=1, max_size=99), st.integers(0, (8 << 30) - 1))
def test_header_is_the_one_tarfile_writes(name, size):
    member = tarfile.TarInfo(name)
    member.size = size
    assert tar_header(name, size) == member.tobuf(tarfile.USTAR_FORMAT)


def test_member_too_large_for_ustar_is_an_error():
    with pytest.raises(MediaError, match="8 GiB"):
        tar_header("x.mp4", 8 << 30)


def test_shard_holds_original_bytes_caption_and_json(tmp_path):
    record = write(tmp_path, table())
    with tarfile.open(tmp_path / record.name) as tar:
        files = {m.name: tar.extractfile(m).read() for m in tar}
        assert [m.name for m in tar][:3] == [f"{uuid.UUID(int=1)}.{e}" for e in ("jpg", "json", "txt")]
    first = str(uuid.UUID(int=1))
    assert files[f"{first}.jpg"] == b"first"
    assert files[f"{first}.txt"].decode() == "Grüße"
    assert json.loads(files[f"{first}.json"])["key"] == "key.a"
    assert (record.samples, record.extensions, record.left_out) == (4, {"jpg": 4}, ())
    assert record.bytes == (tmp_path / record.name).stat().st_size
    assert ShardRecord.from_json(record.to_json()) == record


def test_same_rows_same_bytes(tmp_path):
    assert write(tmp_path, table()).sha256 == write(tmp_path, table(), name="shard-000001.tar").sha256
    assert (tmp_path / "shard-000000.tar").read_bytes() == (tmp_path / "shard-000001.tar").read_bytes()


def test_no_caption_no_txt(tmp_path):
    rows = table().set_column(table().column_names.index("caption"), "caption", pa.array([None, "", "x", None], pa.string()))
    with tarfile.open(tmp_path / write(tmp_path, rows).name) as tar:
        assert [m.name.split(".")[1] for m in tar] == ["jpg", "json", "jpg", "json", "txt", "jpg", "json", "txt", "jpg", "json"]


def test_gone_changed_and_unmeasured_samples_are_left_out_with_reasons(tmp_path):
    def hostile(uri: str, offset: int | None, length: int | None) -> bytes:
        if uri == "a":
            raise FileNotFoundError(2, "No such file or directory", uri)
        if uri == "b":
            raise MediaError("The file is gone.")
        return b"other" if uri == "c" else BLOBS[uri]

    record = write(tmp_path, table(), hostile)
    assert record.samples == 1
    reasons = {item.key: item.reason for item in record.left_out}
    assert reasons["key.a"] == "a cannot be read: No such file or directory"
    assert reasons["key.b"] == "b: The file is gone."
    assert "has changed since it was measured" in reasons["key.c"]
    assert "never read" in write(tmp_path, table(media_hash=None)).left_out[0].reason


def test_shard_without_samples_is_not_written(tmp_path):
    record = write(tmp_path, table(media_hash=None))
    assert (record.samples, record.bytes, record.sha256, len(record.left_out)) == (0, 0, "", 4)
    assert list(tmp_path.iterdir()) == []


def test_nothing_stays_when_writing_stops(tmp_path):
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shard(tmp_path / "s.tar", tmp_path / "x.part", table(), read, original, stop)
    assert list(tmp_path.iterdir()) == []


def test_disk_errors_name_the_shard(tmp_path):
    with pytest.raises(GoldsieveError, match=r"s\.tar cannot be written: No such file"):
        write_shard(tmp_path / "s.tar", tmp_path / "missing" / "x.part", table(), read, original)


def test_media_are_read_in_stored_order_and_written_in_planned_order(tmp_path):
    asked = []

    def watch(uri: str, offset: int | None, length: int | None) -> bytes:
        asked.append(uri)
        return BLOBS[uri]

    rows = table().take([3, 1, 2, 0])
    with tarfile.open(tmp_path / write(tmp_path, rows, watch).name) as tar:
        media = [tar.extractfile(m).read() for m in tar if m.name.endswith("jpg")]
    assert asked == ["a", "b", "c", "d"]
    assert media == [BLOBS[uri] for uri in "dbca"]


@pytest.mark.parametrize(
    ("name", "extension"),
    [("jpeg", "jpg"), ("PNG", "png"), ("tiff", "tif"), (None, "bin"), ("../x", "bin"), ("json", "bin")],
)
def test_extension(name, extension):
    assert extension_of(name) == extension


def test_json_values_any_reader_takes():
    rows = pa.table(
        {
            "phash": pa.array([2**64 - 1, None], pa.uint64()),
            "f32": pa.array([0.1, float("nan")], pa.float32()),
            "f64": pa.array([1e300, float("-inf")], pa.float64()),
            "vector": pa.array([[0.5, float("nan")], []], pa.list_(pa.float32())),
            "id": pa.array([uuid.UUID(int=7).bytes, None], pa.uuid()),
            "metadata": pa.array(['{"b": NaN, "a": "\\ud800"}', "not json"]),
            "evidence": pa.array([[{"kind": "c2pa", "strength": "proof"}], None]),
        }
    )
    (_, first), (_, second) = described(rows)
    assert json.loads(first)["phash"] == "f" * 16
    assert json.loads(second) == dict.fromkeys(rows.column_names) | {"vector": [], "metadata": "not json"}
    assert b'"f32":0.1,' in first
    assert json.loads(first)["vector"] == [0.5, None]
    assert json.loads(first)["id"] == str(uuid.UUID(int=7))
    assert b"NaN" not in first + second
    assert b"Infinity" not in first + second
    assert list(json.loads(first)) == sorted(rows.column_names)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v), max_leaves=8
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(), json_values), st.text(st.characters(codec="utf-8")))
def test_any_metadata_and_caption_make_valid_json(metadata, caption):
    text = json_text({"metadata": json.dumps(metadata), "caption": caption})
    found = json.loads(text.decode("ascii"), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert found["caption"] == caption
    assert b"\n" not in text


def test_metadata_nested_too_deep_stays_text():
    deep = "[" * 100_000 + "]" * 100_000
    assert json.loads(json_text({"metadata": deep}))["metadata"] == deep


@pytest.mark.filterwarnings("ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning")  # webdataset leaves it open
def test_shard_reads_with_webdataset(tmp_path):
    record = write(tmp_path, table())
    found = list(webdataset.WebDataset([str(tmp_path / record.name)], shardshuffle=False))
    assert [s["__key__"] for s in found] == [str(uuid.UUID(int=n)) for n in range(1, 5)]
    assert found[1]["jpg"] == BLOBS["b"]
