"""A lake copied to another address: every snapshot the same, whatever database the catalog is in."""

import shutil
import uuid
from pathlib import Path

import duckdb
import pytest

from benchmarks.servers import new_database
from manifests import copying, create_lake, open_lake
from manifests.address import LakeAddress, lake_address
from manifests.copying import copy_lake
from manifests.errors import LakeBusyError, LakeError, UsageError
from manifests.runs import begin_run
from manifests.upkeep import collect_garbage

COLUMNS = """
    a UUID, b DOUBLE, c FLOAT[], d STRUCT(k VARCHAR, v UBIGINT)[], e TIMESTAMPTZ, f BLOB, g UBIGINT, h JSON, i BOOLEAN, j FLOAT,
    k VARCHAR, l TINYINT, m SMALLINT, n INTEGER, o BIGINT, p USMALLINT, q VARCHAR[]"""
ROW = r"""
    SELECT md5(i::VARCHAR)::UUID, CASE i WHEN 1 THEN 'nan'::DOUBLE ELSE i / 7 END, [1.1, NULL, i],
        [{'k': 'x''" \x41', 'v': 18446744073709551615}],
        '2026-01-02 03:04:05.678901+02'::TIMESTAMPTZ, '\x00\xff'::BLOB, 18446744073709551615, '{"a": "\u00e9"}', i % 2 = 0, 'inf',
        'é \x41 '' " ' || i, -5, -500, -70000, -5000000000, 65535, ['a, b', NULL, '"']"""


@pytest.fixture
def database(postgres: str) -> str:
    """A new database."""
    return new_database(postgres)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Rows in files and rows in the catalog, deletions in both, a table that was dropped, a column that was added."""
    with create_lake(tmp_path / "lake") as lake:
        run = lake.connection.execute
        run(f"CREATE TABLE everything ({COLUMNS})")
        run(f"INSERT INTO everything {ROW} FROM range(3) t(i)")
        run("INSERT INTO everything (k) VALUES (NULL), ('')")
        run(f"INSERT INTO everything {ROW} FROM range(100, 200) t(i)")
        run("DELETE FROM everything WHERE n IS NOT NULL AND b BETWEEN 15 AND 16")
        run("DELETE FROM everything WHERE k = ''")
        run("ALTER TABLE everything ADD COLUMN later VARCHAR[]")
        run("INSERT INTO everything (k, later) VALUES ('new', ['x'])")
        run("CREATE TABLE gone AS SELECT i FROM range(50) t(i)")
        run("DROP TABLE gone")
        begin_run(lake, "measure", "inline", text="lake: ./x\n# é")
    return tmp_path / "lake"


def history(address: LakeAddress | Path) -> dict[tuple[int, str], object]:
    """The rows of two tables in every snapshot."""
    found: dict[tuple[int, str], object] = {}
    with open_lake(address) as lake:
        for number in range(lake.snapshot() + 1):
            for table in ("everything", "runs"):
                try:
                    sql = f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM {table} AT (VERSION => {number}) ORDER BY ALL"
                    found[number, table] = lake.connection.execute(sql).fetchall()
                except duckdb.CatalogException:
                    found[number, table] = "not yet"
    return found


def test_every_snapshot_is_the_same_in_either_database(tmp_path: Path, lake: Path, database: str, bucket: str) -> None:
    before = history(lake)
    team = lake_address(tmp_path / "team", f"{bucket}/{uuid.uuid4().hex}", database)
    there = copy_lake(lake_address(lake), team)
    assert there.files == 2
    assert there.there == 0
    assert there.relations["everything"].rows == 3 + 2 + 100 + 1 - 8 - 1
    assert history(tmp_path / "team") == before
    back = lake_address(tmp_path / "back")
    copy_lake(team, back)
    assert history(back) == before
    plain = copy_lake(lake_address(lake), lake_address(tmp_path / "plain"))
    assert plain.relations == there.relations
    for address in (team, back):  # the copies are lakes of their own: they can be written, and collected
        with open_lake(address, read_only=False) as copied, copied.writing("test"):
            copied.add_labels([(str(uuid.uuid4()), "good", "yes", "me")])
            assert copied.value("SELECT count(*) FROM labels") == 1
            assert collect_garbage(copied) == []
    assert history(lake) == before
    with pytest.raises(LakeError, match="labels differ"):
        copy_lake(lake_address(lake), back)


def test_a_copy_that_was_stopped_goes_on(tmp_path: Path, lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = lake_address(tmp_path / "new")

    def stop(done: int, of: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_lake(lake_address(lake), new, stop)
    monkeypatch.setattr(copying, "copy_catalog", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
    with pytest.raises(OSError, match="no space"):
        copy_lake(lake_address(lake), new)
    monkeypatch.undo()
    assert not (tmp_path / "new" / "manifest.sqlite").exists()
    finished = copy_lake(lake_address(lake), new)
    assert (finished.files, finished.there) == (0, 2)
    assert not [*(tmp_path / "new").glob(".*"), *(tmp_path / "new" / "data").glob("copying")]
    assert copy_lake(lake_address(lake), new).relations == finished.relations  # all is there: it only proves


def test_a_place_that_is_not_empty_is_refused(tmp_path: Path, lake: Path) -> None:
    old = lake_address(lake)
    (tmp_path / "full" / "data").mkdir(parents=True)
    (tmp_path / "full" / "data" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        copy_lake(old, lake_address(tmp_path / "full"))
    assert (tmp_path / "full" / "data" / "mine.txt").read_text() == "mine"
    create_lake(tmp_path / "other").close()
    with pytest.raises(LakeError, match="not equal"):
        copy_lake(old, lake_address(tmp_path / "other"))
    with pytest.raises(UsageError, match="another place"):
        copy_lake(old, old)
    with open_lake(lake, read_only=False) as writer, writer.writing("measure"), pytest.raises(LakeBusyError):
        copy_lake(old, lake_address(tmp_path / "new"))


def test_a_lost_file_is_named_and_nothing_pretends_to_be_a_copy(tmp_path: Path, lake: Path) -> None:
    part = next((lake / "data").rglob("*.parquet"))
    shutil.move(part, tmp_path / "lost")
    with pytest.raises(LakeError, match=part.name):
        copy_lake(lake_address(lake), lake_address(tmp_path / "new"))
    assert not (tmp_path / "new" / "manifest.sqlite").exists()
