"""What spares work gives what the work would have given: narrow views, listings that are not repeated, finished exports."""

import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from manifests import create_lake, open_lake
from manifests.few import copy_few, few_rows_sql
from manifests.tables import FORMAT_VERSION
from manifests.upkeep import collect_garbage
from manifests.wide import current_operators, narrow
from pipelines import ingest as ingesting
from pipelines import measure as measuring
from pipelines import run as running
from pipelines.ingest import ingest
from pipelines.progress import Reporter
from pipelines.recipe import load_recipe
from pipelines.run import RunResult, run_recipe
from pipelines.sources import SourceSpec
from pipelines.sources.containers import containers, containers_digest
from quality.why import why


def picture(number: int, quality: int = 90) -> bytes:
    out = io.BytesIO()
    coarse = np.random.default_rng(number).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((120, 90), Image.Resampling.NEAREST).save(out, "JPEG", quality=quality)
    return out.getvalue()


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe that was run: distinct pictures, a copy, a near copy, a copy of that, a broken one, no caption."""
    folder = tmp_path_factory.mktemp("ran")
    pictures = {f"{n}.jpg": picture(n) for n in range(6)}
    near = picture(1, quality=60)
    pictures |= {"copy.jpg": pictures["0.jpg"], "near.jpg": near, "near copy.jpg": near, "broken.jpg": pictures["2.jpg"][:700]}
    texts = {f"{Path(name).stem}.txt": f"a picture called {name}".encode() for name in pictures if name != "3.jpg"}
    write_tar(folder / "a.tar", dict(sorted((pictures | texts).items())))
    recipe = {
        "lake": "lake",
        "sources": ["a.tar"],
        "operators": ["media_facts", "phash", "caption_quality", "exact_duplicates", "near_duplicates"],
        "tiers": {"silver": {"unique": "not is_duplicate", "described": "caption_words > 2"}},
        "export": {"tier": "silver", "to": "out"},
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    run(folder)
    return folder


def run(folder: Path) -> RunResult:
    return run_recipe(load_recipe(folder / "recipe.yaml"), engine="inline", reporter=Reporter(quiet=True))


@pytest.fixture
def folder(ran: Path, tmp_path: Path) -> Path:
    """A copy of the folder, run once more because its files are new ones."""
    shutil.copytree(ran, tmp_path / "ran", ignore=shutil.ignore_patterns("lake", "out"))
    run(tmp_path / "ran")
    return tmp_path / "ran"


def test_narrow_shows_what_wide_shows(ran: Path) -> None:
    with open_lake(ran / "lake") as lake:
        whole = lake.query("SELECT * FROM wide ORDER BY sample_id")
        assert {"near", "exact"} <= set(whole["duplicate_kind"].to_pylist())
        for column in whole.schema.names:
            some = lake.query(f'SELECT "{column}" FROM {narrow(lake.connection, column.upper())} ORDER BY sample_id')
            assert some[column].to_pylist() == whole[column].to_pylist(), column
        assert "signal_phash" not in narrow(lake.connection, "width", "tier = 'gold'")


def test_rows_looked_up_by_key_are_those_of_wide(ran: Path) -> None:
    with open_lake(ran / "lake") as lake:
        whole = lake.rows("SELECT * FROM wide ORDER BY sample_id")
        operators = current_operators(lake.connection)
        for row in whole:
            copy_few(lake.connection, operators, [str(row["sample_id"])], "columns")
            assert lake.rows(few_rows_sql(operators, "columns")) == [row]
            assert why(lake, str(row["sample_id"])).sample["error"] == row["error"]
        copy_few(lake.connection, operators, [str(row["sample_id"]) for row in whole], "columns")
        assert lake.rows(f"SELECT * FROM ({few_rows_sql(operators, 'columns')}) ORDER BY sample_id") == whole


def test_why_shows_every_member_of_a_duplicate_group(ran: Path) -> None:
    with open_lake(ran / "lake") as lake:
        for row in lake.rows("SELECT CAST(sample_id AS VARCHAR) AS id, duplicate_group AS g FROM wide"):
            members = lake.rows("SELECT key FROM wide WHERE duplicate_group = ? ORDER BY is_duplicate, key", [row["g"]])
            assert [found["key"] for found in why(lake, row["id"]).duplicates] == [member["key"] for member in members]


def test_a_second_run_lists_plans_and_compares_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("done again")

    for module, name in ((ingesting, "list_source"), (running, "export"), (measuring, "corpus_input")):
        monkeypatch.setattr(module, name, never)
    again = run(folder)
    assert not again.measured
    assert (again.ingested[0].unchanged, again.ingested[0].added, again.ingested[0].vanished) == (10, 0, 0)
    assert again.exported is not None
    assert again.exported.written == 0
    assert again.exported.samples == again.tiers["silver"]
    assert again.failed == again.tiers["rejected"] == 1


def test_a_changed_archive_is_listed_again(folder: Path) -> None:
    write_tar(
        folder / "a.tar", {"0.jpg": picture(0), "0.txt": b"only one is left here", "new.jpg": picture(77), "new.txt": b"one more of them"}
    )
    recipe = load_recipe(folder / "recipe.yaml")
    found = run_recipe(recipe, engine="inline", reporter=Reporter(quiet=True), overwrite=True).ingested[0]
    assert (found.added, found.vanished) == (1, 9)


def test_rules_changed_and_changed_back_cost_one_look_at_the_export(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe(folder / "recipe.yaml")
    other = load_recipe(folder / "recipe.yaml", ["silver.described=caption_words > 99"])
    with open_lake(recipe.lake, read_only=False) as lake, running.recorded_run(lake, "tier", other, "inline") as (run_id, _):
        assert running.tier(lake, other, run_id)
    exported = run(folder).exported
    assert exported is not None
    assert exported.written == 0
    monkeypatch.delattr(running, "export")
    assert run(folder).exported == running.finished_before(open_lake(recipe.lake), recipe.export, recipe.digest)  # type: ignore[arg-type]


def test_a_missing_shard_is_written_again(folder: Path) -> None:
    (folder / "out" / "shard-000000.tar").unlink()
    exported = run(folder).exported
    assert exported is not None
    assert exported.written == 1
    assert (folder / "out" / "shard-000000.tar").exists()


def test_a_digest_tells_files_and_settings_apart(tmp_path: Path) -> None:
    write_tar(tmp_path / "b.tar", {"0.jpg": b"x"})
    spec = SourceSpec(str(tmp_path / "b.tar"))
    files = containers(spec)
    before = containers_digest(spec, files)
    assert before == containers_digest(spec, files)
    assert before != containers_digest(SourceSpec(spec.path, caption_column="alt"), files)
    stat = os.stat(files[0])
    data = Path(files[0]).read_bytes()
    (tmp_path / "c.tar").write_bytes(data)
    os.utime(tmp_path / "c.tar", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    os.replace(tmp_path / "c.tar", files[0])  # same name, size and time of modification
    assert before != containers_digest(spec, files)


def test_a_folder_and_a_table_of_paths_are_listed_each_time(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "0.jpg").write_bytes(picture(0))
    assert containers(SourceSpec(str(tmp_path / "p"))) == []
    (tmp_path / "t.jsonl").write_text('{"path": "p/0.jpg"}\n')
    assert containers(SourceSpec(str(tmp_path / "t.jsonl"))) == []


def test_a_parquet_table_of_paths_is_not_remembered(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "0.jpg").write_bytes(picture(0))
    pq.write_table(pa.table({"path": ["0.jpg"], "caption": ["a b c"]}), tmp_path / "t.parquet")
    with create_lake(tmp_path / "lake") as lake:
        spec, quiet = SourceSpec(str(tmp_path / "t.parquet")), Reporter(quiet=True)
        ingest(lake, spec, quiet)
        assert lake.value("SELECT count(*) FROM listings") == 0
        (tmp_path / "0.jpg").unlink()
        assert ingest(lake, spec, quiet, again=False).errors == 1


def test_a_lake_of_the_first_format_is_brought_up_to_date(tmp_path: Path) -> None:
    with create_lake(tmp_path / "lake") as lake:
        lake.connection.execute("DROP TABLE listings")
        lake.connection.execute("DROP TABLE protected")
        for name in ("outcome", '"error"', "route", "plan", "structured", "media_hash", "request_key", "clip_before", "clip_after"):
            lake.connection.execute(f"ALTER TABLE captions DROP COLUMN {name}")
        lake.connection.execute("UPDATE goldsieve SET value = '1' WHERE key = 'format_version'")
    with open_lake(tmp_path / "lake", read_only=False) as lake:
        assert lake.value("SELECT count(*) FROM listings") == 0
        assert lake.value("SELECT value FROM goldsieve WHERE key = 'format_version'") == str(FORMAT_VERSION)


def test_a_catalog_that_was_not_finished_is_no_lake_and_is_collected(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    unfinished = tmp_path / "lake" / ".manifest.sqlite.0000"
    unfinished.write_bytes(b"half")
    with create_lake(tmp_path / "lake") as lake:
        assert lake.value("SELECT count(*) FROM samples") == 0
        assert str(unfinished) in collect_garbage(lake)
    assert not unfinished.exists()
    assert not list((tmp_path / "lake").glob(".manifest*"))
