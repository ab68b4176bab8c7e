"""Passes end to end on small real files: one read, one answer a content, failures kept apart, killers found."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from manifests import Lake, create_lake, open_lake
from manifests.errors import MeasureError, PromiseError
from manifests.runs import begin_run
from manifests.upkeep import collect_garbage
from operators.caption_quality import CaptionQuality
from operators.exact_duplicates import ExactDuplicates
from operators.image_quality import ImageQuality
from operators.near_duplicates import NearDuplicates
from operators.phash import PHash
from pipelines import engine as engines
from pipelines.engine import BLOCK_ROWS, FIRST_BLOCK_ROWS, InlineEngine, blocks
from pipelines.journal import noted
from pipelines.measure import PassResult, measure
from pipelines.passes import OperatorUse, plan_passes
from pipelines.progress import Reporter
from pipelines.sources import SourceSpec, list_source
from pipelines.stall import VARIABLE
from tests.poison import Combines, KillsItsProcess, Misbehaves, StandsStill

QUIET = Reporter(quiet=True)


def picture(seed: int, size: tuple[int, int] = (96, 80), kind: str = "JPEG") -> bytes:
    """A smooth random picture: blobs, so that its hash is stable."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(out, kind, quality=92)
    return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pictures (two of them byte copies, one a smaller re-encode), one truncated, one no picture."""
    root = tmp_path / "pictures"
    root.mkdir()
    for i in range(4):
        (root / f"p{i}.jpg").write_bytes(picture(i))
        (root / f"p{i}.txt").write_text(f"picture number {i} in the set")
    (root / "copy.jpg").write_bytes(picture(0))
    (root / "small.jpg").write_bytes(picture(1, (48, 40)))
    (root / "cut.jpg").write_bytes(picture(2)[:900])
    (root / "page.jpg").write_bytes(b"<html><body>404</body></html>")
    return root


@pytest.fixture
def lake(tmp_path: Path, folder: Path) -> Iterator[Lake]:
    with create_lake(tmp_path / "lake") as made:
        made.ingest("pictures", str(folder), list_source(SourceSpec(str(folder))))
        yield made


def run(lake: Lake, *uses: OperatorUse, only: str = "") -> list[PassResult]:
    run_id = begin_run(lake, "test", "inline")
    return measure(lake, uses, InlineEngine(), run_id, QUIET, only)


def use(operator: object, when: str = "") -> OperatorUse:
    return OperatorUse(operator, when)  # type: ignore[arg-type]


def test_signals_errors_and_copies(lake: Lake) -> None:
    results = run(lake, use(ImageQuality()), use(NearDuplicates()), use(CaptionQuality()))
    assert any("phash" in result.name and "image_quality" in result.name for result in results)  # one pass over the bytes
    rows = {row["key"]: row for row in lake.rows("SELECT * FROM wide")}
    good = {k for k, row in rows.items() if row["sharpness"] is not None}
    assert good == {"p0", "p1", "p2", "p3", "copy", "small"}
    assert all(rows[k]["error"] is None and rows[k]["width"] for k in good)
    assert rows["cut"]["error"]
    assert rows["cut"]["media_hash"]
    assert "HTML" in rows["page"]["error"]
    assert lake.value("SELECT count(*) FROM signal_phash") == 7  # the byte copy was measured once
    copies = {k for k, row in rows.items() if row["is_duplicate"]}
    assert len(copies & {"copy", "p0"}) == 1
    assert "small" in copies
    assert str(rows["small"]["duplicate_of"]) == str(rows["p1"]["sample_id"])
    assert rows["p3"]["is_duplicate"] is False


def test_a_second_run_finds_nothing_and_new_files_only_are_measured(lake: Lake, folder: Path) -> None:
    uses = (use(PHash()), use(ExactDuplicates()))
    run(lake, *uses)
    assert run(lake, *uses) == []
    (folder / "p9.jpg").write_bytes(picture(9))
    lake.ingest("pictures", str(folder), list_source(SourceSpec(str(folder))))
    assert [(r.name, r.samples) for r in run(lake, *uses)] == [("phash, media_facts", 1), ("exact_duplicates", 9)]


def test_a_changed_setting_measures_again_and_the_old_answer_returns_free(lake: Lake) -> None:
    run(lake, use(NearDuplicates()))
    strict = NearDuplicates(radius=0)
    assert [r.name for r in run(lake, use(strict))] == ["near_duplicates"]
    assert [r.name for r in run(lake, use(NearDuplicates()))] == ["near_duplicates"]  # corpus answers are not kept aside
    assert run(lake, use(NearDuplicates())) == []


def test_an_operator_over_columns_follows_the_operators_it_reads(lake: Lake, folder: Path) -> None:
    results = run(lake, use(Combines()))
    assert [r.name for r in results][-1] == "combines"  # what it reads was measured first
    query = "SELECT key, combined, sharpness + caption_words AS expected FROM wide ORDER BY key"
    assert all(row["combined"] == pytest.approx(row["expected"]) for row in lake.rows(query) if row["expected"] is not None)
    assert lake.value("SELECT count(combined) FROM wide") == 6
    assert run(lake, use(Combines())) == []
    (folder / "p1.txt").write_text("now with more words than before")
    lake.ingest("pictures", str(folder), list_source(SourceSpec(str(folder))))
    assert [(r.name, r.samples) for r in run(lake, use(Combines()))] == [("caption_quality", 1), ("combines", 1)]
    strict = CaptionQuality(min_language_confidence=0.9)
    assert [r.name for r in run(lake, use(strict), use(Combines()))] == ["caption_quality", "combines"]


def test_when_limits_and_skipped_is_not_failed(lake: Lake) -> None:
    run(lake, use(PHash()))
    run(lake, use(ImageQuality(), when="width >= 90 and phash is not null"))
    rows = {row["key"]: row for row in lake.rows("SELECT key, sharpness, error FROM wide")}
    assert rows["small"]["sharpness"] is None
    assert rows["small"]["error"] is None
    assert rows["p0"]["sharpness"] is not None


def test_sample_measures_the_same_few_first(lake: Lake) -> None:
    from pipelines.run import sample_sql

    run(lake, use(PHash()), only=sample_sql(3))
    some = {row["ref_hash"] for row in lake.rows("SELECT ref_hash FROM media")}
    assert len(some) == 3
    assert run(lake, use(PHash()), only=sample_sql(3)) == []
    run(lake, use(PHash()))
    assert some < {row["ref_hash"] for row in lake.rows("SELECT ref_hash FROM media")}


def test_a_file_that_is_gone_is_an_error_until_retried(lake: Lake, folder: Path) -> None:
    from pipelines.retry import retry_failures

    kept = (folder / "p3.jpg").read_bytes()
    (folder / "p3.jpg").unlink()
    run(lake, use(PHash()))
    assert lake.value("SELECT error FROM wide WHERE key = 'p3'")
    assert run(lake, use(PHash())) == []
    (folder / "p3.jpg").write_bytes(kept)
    os.utime(folder / "p3.jpg")
    run_id = begin_run(lake, "retry", "inline")
    retry_failures(lake, None, "inline", None, run_id, QUIET)
    assert lake.value("SELECT phash FROM wide WHERE key = 'p3'") is not None


def test_one_bad_row_costs_one_row(lake: Lake, folder: Path) -> None:
    (folder / "p1.txt").write_text("an x in here")
    lake.ingest("pictures", str(folder), list_source(SourceSpec(str(folder))))
    run(lake, use(Misbehaves("raises on x")))
    rows = {row["key"]: row for row in lake.rows("SELECT key, caption_length, error FROM wide")}
    assert rows["p1"]["error"] == "misbehaves: RuntimeError: no weights"
    assert rows["p2"]["caption_length"] == len("picture number 2 in the set")


@pytest.mark.parametrize("how", ["short", "mistyped"])
def test_a_broken_promise_raises(lake: Lake, how: str) -> None:
    with pytest.raises(PromiseError, match="misbehaves"):
        run(lake, use(Misbehaves(how)))


def test_every_row_failing_raises_and_stores_nothing(tmp_path: Path) -> None:
    table = tmp_path / "captions.jsonl"
    table.write_text("".join(f'{{"image": "none-{i}.jpg", "caption": "c{i}"}}\n' for i in range(40)))
    with create_lake(tmp_path / "lake") as lake:
        lake.ingest("captions", "x", list_source(SourceSpec(str(table))))
        with pytest.raises(MeasureError, match="no weights"):
            run(lake, use(Misbehaves("raises")))
        assert lake.value("SELECT count(*) FROM signal_misbehaves") == 0


def test_dependencies_run_first_and_circles_are_refused() -> None:
    order = [p.name for p in plan_passes([use(NearDuplicates())])]
    assert order.index("exact_duplicates") < order.index("near_duplicates")
    assert any("phash" in name for name in order[: order.index("near_duplicates")])
    late = [p.name for p in plan_passes([use(ImageQuality(), when="not is_duplicate"), use(PHash())])]
    assert late.index("near_duplicates") < late.index("image_quality")


def poisoned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "FIRST_BLOCK_ROWS", 4)
    monkeypatch.setattr(engines, "BLOCK_ROWS", 4)
    (folder / "m-poison.jpg").write_bytes(b"POISON" + picture(5))


def check_poison_was_found(lake: Lake, folder: Path) -> None:
    rows = {row["key"]: row for row in lake.rows("SELECT key, first_byte, error FROM wide")}
    assert "killed the worker process" in rows.pop("m-poison")["error"]
    assert all(row["first_byte"] is not None for row in rows.values())
    assert list((Path(str(lake.address.folder)) / "inflight").glob("*")) == []


def test_after_a_crash_the_killer_is_found_and_the_rest_measured(lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poisoned(folder, monkeypatch)
    lake.ingest("pictures", str(folder), list_source(SourceSpec(str(folder))))
    program = f"""
import pipelines.engine as e
from manifests import open_lake
from manifests.runs import begin_run
from pipelines.measure import measure
from pipelines.passes import OperatorUse
from pipelines.progress import Reporter
from tests.poison import KillsItsProcess

e.FIRST_BLOCK_ROWS = e.BLOCK_ROWS = 4
lake = open_lake({str(lake.address.folder)!r}, read_only=False)
run_id = begin_run(lake, "t", "inline")
measure(lake, [OperatorUse(KillsItsProcess())], e.InlineEngine(), run_id, Reporter(quiet=True))
"""
    died = subprocess.run([sys.executable, "-c", program], timeout=100)
    assert died.returncode == -signal.SIGKILL
    run(lake, use(KillsItsProcess()))
    check_poison_was_found(lake, folder)


def test_a_sample_that_stands_still_is_found_and_the_rest_measured(lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poisoned(folder, monkeypatch)
    monkeypatch.setenv(VARIABLE, "3")
    lake.ingest("pictures", str(folder), list_source(SourceSpec(str(folder))))
    with noted(lake.notes, lake.query("SELECT CAST(ref_hash AS VARCHAR) AS ref_hash FROM refs")):
        run(lake, use(StandsStill()))  # as after a worker ended: all of them are suspects
    errors = lake.rows("SELECT key, error FROM wide WHERE error LIKE '%killed the worker%'")
    assert len(errors) == 1
    assert lake.value("SELECT count(first_byte) FROM wide") == lake.value("SELECT count(*) FROM wide") - 1


@pytest.mark.ray
@pytest.mark.timeout(400)  # starts a dozen processes
def test_ray_gives_the_same_answers_and_survives_a_killer(
    lake: Lake, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ray_engine: Callable[[], object]
) -> None:
    poisoned(folder, monkeypatch)
    lake.ingest("pictures", str(folder), list_source(SourceSpec(str(folder))))
    run_id = begin_run(lake, "test", "ray")
    engine = ray_engine()
    measure(lake, [use(KillsItsProcess())], engine, run_id, QUIET)  # type: ignore[arg-type]
    check_poison_was_found(lake, folder)
    both = (use(ImageQuality()), use(NearDuplicates()), use(CaptionQuality()))
    measure(lake, both, engine, run_id, QUIET)  # type: ignore[arg-type]
    with create_lake(tmp_path / "inline") as other:
        other.ingest("pictures", str(folder), list_source(SourceSpec(str(folder))))
        run(other, use(KillsItsProcess("nothing has this")), *both)
        columns = "key, media_hash, phash, dhash, sharpness, brightness, entropy, caption_words, duplicate_of, is_duplicate"
        query = f"SELECT {columns} FROM wide ORDER BY key"
        assert lake.query(query).equals(other.query(query))


def test_killed_at_any_moment_a_rerun_completes(folder: Path, tmp_path: Path) -> None:
    for i in range(10, 60):
        (folder / f"q{i}.jpg").write_bytes(picture(i))
    home = tmp_path / "killed"
    program = f"""
import pipelines.engine as e
import pipelines.measure as m
from manifests import create_lake
from manifests.runs import begin_run
from operators.image_quality import ImageQuality
from operators.phash import PHash
from pipelines.passes import OperatorUse
from pipelines.progress import Reporter
from pipelines.sources import SourceSpec, list_source

m.COMMIT_SECONDS = 0.0
e.FIRST_BLOCK_ROWS = e.BLOCK_ROWS = 4
lake = create_lake({str(home)!r})
lake.ingest("pictures", "x", list_source(SourceSpec({str(folder)!r})))
run_id = begin_run(lake, "t", "inline")
print("go", flush=True)
m.measure(lake, [OperatorUse(PHash()), OperatorUse(ImageQuality())], e.InlineEngine(), run_id, Reporter(quiet=True))
"""
    for delay in (0.15, 0.4):
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.kill()
        process.wait()
        process.stdout.close()
    subprocess.run([sys.executable, "-c", program], check=True, timeout=100, stdout=subprocess.DEVNULL)
    with create_lake(tmp_path / "undisturbed") as calm:
        calm.ingest("pictures", "x", list_source(SourceSpec(str(folder))))
        run(calm, use(PHash()), use(ImageQuality()))
        query = "SELECT * EXCLUDE (ingested_at) FROM wide ORDER BY key"
        with open_lake(home, read_only=False) as killed:
            assert killed.query(query).equals(calm.query(query))
            assert killed.value("SELECT count(*) - count(DISTINCT key) FROM signal_phash") == 0
            collect_garbage(killed)
            assert collect_garbage(killed, dry_run=True) == []


@pytest.mark.parametrize("rows", [1, 256, 600, 5000, 50_000])
def test_blocks_hold_every_row_once_and_end_small(rows: int) -> None:
    cut = list(blocks(pa.table({"n": range(rows)})))
    assert [n for block in cut for n in block["n"].to_pylist()] == list(range(rows))
    sizes = [block.num_rows for block in cut]
    assert max(sizes) <= BLOCK_ROWS
    assert max(sizes[-5:]) <= max(FIRST_BLOCK_ROWS, rows // 8)
