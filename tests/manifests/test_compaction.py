import uuid
from pathlib import Path

import pyarrow as pa
import pytest

from manifests import Lake, compaction, create_lake, open_lake
from manifests.changes import data_version
from manifests.parts import Part, signal_part, signal_schema, uuids
from manifests.upkeep import collect_garbage
from manifests.versions import OperatorVersion

ADDS = pa.schema([("value", pa.float32())])


def part(lake: Lake, rows: int) -> Part:
    keys = uuids([uuid.uuid4() for _ in range(rows)])
    return signal_part(lake.address.data, "signal_x", ADDS, keys, "f" * 16, uuid.uuid4(), {"value": pa.array(range(rows), pa.float32())})


@pytest.fixture
def lake(tmp_path: Path):
    with create_lake(tmp_path / "lake") as made:
        made.set_current(OperatorVersion("x", "f" * 16, "media", signal_schema(ADDS)))
        yield made


def files(lake: Lake) -> int:
    return int(lake.value("SELECT file_count FROM ducklake_table_info('lake') WHERE table_name = 'signal_x'"))


def test_many_parts_become_one_sorted_file_and_the_past_stays(lake, monkeypatch):
    monkeypatch.setattr(compaction, "SMALL_FILES", 5)
    for _ in range(4):
        lake.commit([part(lake, 10)], "measure")
    assert lake.compact() == []
    lake.commit([part(lake, 10)], "measure")
    before, version, snapshot = lake.query("SELECT * FROM signal_x ORDER BY key"), data_version(lake), lake.snapshot()
    assert lake.compact() == ["signal_x"]
    assert files(lake) == 1
    assert lake.query("SELECT * FROM signal_x ORDER BY key").equals(before)
    assert lake.query("SELECT * FROM signal_x").column("key").to_pylist() == before.column("key").to_pylist(), "sorted by key"
    assert data_version(lake) == version, "nothing must be tiered or grouped anew"
    assert lake.value(f"SELECT count(*) FROM signal_x AT (VERSION => {snapshot - 1})") == 40


def test_gc_removes_the_merged_parts_only(lake, tmp_path, monkeypatch):
    monkeypatch.setattr(compaction, "SMALL_FILES", 2)
    for _ in range(3):
        lake.commit([part(lake, 7)], "measure")
    lake.compact()
    on_disk = set((tmp_path / "lake").rglob("*.parquet"))
    assert len(collect_garbage(lake, dry_run=True)) == 3
    assert set((tmp_path / "lake").rglob("*.parquet")) == on_disk
    assert len(collect_garbage(lake)) == 3
    assert len(set((tmp_path / "lake").rglob("*.parquet"))) == len(on_disk) - 3
    with open_lake(tmp_path / "lake") as other:
        assert other.value("SELECT count(*) FROM signal_x") == 21
