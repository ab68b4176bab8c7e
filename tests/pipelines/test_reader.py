import io
import os
import random
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests.errors import MediaError
from pipelines import opened
from pipelines.reader import OPEN_ARCHIVES, Reader, column_uri
from pipelines.sources import SourceSpec, list_source


def tar_of(path: Path, samples: dict[str, bytes], mode: Any = "w") -> list[dict[str, Any]]:
    with tarfile.open(path, mode) as tar:
        for key, data in samples.items():
            info = tarfile.TarInfo(f"{key}.jpg")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return [row for batch in list_source(SourceSpec(str(path))) for row in batch.to_pylist()]


def test_a_whole_file_and_what_can_be_wrong_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"abc")
    os.mkfifo(tmp_path / "pipe")
    with Reader(max_bytes=10) as reader:
        assert reader.read(str(path), None, 3) == b"abc"
        assert reader.read(str(path), None, None) == b"abc"
        with pytest.raises(MediaError, match="3 bytes, but 4 when it was listed"):
            reader.read(str(path), None, 4)
        with pytest.raises(MediaError, match="gone"):
            reader.read(str(tmp_path / "none.jpg"), None, 3)
        for odd in (tmp_path, tmp_path / "pipe"):
            with pytest.raises(MediaError, match="not a file"):
                reader.read(str(odd), None, None)
        with pytest.raises(MediaError, match="cannot be opened"):
            reader.read("a\0b", None, None)
        path.write_bytes(b"x" * 11)
        for length in (None, 11):
            with pytest.raises(MediaError, match="more than 10"):
                reader.read(str(path), None, length)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_members_read_by_many_threads_in_any_order(tmp_path: Path, mode: str) -> None:
    noise = random.Random(1)
    samples = {f"{number:04d}": noise.randbytes(noise.randrange(60_000)) for number in range(400)}
    samples["large"] = noise.randbytes(9 << 20)  # spans several chunks
    rows = tar_of(tmp_path / "x.tar", samples, mode)
    order = rows * 2
    noise.shuffle(order)
    with Reader() as reader, ThreadPoolExecutor(4) as pool:
        for row, data in zip(order, pool.map(lambda r: reader.read(r["uri"], r["byte_offset"], r["byte_length"]), order), strict=True):
            assert data == samples[row["key"]]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_an_archive_that_became_shorter(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "x.tar"
    (row,) = tar_of(path, {"a": random.Random(2).randbytes(100_000)}, mode)
    path.write_bytes(path.read_bytes()[:50_000])
    with Reader() as reader, pytest.raises(MediaError, match="Ingest the source again"):
        reader.read(row["uri"], row["byte_offset"], row["byte_length"])


def test_open_files_are_bounded_and_closed(tmp_path: Path) -> None:
    rows = [tar_of(tmp_path / f"{number}.tar", {"a": bytes([number])})[0] for number in range(OPEN_ARCHIVES + 10)]
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    with Reader() as reader:
        for _ in range(2):
            for number, row in enumerate(rows):
                assert reader.read(row["uri"], row["byte_offset"], 1) == bytes([number])
        if before:
            assert len(os.listdir("/proc/self/fd")) - before == OPEN_ARCHIVES
    if before:
        assert len(os.listdir("/proc/self/fd")) == before


def test_cells_of_parquet_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "CHUNK", 1000)  # several batches a row group, and more of them than are kept
    data = [random.Random(n).randbytes(n * 7 % 300) for n in range(300)]
    table = pa.table(
        {
            "a.b/c": pa.array(data, pa.binary()),
            "image": pa.array([{"bytes": b, "path": "p"} for b in data]),
            "one": pa.array([[b] for b in data]),
            "odd": pa.array([[], [b"1", b"2"], None, *[[b""]] * 297], pa.list_(pa.binary())),
        }
    )
    path = tmp_path / "t.parquet"
    pq.write_table(table, path, row_group_size=120)
    rows = list(range(300))
    random.Random(3).shuffle(rows)
    with Reader() as reader, ThreadPoolExecutor(3) as pool:
        for column in ("a.b/c", "image", "one"):
            uri = column_uri(str(path), column)
            assert list(pool.map(lambda row, uri=uri: reader.read(uri, row, None), range(300))) == data
            assert [reader.read(uri, row, None) for row in rows[:60]] == [data[row] for row in rows[:60]]
        odd = column_uri(str(path), "odd")
        for row, message in [(0, "0 pictures"), (1, "2 pictures"), (2, "no bytes"), (300, "300 rows"), (-1, "300 rows")]:
            with pytest.raises(MediaError, match=message):
                reader.read(odd, row, None)
        with pytest.raises(MediaError, match="no column"):
            reader.read(column_uri(str(path), "none"), 0, None)
        (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
        with pytest.raises(MediaError, match="cannot be read"):
            reader.read(column_uri(str(tmp_path / "bad.parquet"), "x"), 0, None)
        with pytest.raises(MediaError, match="gone"):
            reader.read(column_uri(str(tmp_path / "none.parquet"), "x"), 0, None)


def test_oversized_cells_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"image": [random.Random(4).randbytes(5000)]}), path)
    with Reader(max_bytes=1000) as reader, pytest.raises(MediaError, match="more than 1000"):
        reader.read(column_uri(str(path), "image"), 0, None)
