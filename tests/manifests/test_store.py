"""The lake with a real DuckLake: ingest, parts, time travel, other processes."""

import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from manifests import Lake, create_lake, open_lake
from manifests.changes import data_version
from manifests.errors import LakeBusyError, LakeError, LakeMissingError, PromiseError, SqlError
from manifests.parts import Part, signal_part, signal_schema, uuids
from manifests.runs import begin_run, end_run
from manifests.schema import REFERENCE, pair_hash
from manifests.upkeep import collect_garbage
from manifests.versions import OperatorVersion

ADDS = pa.schema([("score", pa.float32())])


def listing(*rows: tuple[str, str, str | None], stamp: str = "1") -> Iterator[pa.RecordBatch]:
    """(key, uri, caption) as a source would list them."""
    records = [
        {"source": "s", "key": k, "uri": u, "stamp": stamp, "modality": "image", "caption": c, "captions": [c] if c else []}
        for k, u, c in rows
    ]
    yield pa.RecordBatch.from_pylist(records, schema=REFERENCE)


def scores(lake: Lake, keys: list[uuid.UUID], values: list[float], fingerprint: str = "f1") -> Part:
    lake.set_current(OperatorVersion("op", fingerprint, "caption", signal_schema(ADDS)))
    columns = {"score": pa.array(values, type=pa.float32())}
    return signal_part(lake.address.data, "signal_op", ADDS, uuids(keys), fingerprint, uuid.uuid4(), columns)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    with create_lake(tmp_path / "lake") as made:
        yield made


def test_ingest_again_adds_changes_and_reports_vanished(lake: Lake) -> None:
    first = lake.ingest("s", "/x", listing(("a", "/x/a", "one"), ("b", "/x/b", "two"), ("c", "/x/c", None)))
    assert (first.added, first.changed, first.unchanged, first.vanished) == (3, 0, 0, 0)
    ids = {row["key"]: row["sample_id"] for row in lake.rows("SELECT key, sample_id FROM samples")}
    again = lake.ingest("s", "/x", listing(("a", "/x/a", "one"), ("b", "/x/b", "2"), ("d", "/x/d", "new")))
    assert (again.added, again.changed, again.unchanged, again.vanished) == (1, 1, 1, 1)
    rows = {row["key"]: row for row in lake.rows("SELECT key, sample_id, caption, vanished FROM samples")}
    assert {k: rows[k]["sample_id"] for k in ids} == ids
    assert rows["b"]["caption"] == "2"
    assert [k for k, row in rows.items() if row["vanished"]] == ["c"]
    assert lake.value("SELECT count(*) FROM wide") == 3
    back = lake.ingest("s", "/x", listing(("a", "/x/a", "one"), ("b", "/x/b", "2"), ("c", "/x/c", None), ("d", "/x/d", "new")))
    assert (back.added, back.changed, back.vanished) == (0, 1, 0)
    assert lake.value("SELECT count(*) FROM wide") == 4


def test_keys_used_twice_keep_their_ids(lake: Lake) -> None:
    lake.ingest("s", "/x", listing(("k", "/x/1", "a"), ("k", "/x/2", "b")))
    before = lake.rows("SELECT sample_id, uri FROM samples ORDER BY uri")
    assert len({row["sample_id"] for row in before}) == 2
    lake.ingest("s", "/y", listing(("k", "/y/1", "c")))  # the same source fed from another folder
    result = lake.ingest("s", "/x", listing(("k", "/x/1", "a"), ("k", "/x/2", "b")))
    assert result.unchanged == 2
    assert lake.rows("SELECT sample_id, uri FROM samples WHERE uri LIKE '/x/%' ORDER BY uri") == before
    assert lake.value("SELECT count(DISTINCT sample_id) FROM samples") == 3


def test_a_changed_file_is_a_new_reference_with_the_same_id(lake: Lake) -> None:
    lake.ingest("s", "/x", listing(("a", "/x/a", "one"), stamp="1"))
    before = lake.rows("SELECT sample_id, ref_hash FROM samples")[0]
    assert lake.ingest("s", "/x", listing(("a", "/x/a", "one"), stamp="2")).changed == 1
    after = lake.rows("SELECT sample_id, ref_hash FROM samples")[0]
    assert after["sample_id"] == before["sample_id"]
    assert after["ref_hash"] != before["ref_hash"]


def test_a_key_is_stored_once_however_often_it_is_committed(lake: Lake) -> None:
    keys = [uuid.uuid4() for _ in range(4)]
    lake.commit([scores(lake, keys[:3], [1, 2, 3]), scores(lake, keys[2:], [3, 4])], "one")
    lake.commit([scores(lake, keys, [1, 2, 3, 4])], "two")
    assert lake.rows("SELECT count(*) AS n, count(DISTINCT key) AS keys, sum(score) AS total FROM signal_op") == [
        {"n": 4, "keys": 4, "total": 10.0}
    ]


def test_wide_shows_the_current_version_of_an_operator(lake: Lake) -> None:
    lake.ingest("s", "/x", listing(("a", "/x/a", "one")))
    key = uuid.UUID(lake.value("SELECT CAST(caption_hash AS VARCHAR) FROM samples"))
    lake.commit([scores(lake, [key], [1.0], "f1")], "old")
    assert lake.value("SELECT score FROM wide") == 1.0
    lake.commit([scores(lake, [key], [2.0], "f2")], "new")
    assert lake.value("SELECT score FROM wide") == 2.0
    lake.set_current(OperatorVersion("op", "f1", "caption", signal_schema(ADDS)))
    assert lake.value("SELECT score FROM wide") == 1.0
    assert lake.value("SELECT is_duplicate FROM wide") is None


def test_an_operator_may_add_a_column_but_not_change_a_type(lake: Lake) -> None:
    lake.set_current(OperatorVersion("op", "f1", "caption", signal_schema(ADDS)))
    wider = pa.schema([("score", pa.float32()), ("extra", pa.string())])
    lake.set_current(OperatorVersion("op", "f2", "caption", signal_schema(wider)))
    assert "extra" in lake.query("SELECT * FROM wide").column_names
    with pytest.raises(PromiseError, match="keeps its type"):
        lake.set_current(OperatorVersion("op", "f3", "caption", signal_schema(pa.schema([("score", pa.string())]))))


def test_pair_hash_is_the_same_in_python_and_sql(lake: Lake) -> None:
    media, caption = uuid.uuid4(), uuid.uuid4()
    in_sql = lake.value("SELECT CAST(CAST(md5(concat(?::UUID, ?::UUID)) AS UUID) AS VARCHAR)", [str(media), str(caption)])
    assert in_sql == str(pair_hash(media, caption))


def test_time_travel_and_data_version(lake: Lake) -> None:
    lake.ingest("s", "/x", listing(("a", "/x/a", "one")))
    then, version = lake.snapshot(), data_version(lake)
    run = begin_run(lake, "test", "inline")
    end_run(lake, run, "done", {})
    assert lake.snapshot() > then
    assert data_version(lake) == version  # runs are not data
    lake.ingest("s", "/x", listing(("a", "/x/a", "one"), ("b", "/x/b", "two")))
    assert data_version(lake) > version
    assert lake.query("SELECT count(*) AS n FROM wide", at=then).to_pylist() == [{"n": 1}]
    assert lake.value("SELECT count(*) FROM wide") == 2


def test_unregistered_parts_are_invisible_and_collected(lake: Lake) -> None:
    part = scores(lake, [uuid.uuid4()], [1.0])
    unfinished = Path(part.path).with_name(".part-left.parquet")
    unfinished.write_bytes(b"half")
    assert lake.value("SELECT count(*) FROM signal_op") == 0
    assert len(collect_garbage(lake, dry_run=True)) == 2
    assert Path(part.path).exists()
    collect_garbage(lake)
    assert not Path(part.path).exists()
    assert not unfinished.exists()
    assert collect_garbage(lake) == []


def test_collecting_keeps_what_is_registered(lake: Lake) -> None:
    keys = [uuid.uuid4() for _ in range(20)]
    lake.commit([scores(lake, keys, [1.0] * 20)], "m")
    collect_garbage(lake)
    assert lake.value("SELECT count(*) FROM signal_op") == 20


def test_a_failed_transaction_leaves_nothing(lake: Lake) -> None:
    before = lake.snapshot()
    part = scores(lake, [uuid.uuid4()], [1.0])
    broken = Part("signal_op", part.path + ".missing", 1, 0)
    with pytest.raises(Exception, match="missing"):
        lake.commit([part, broken], "m")
    assert lake.value("SELECT count(*) FROM signal_op") == 0
    assert lake.snapshot() >= before


def test_another_process_reads_while_this_one_writes(lake: Lake) -> None:
    lake.ingest("s", "/x", listing(("a", "/x/a", "one")))
    program = f"from manifests import open_lake; print(open_lake({str(lake.address.folder)!r}).value('select count(*) from wide'))"
    with lake.writing("test"), lake.transaction("open"):
        lake.connection.execute("INSERT INTO labels VALUES (gen_random_uuid(), 'l', 'v', NULL, now())")
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "1"


def test_one_writer_at_a_time_and_the_holder_is_named(lake: Lake) -> None:
    with lake.writing("first run"), open_lake(lake.address, read_only=False) as other:
        second = other.writing("second")
        with pytest.raises(LakeBusyError, match="first run"):
            second.__enter__()
    with lake.writing("third"):
        pass


def test_a_moved_lake_opens(lake: Lake, tmp_path: Path) -> None:
    lake.commit([scores(lake, [uuid.uuid4() for _ in range(20)], [1.0] * 20)], "m")
    lake.close()
    shutil.move(tmp_path / "lake", tmp_path / "elsewhere")
    with open_lake(tmp_path / "elsewhere") as moved:
        assert moved.value("SELECT count(*) FROM signal_op") == 20


def test_missing_foreign_and_newer_lakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(LakeMissingError, match="goldsieve init"):
        open_lake(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    with pytest.raises(LakeError, match="is a file"):
        create_lake(tmp_path / "file")
    with create_lake(tmp_path / "lake") as lake:
        lake.connection.execute("UPDATE goldsieve SET value = '999'")
    with pytest.raises(LakeError, match="upgrade goldsieve"):
        open_lake(tmp_path / "lake", read_only=False)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO labels VALUES (gen_random_uuid(), 'x', 'y', NULL, now())",
        "DROP VIEW wide",
        "COPY refs TO '/tmp/stolen.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "ATTACH '/tmp/other.db'",
        "SET enable_external_access = true",
    ],
)
def test_confined_sql_only_reads_the_lake(lake: Lake, sql: str) -> None:
    lake.ingest("s", "/x", listing(("a", "/x/a", "one")))
    with open_lake(lake.address, confined=True) as confined:
        assert confined.value("SELECT count(*) FROM wide") == 1
        with pytest.raises(SqlError):
            confined.query(sql)


def test_files_of_a_local_lake_are_not_kept_in_memory(lake: Lake) -> None:
    """DuckDB's copies of them would grow with every commit of a long run."""
    for i in range(3):
        keys = [uuid.uuid4() for _ in range(1000)]
        lake.commit([scores(lake, keys, [float(i)] * 1000)], "measure op")
        assert lake.value("SELECT sum(score) FROM signal_op") == sum(range(i + 1)) * 1000
    cached = lake.value("SELECT sum(memory_usage_bytes) FROM duckdb_memory() WHERE tag = 'EXTERNAL_FILE_CACHE'")
    assert cached == 0
