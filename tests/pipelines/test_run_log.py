"""A run tells afterwards what it did and where its time went."""

import json
import logging
import uuid
from pathlib import Path

import pytest
from typer.testing import CliRunner

from manifests import Lake, create_lake, open_lake
from manifests.errors import CatalogDownError
from manifests.parts import Part
from pipelines import ray_metrics
from pipelines.cli import app
from pipelines.run import recorded_run
from pipelines.run_log import event, log
from pipelines.timing import DECODE, READ, Stopwatch, Timing, kinds
from pipelines.worker import BlockResult, Outcome
from quality.status import status


def lines(lake: Path) -> list[list[dict[str, object]]]:
    """The events of every run, the oldest run first."""
    files = sorted((lake / "logs").glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    return [[json.loads(line) for line in path.read_text().splitlines()] for path in files]


def test_a_run_leaves_a_log(decided: Path) -> None:
    (run,) = lines(decided / "lake")
    assert [run[0]["event"], run[-1]["event"]] == ["run begins", "run ends"]
    assert run[0]["command"] == "run"
    events = [line["event"] for line in run]
    assert {"ingest", "pass begins", "commit", "pass ends", "counts"} <= set(events)
    (media,) = [line for line in run if line["event"] == "pass ends" and "image_quality" in str(line["name"])]
    assert media["samples"] == 81
    timing = media["timing"]
    assert isinstance(timing, dict)
    assert {READ, DECODE, "image_quality", "phash"} <= set(timing["seconds"])
    assert min(timing["seconds"].values()) >= 0
    assert timing["memory"] > 10e6
    assert len(timing["slowest"]) == 10
    assert sum(timing["errors"]["image_quality"].values()) == 1
    assert all("T" in str(line["time"]) for line in run)
    with open_lake(decided / "lake") as lake:
        (recorded,) = lake.rows("SELECT run_id FROM runs")
    assert (decided / "lake" / "logs" / f"{recorded['run_id']}.jsonl").exists()


def test_status_says_where_the_time_went(decided: Path) -> None:
    with open_lake(decided / "lake") as lake:
        facts = status(lake)
    steps = {row["step"]: row for row in facts["time"]}
    assert {READ, DECODE, "(write)", "image_quality", "near_duplicates"} <= set(steps)
    assert sum(row["share"] for row in facts["time"]) == pytest.approx(1, abs=0.01)
    assert steps["image_quality"]["samples"] == 81
    assert facts["slowest"][0]["seconds"] >= facts["slowest"][-1]["seconds"] >= 0  # these take less than a millisecond
    shown = CliRunner().invoke(app, ["status", str(decided / "lake")]).stdout
    assert "where the time went" in shown
    assert "slowest to read and decode" in shown


def test_a_failed_run_says_why_and_tells_no_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(lake: Lake) -> None:
        with recorded_run(lake, "measure", None, "inline"):
            event("ingest", source="postgresql://me:secret@host/db")
            logging.getLogger("goldsieve").warning("The catalog cannot be reached.")
            raise CatalogDownError("no catalog at postgresql://me:secret@host/db")

    with create_lake(tmp_path / "lake") as lake:
        with pytest.raises(CatalogDownError):
            fail(lake)
        assert lake.value("SELECT status FROM runs") == "failed"
    (run,) = lines(tmp_path / "lake")
    assert run[-1]["event"] == "run failed"
    assert run[-1]["error"] == "CatalogDownError"
    assert {"event": "message", "text": "The catalog cannot be reached."}.items() <= run[2].items()
    assert "secret" not in json.dumps(run)
    assert "cannot be reached" in capsys.readouterr().err
    assert log.level == logging.NOTSET
    assert log.handlers == []


def test_a_log_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    with create_lake(tmp_path / "lake") as lake:
        (tmp_path / "lake" / "logs").write_text("no folder")
        with recorded_run(lake, "measure", None, "inline"):
            event("x", value=uuid.uuid4())
        assert lake.value("SELECT status FROM runs") == "done"


def test_seconds_of_views_are_decoding() -> None:
    class Row:
        seconds = 0.0

    def work() -> str:
        row.seconds += 0.005
        return "done"

    row, watch = Row(), Stopwatch()
    assert watch.timed("operator", work, [row]) == "done"
    assert watch.seconds[DECODE] == pytest.approx(0.005)
    assert watch.seconds["operator"] < 0.005  # what is left after decoding, never less than nothing
    watch.finished([(n / 10, str(n)) for n in range(30)])
    assert watch.timing().slowest[0] == (2.9, "29")
    one = Timing({"a": 1.0}, ((0.2, "x"),), 5, {"op": {"bad": 2}})
    both = one + Timing({"a": 0.5, "b": 2.0}, ((0.3, "y"),), 7, {"op": {"bad": 1, "worse": 1}})
    assert both == Timing({"a": 1.5, "b": 2.0}, ((0.3, "y"), (0.2, "x")), 7, {"op": {"bad": 3, "worse": 1}})


def test_kinds_of_errors_leave_out_what_differs() -> None:
    assert kinds(["'a.jpg' has 12 bytes", None, "'b.jpg' has 7 bytes", "no header"]) == {"'…' has N bytes": 2, "no header": 1}


def test_metrics_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.util import metrics

    told: list[tuple[object, ...]] = []
    for kind, method in ((metrics.Counter, "inc"), (metrics.Gauge, "set")):
        monkeypatch.setattr(kind, method, lambda self, value, tags=None: told.append((self.info["name"], value, tags)))
    timing = Timing({"phash": 0.25, READ: 0.5}, (), 1000)
    ray_metrics.Metrics().add(BlockResult((Part("signal_phash", "x", 3, 1),), 3, 1, (Outcome("phash", 3, 1, 0, "bad"),), timing))
    assert told == [
        ("goldsieve_samples_measured", 3, {"operator": "phash"}),
        ("goldsieve_errors", 1, {"operator": "phash"}),
        ("goldsieve_operator_seconds", 0.25, {"operator": "phash"}),
        ("goldsieve_operator_seconds", 0.5, {"operator": READ}),
        ("goldsieve_worker_peak_bytes", 1000, None),
    ]
