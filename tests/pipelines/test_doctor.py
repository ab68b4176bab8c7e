"""Lakes with lost, cut and changed files: doctor names them, repair drops what a run makes again, labels are never given up unasked."""

import json
import uuid
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.common import lake_content
from benchmarks.servers import new_database
from manifests import open_lake
from manifests.address import lake_address
from manifests.copying import copy_lake
from manifests.runs import begin_run
from pipelines.cli import app
from pipelines.journal import noted


def goldsieve(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    return done.exit_code, done.stdout, done.output + str(done.exception or "")


def faults(lake: Path, *more: str) -> dict[str, str]:
    """What doctor finds wrong, by check."""
    _, out, _ = goldsieve("doctor", lake, "--json", "--quiet", *more)
    return {row["check"]: row["detail"] for row in json.loads(out) if not row["ok"]}


def part(lake: Path, table: str) -> Path:
    """The newest file of a table."""
    return max((lake / "data" / "main" / table).glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)


def flip(path: Path) -> None:
    """Change a bit of each byte at the beginning of the rows; the size stays."""
    data = bytearray(path.read_bytes())
    data[20:400] = bytes(byte ^ 0x10 for byte in data[20:400])
    path.write_bytes(data)


def test_lost_cut_and_changed_parts_are_measured_again(decided_copy: Path) -> None:
    lake = decided_copy / "lake"
    assert faults(lake) == {}
    before = lake_content(lake)
    part(lake, "signal_image_quality").unlink()
    cut = part(lake, "signal_phash")
    cut.write_bytes(cut.read_bytes()[:-50])
    flip(part(lake, "signal_caption_quality"))
    part(lake, "signal_near_duplicates").unlink()
    part(lake, "tiers").unlink()
    found = faults(lake)
    assert set(found) == {f"signal_{name}" for name in ("image_quality", "phash", "caption_quality", "near_duplicates")} | {"tiers"}
    assert "is gone; goldsieve doctor" in found["signal_image_quality"]
    assert "bytes, not" in found["signal_phash"]
    assert "cannot be read" in found["signal_caption_quality"]
    assert "signal_caption_quality" not in faults(lake, "--quick")

    code, out, told = goldsieve("doctor", lake, "--repair", "--quiet")
    assert code == 0, told
    assert "rows of signal_phash were dropped; the next run makes them again" in out
    assert faults(lake) == {}
    names = [f.removeprefix("signal_") for f in found if f != "tiers"]
    code, _, told = goldsieve("measure", lake, *names, "--engine", "inline", "--quiet")
    assert code == 0, told
    code, _, told = goldsieve("tier", decided_copy / "recipe.yaml")
    assert code == 0, told
    after = lake_content(lake)
    assert {k: v for k, v in after.items() if k != "corpus_runs"} == {k: v for k, v in before.items() if k != "corpus_runs"}
    copied = copy_lake(lake_address(lake), lake_address(decided_copy / "copy"))  # the lost files are history now
    assert copied.lost >= 3


def test_labels_are_not_given_up_unasked(decided_copy: Path) -> None:
    lake = decided_copy / "lake"
    with open_lake(lake, read_only=False) as opened:
        ids = [row["sample_id"] for row in opened.rows("SELECT sample_id FROM refs")]
        opened.connection.execute("INSERT INTO labels SELECT sample_id, 'good', 'yes', 'me', now() FROM refs")  # many at once: a file
    lost = part(lake, "labels")
    kept = lost.read_bytes()
    lost.unlink()
    assert "put the file back from a copy" in faults(lake)["labels"]
    code, out, _ = goldsieve("doctor", lake, "--repair", "--quiet")
    assert code == 3
    assert "1 files of labels are lost or broken" in out
    assert goldsieve("doctor", lake, "--repair", "--forget", "captions", "--quiet")[0] != 0  # nothing of these is lost
    lost.write_bytes(kept)
    assert faults(lake) == {}
    lost.unlink()
    code, out, _ = goldsieve("doctor", lake, "--repair", "--forget", "labels", "--quiet")
    assert code == 0
    assert f"{len(ids)} rows of labels were dropped" in out
    with open_lake(lake) as opened:
        assert opened.value("SELECT count(*) FROM labels") == 0
    assert goldsieve("doctor", lake, "--forget", "labels")[0] != 0  # only with --repair


def test_leftovers_are_named_and_orphans_collected(decided_copy: Path) -> None:
    lake = decided_copy / "lake"
    orphan = lake / "data" / "main" / "signal_phash" / "part-lost.parquet"
    orphan.write_bytes(b"never registered")
    with open_lake(lake, read_only=False) as opened:
        begin_run(opened, "measure", "inline")
        with noted(opened.notes, opened.query("SELECT CAST(ref_hash AS VARCHAR) AS ref_hash FROM refs LIMIT 3")), opened.writing("measure"):
            _, out, _ = goldsieve("doctor", lake, "--json", "--quiet")
    said = {row["check"]: row["detail"] for row in json.loads(out)}
    assert "'measure' (process" in said["lease"]
    assert said["notes"].startswith("3 samples")
    assert said["orphans"].startswith("1 files")
    assert said["runs"].startswith("1 runs ended without saying so")
    with open_lake(lake, read_only=False) as opened:
        opened.connection.execute("INSERT INTO refs SELECT * FROM refs LIMIT 2")
    assert faults(lake) == {"rows": "2 rows of refs are there twice"}
    goldsieve("doctor", lake, "--repair", "--quiet")
    assert not orphan.exists()


def test_a_shared_lake_is_repaired_too(decided_copy: Path, postgres: str, bucket: str) -> None:
    from manifests.storage import filesystem

    team = lake_address(decided_copy / "team", f"{bucket}/{uuid.uuid4().hex}", new_database(postgres))
    copy_lake(lake_address(decided_copy / "lake"), team)
    system, base = filesystem(team.data)
    system.delete_file(f"{base}/main/signal_phash/{part(decided_copy / 'lake', 'signal_phash').name}")
    assert "is gone" in faults(decided_copy / "team")["signal_phash"]
    code, _, told = goldsieve("doctor", decided_copy / "team", "--repair", "--quiet")
    assert code == 0, told
    with open_lake(team) as lake:
        assert lake.value("SELECT count(*) FROM signal_phash") == 0


def test_retry_by_operator_and_kind_of_error(decided_copy: Path) -> None:
    lake = decided_copy / "lake"
    with open_lake(lake, read_only=False) as opened:
        opened.connection.execute(
            """UPDATE signal_image_quality SET "error" = 'took 12 seconds' WHERE key IN (SELECT media_hash FROM wide WHERE key = 'p001')"""
        )
    code, out, _ = goldsieve("retry", lake, "--dry-run", "--json")
    assert code == 0
    kinds = {(row["operator"], row["reason"]): row["results"] for row in json.loads(out)}
    assert kinds["image_quality", "took N seconds"] == 1
    assert any(operator == "files" for operator, _ in kinds)
    code, out, told = goldsieve("retry", lake, "--error", "took N seconds", "--engine", "inline", "--quiet", "--json")
    assert code == 0, told
    assert json.loads(out)["retried"] == 1
    code, out, _ = goldsieve("retry", lake, "--dry-run", "--json", "image_quality")
    assert not [row for row in json.loads(out) if "took" in row["reason"]]
    with open_lake(lake) as opened:
        assert opened.value("SELECT sharpness FROM wide WHERE key = 'p001'") > 0
    with pytest.raises(AssertionError):
        assert goldsieve("retry", lake, "no_such_operator", "--engine", "inline")[0] == 0
