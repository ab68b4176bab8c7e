"""The scoreboard: a tool that fails becomes a row, figures survive the JSON file, recall is counted right."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import programs
from benchmarks.programs import Unavailable, environment, run_json
from benchmarks.scoreboard import machine
from benchmarks.scores.bad_file import lost
from benchmarks.scores.duplicates import scored
from benchmarks.scores.files import target
from benchmarks.scores.page import from_json, render, to_json
from benchmarks.scores.rows import Bench, Contender, Part, Row, compare


def prints(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


GOOD = 'import json; print("noise"); print(json.dumps({"version": "good 1", "count": 30, "seconds": 2.0}))'


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, tmp_path / "environments")


def test_a_tool_that_fails_is_a_row_with_the_reason_and_the_others_go_on(bench: Bench) -> None:
    contenders = [
        Contender("broken", prints("raise OSError('image file is truncated')")),
        Contender("mute", prints("print('done')")),
        Contender("good", prints(GOOD), differs="less work"),
    ]
    broken, mute, good = compare(bench, contenders, rounds=2, scale=10, score=lambda found: {"seen": str(found["count"])})
    assert broken.missing == "failed: OSError: image file is truncated"
    assert broken.rate is None
    assert mute.missing == "ended without figures: done"
    assert (good.rate, good.version, good.found, good.missing) == (150.0, "good 1", {"seen": "30"}, "")
    assert good.program_s is not None


def test_a_program_that_does_not_end_is_stopped_with_its_children() -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    with pytest.raises(Unavailable, match="stopped after 1 s"):
        run_json(prints(child), limit=1)


def test_a_package_that_does_not_exist_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "PEERS", tmp_path)
    (tmp_path / "requirements-nothing.txt").write_text("./not-there\n")
    with pytest.raises(Unavailable, match="could not be installed: ERROR"):
        environment("nothing", tmp_path / "environments")


def test_peers_can_be_left_out(bench: Bench) -> None:
    (row,) = compare(replace(bench, peers=False), [Contender("peer", ("x.py",), environment="peer")])
    assert "--no-peers" in row.missing


def test_the_page_is_the_same_from_the_file(tmp_path: Path) -> None:
    rows = (
        Row("Goldsieve", "1", 100.0, 2.0, 50.0, {"copies found": "90.0%"}),
        Row("slow", "2", 20.0, 9.0, 10.0),
        Row("absent", missing="no|wheel"),
    )
    part = Part("images", "Pictures", "pictures/s", "10 pictures", rows, ("A note.",), (0.2, 1.5), 60.0)
    busy = replace(part, name="clip", title="Clip", load=(3.0, 1.5))
    to_json(tmp_path / "page.json", machine(), [part, busy])
    run, read = from_json(tmp_path / "page.json")
    assert read == [part, busy]
    assert from_json(tmp_path / "none.json") == ({}, [])
    page = render(run, read)
    assert "| slow | 2 | 20.0 | 5.00x |  | 10.0 | 9.0 |  |" in page
    assert "no\\|wheel" in page
    assert page.count("**busy machine**") == 1


def test_copies_found_and_wrongly_dropped() -> None:
    paths = [Path(f"{name}.jpg") for name in ("a--00", "a--01", "a--02", "b--00", "c--00")]
    pairs = [("a--01.jpg", "/x/a--00.jpg"), ("c--00", "b--00")]
    assert scored(pairs, paths) == {"copies found": "50.0%", "wrongly dropped": "1"}


def test_good_samples_lost() -> None:
    assert lost({"count": 3000, "kept": 2999, "named": 1}, 3000) == {"good samples lost": "0", "the bad one": "1 error named"}
    assert lost({"count": 3000, "kept": 2000}, 3000) == {"good samples lost": "999", "the bad one": "left out"}
    assert lost({"count": 3000}, 3000) == {"good samples lost": "0", "the bad one": "in the output, unnoticed"}


def test_a_missed_target_is_said() -> None:
    assert "**missed**, 50%" in target("export", 50.0, 100.0, 0.6)
    assert "met, 70%" in target("export", 70.0, 100.0, 0.6)
    assert "not measured" in target("export", None, 100.0, 0.6)
