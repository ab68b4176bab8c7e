"""A lake with its catalog in PostgreSQL and its data in an S3-compatible store, both real servers."""

import json
import subprocess
import sys
import uuid
from pathlib import Path

import pyarrow.fs
import pytest
from PIL import Image
from typer.testing import CliRunner

from benchmarks.servers import new_database
from manifests import create_lake, open_lake
from manifests.address import POINTER, lake_address, without_password
from manifests.changes import data_version
from manifests.errors import LakeBusyError, LakeError, LakeMissingError
from manifests.storage import filesystem
from manifests.upkeep import collect_garbage
from pipelines.cli import app
from pipelines.progress import Reporter
from pipelines.recipe import load_recipe
from pipelines.run import run_recipe

RECIPE = """
lake: {lake}
sources: [{{path: {pictures}}}]
operators: [media_facts, phash, image_quality, caption_quality, exact_duplicates, near_duplicates]
tiers: {{silver: {{wide: width >= 70}}, gold: {{from: silver, unique: not is_duplicate}}}}
export: {{tier: gold, to: {to}, seed: 3}}
"""


@pytest.fixture
def database(postgres: str) -> str:
    """A new database."""
    return new_database(postgres)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for n in range(12):
        picture = Image.effect_mandelbrot((64 + n, 64), (-2 + n / 10, -1.5, 1, 1.5), 60).convert("RGB")
        picture.save(folder / f"{n:02}.png")
        (folder / f"{n:02}.txt").write_text(f"The set of Mandelbrot, number {n}")
    (folder / "12.png").write_bytes((folder / "11.png").read_bytes())
    (folder / "13.png").write_bytes(b"no picture")
    return folder


def run(tmp_path: Path, name: str, pictures: Path) -> tuple[list[dict[str, object]], dict[str, bytes]]:
    """Run the recipe on the lake ``name``; the rows of ``wide`` but for times, and the shards."""
    recipe = tmp_path / f"{name}.yaml"
    recipe.write_text(RECIPE.format(lake=tmp_path / name, pictures=pictures, to=tmp_path / f"{name}-gold"))
    run_recipe(load_recipe(recipe), engine="inline", reporter=Reporter(quiet=True))
    with open_lake(tmp_path / name) as lake:
        rows = lake.rows("SELECT * EXCLUDE (ingested_at) FROM wide ORDER BY sample_id")
    return rows, {path.name: path.read_bytes() for path in (tmp_path / f"{name}-gold").glob("*.tar")}


def test_a_shared_lake_holds_what_a_local_one_does(tmp_path: Path, database: str, bucket: str, pictures: Path) -> None:
    address = lake_address(tmp_path / "team", f"{bucket}/{uuid.uuid4().hex}", database)
    with create_lake(address) as lake:
        assert lake.address == lake_address(tmp_path / "team")
    local, shared = run(tmp_path, "local", pictures), run(tmp_path, "team", pictures)
    assert shared == local
    assert len(shared[0]) == 14
    assert shared[1]
    assert not (tmp_path / "team" / "data").exists()
    with open_lake(tmp_path / "team", confined=True) as lake:
        assert lake.value("SELECT count(*) FROM wide WHERE sharpness > 0") == 13
        with pytest.raises(Exception, match="Permission"):
            lake.query("SELECT * FROM read_text('s3://other/file')")

    system, path = filesystem(address.data)
    with system.open_output_stream(f"{path}/main/signal_phash/part-lost.parquet") as out:
        out.write(b"never registered")
    with open_lake(address, read_only=False) as lake, lake.writing("gc"):
        assert [name for name in collect_garbage(lake) if "part-lost" in name]
    assert system.get_file_info(f"{path}/main/signal_phash/part-lost.parquet").type == pyarrow.fs.FileType.NotFound


def test_a_migrated_lake_goes_on_where_the_old_one_was(tmp_path: Path, database: str, bucket: str, pictures: Path) -> None:
    rows, shards = run(tmp_path, "local", pictures)
    arguments = ["migrate", str(tmp_path / "local"), str(tmp_path / "team"), "--catalog", database]
    assert CliRunner().invoke(app, arguments).exception is not None  # data must be somewhere, too
    data = f"{bucket}/{uuid.uuid4().hex}"
    done = CliRunner().invoke(app, [*arguments, "--data", data, "--json", "--quiet"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert {"refs", "samples", "wide", "signal_phash", "runs"} <= {row["relation"] for row in told["relations"]}
    with open_lake(tmp_path / "team") as lake:
        version = data_version(lake)
    assert run(tmp_path, "team", pictures) == (rows, shards)
    with open_lake(tmp_path / "team") as lake:
        counts = json.loads(lake.value("SELECT counts FROM runs ORDER BY started_at DESC LIMIT 1"))
        assert counts["passes"] == []
        assert data_version(lake) == version
        assert lake.value("SELECT count(*) FROM exports") == 2  # the old one is still known


def test_one_writer_at_a_time_whatever_the_machine(tmp_path: Path, database: str) -> None:
    address = lake_address(tmp_path / "team", str(tmp_path / "data"), database)
    create_lake(address).close()
    other = f"""
import sys, time
from manifests import open_lake
from manifests.address import lake_address
with open_lake(lake_address({str(tmp_path / "team")!r}), read_only=False) as lake, lake.writing("measure"):
    print("mine", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", other], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mine\n"
        with open_lake(address, read_only=False) as lake:
            with pytest.raises(LakeBusyError, match=r"'goldsieve measure on .*, process"), lake.writing("tier"):
                pass
            assert lake.value("SELECT count(*) FROM refs") == 0  # reading works meanwhile
            process.kill()
            with lake.writing("tier", wait_s=10):
                pass


def test_addresses_that_lead_nowhere_are_named(tmp_path: Path, database: str) -> None:
    data = str(tmp_path / "data")
    with pytest.raises(LakeMissingError, match="no lake at"):
        open_lake(lake_address(tmp_path / "team", data, database))
    unreachable = "postgresql://tester@127.0.0.1:9/none"
    with pytest.raises(LakeError, match="cannot be opened"):
        create_lake(lake_address(tmp_path / "team", data, unreachable))
    with pytest.raises(LakeError, match="leave the password out"):
        create_lake(lake_address(tmp_path / "team", data, database.replace("tester@", "tester:secret@")))
    with pytest.raises(LakeError, match="give --data"):
        lake_address(tmp_path / "team", None, database)
    with pytest.raises(LakeError, match="is not a catalog"):
        lake_address(tmp_path / "team", data, "mysql://host/lake")
    (tmp_path / "team").mkdir(exist_ok=True)
    (tmp_path / "team" / POINTER).write_text("{}")
    with pytest.raises(LakeError, match="does not say where the lake is"):
        open_lake(tmp_path / "team")


def test_data_elsewhere_is_found_again(tmp_path: Path, pictures: Path) -> None:
    create_lake(lake_address(tmp_path / "lake", str(tmp_path / "disk"))).close()
    assert json.loads((tmp_path / "lake" / POINTER).read_text()) == {"data": f"{tmp_path}/disk/"}
    rows, _ = run(tmp_path, "lake", pictures)
    assert len(rows) == 14
    assert list((tmp_path / "disk" / "main" / "signal_phash").glob("*.parquet"))
    assert not (tmp_path / "lake" / "data").exists()


def test_an_existing_lake_is_not_led_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    create_lake("plain").close()
    with pytest.raises(LakeError, match=r"already holds a lake, with its data in .*/plain/data/"):
        create_lake(lake_address("plain", "disk"))
    assert not Path("plain", POINTER).exists()
    create_lake(lake_address("lake", "disk")).close()
    create_lake(lake_address("lake", "disk")).close()  # once more is no other lake
    with pytest.raises(LakeError, match="already holds a lake"):
        create_lake(lake_address("lake", "another"))
    assert lake_address("lake").data == f"{tmp_path}/disk/"  # whatever folder the next command runs in


def test_a_lake_that_could_not_be_made_leaves_no_pointer(tmp_path: Path) -> None:
    address = lake_address(tmp_path / "team", str(tmp_path / "data"), "postgresql://tester@127.0.0.1:9/none")
    with pytest.raises(LakeError, match="cannot be opened"):
        create_lake(address)
    assert not (tmp_path / "team" / POINTER).exists()


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:a@b@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me@host:5432/db", "postgresql://me@host:5432/db"),
        ("host=h password='a b' user=me", "host=h password=*** user=me"),
    ],
)
def test_passwords_are_not_shown(address: str, shown: str) -> None:
    assert without_password(address) == shown
