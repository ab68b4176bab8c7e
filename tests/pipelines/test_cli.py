"""The command line as a user meets it: output, exit codes, sentences instead of tracebacks."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow.parquet as pq
import pytest

from operators.testing import encode, picture
from pipelines import cli

RECIPE = """
lake: lake
sources:
  - path: pictures
operators: [media_facts, image_quality, caption_quality, near_duplicates]
tiers:
  silver:
    unique: not is_duplicate
  gold:
    from: silver
    worded: caption_words >= 3
export: {tier: gold, to: gold, seed: 1}
"""


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Invoke = Callable[..., Outcome]


@pytest.fixture
def goldsieve(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Invoke:
    """Run the command with these arguments in this process."""

    def invoke(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["goldsieve", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        return Outcome(code, *capsys.readouterr())

    return invoke


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Eight pictures with captions, one of them a copy, and a recipe."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i in range(8):
        (pictures / f"p{i}.jpg").write_bytes(encode(picture(160, 120, seed=min(i, 6)), "JPEG"))
        (pictures / f"p{i}.txt").write_text(f"picture number {i} of the set" if i else "one")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


def test_the_whole_job_and_its_questions(goldsieve: Invoke, home: Path) -> None:
    recipe, lake = home / "recipe.yaml", home / "lake"
    done = goldsieve("run", recipe, "--engine", "inline", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["tiers"] == {"gold": 6, "bronze": 1, "silver": 1}
    assert "image_quality" in done.err  # progress goes to stderr
    again = goldsieve("run", recipe, "--engine", "inline")
    assert "Nothing was left to measure." in again.out
    assert "nothing to do" in again.out

    story = goldsieve("why", lake, "p0")
    assert "FAIL  gold.worded: caption_words >= 3" in story.out
    assert "tier: silver" in story.out
    copy = json.loads(goldsieve("why", lake, "p7", "--json").out)
    assert {c["key"] for c in copy["duplicates"]} == {"p6", "p7"}
    assert {row["state"] for row in copy["lineage"]} == {"measured"}

    status = json.loads(goldsieve("status", lake, "--json").out)
    assert status["samples"] == 8
    assert all(row["missing"] == 0 for row in status["operators"])
    assert "image_quality" in goldsieve("status", lake).out

    assert goldsieve("verify", home / "gold").code == 0
    shard = next((home / "gold").glob("*.tar"))
    data = bytearray(shard.read_bytes())
    data[700] ^= 1
    shard.write_bytes(data)
    broken = goldsieve("verify", home / "gold")
    assert broken.code == 3
    assert "problems" in broken.err

    moves = json.loads(goldsieve("tier", recipe, "--set", "gold.worded=caption_words >= 1", "--dry-run", "--json").out)
    assert [(m["from_tier"], m["to_tier"], m["count"]) for m in moves] == [("silver", "gold", 1)]
    assert goldsieve("tier", recipe, "--set", "gold.worded=caption_words >= 1").code == 0
    assert json.loads(goldsieve("sql", lake, "select count(*) n from wide where tier = 'gold'", "--format", "json").out) == [{"n": 7}]
    assert goldsieve("report", lake, "-o", home / "page.html").code == 0
    assert "<html" in (home / "page.html").read_text()
    assert "snapshot" in goldsieve("snapshots", lake).out
    assert goldsieve("doctor", lake).code == 0


def test_step_by_step_without_a_recipe(goldsieve: Invoke, home: Path) -> None:
    lake = home / "other"
    assert goldsieve("init", lake).code == 0
    assert goldsieve("init", lake).code == 0  # again is harmless
    assert "8" in goldsieve("ingest", lake, home / "pictures", "--name", "mine").out
    assert goldsieve("measure", lake, "phash", "--engine", "inline", "--sample", 3).code == 0
    assert goldsieve("measure", lake, "phash", "--engine", "inline").code == 0
    assert "Nothing to measure" in goldsieve("measure", lake, "phash", "--engine", "inline").out
    assert "Deleted 0 files" in goldsieve("gc", lake).out


def test_sql_formats(goldsieve: Invoke, home: Path) -> None:
    goldsieve("ingest", home / "lake", home / "pictures")
    query = "select key, captions from wide order by key limit 2"
    assert goldsieve("sql", home / "lake", query, "--format", "csv").out.splitlines()[1].startswith('"p0"')
    target = home / "rows.parquet"
    assert goldsieve("sql", home / "lake", query, "--format", "parquet", "-o", target).code == 0
    assert pq.read_table(target).num_rows == 2
    assert goldsieve("sql", home / "lake", query, "--format", "parquet").code == 2
    assert "more rows" in goldsieve("sql", home / "lake", "select * from wide", "--limit", 1).out


def test_a_query_without_memory_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def query(**_: object) -> None:
        with duckdb.connect() as connection:
            connection.execute("SET memory_limit = '1MB'; SET max_temp_directory_size = '0B'")
            connection.execute("CREATE TABLE t AS SELECT range AS a, hash(range) AS b FROM range(10000000)")

    monkeypatch.setattr(cli, "app", query)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 3
    assert "half of this machine's memory" in capsys.readouterr().err


@pytest.mark.parametrize("left", [None, 100])
def test_a_broken_file_of_a_lake_is_named_with_what_mends_it(goldsieve: Invoke, home: Path, left: int | None) -> None:
    goldsieve("ingest", home / "lake", home / "pictures")
    goldsieve("measure", home / "lake", "media_facts", "--engine", "inline")
    file = next((home / "lake" / "data").rglob("media/*.parquet"))
    if left is None:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:left])
    for command in ("status", "measure"):
        ended = goldsieve(command, home / "lake")
        assert ended.code == 3
        assert f"{file.name} is gone or broken" in ended.err
        assert "goldsieve doctor" in ended.err


def test_an_ingest_says_what_it_left_out_and_what_is_wrong(goldsieve: Invoke, home: Path) -> None:
    (home / "pictures" / "drawing.svg").touch()
    (home / "pictures" / "gone.jpg").symlink_to("/nowhere.jpg")
    said = goldsieve("ingest", home / "lake", home / "pictures").err
    assert "left out 1 .svg" in said
    assert "The first is gone: A link that leads outside" in said
    assert "left out 1 .svg" in "".join(path.read_text() for path in (home / "lake" / "logs").iterdir())


def test_too_many_failures_end_with_code_1_and_retry_mends(goldsieve: Invoke, home: Path) -> None:
    whole = (home / "pictures" / "p1.jpg").read_bytes()
    (home / "pictures" / "p1.jpg").write_bytes(whole[: len(whole) // 2])
    failed = goldsieve("run", home / "recipe.yaml", "--engine", "inline", "-q")
    assert failed.code == 1
    assert "1 of 8 samples" in failed.err
    assert goldsieve("run", home / "recipe.yaml", "--engine", "inline", "-q", "--max-error-rate", 0.2).code == 0
    again = goldsieve("retry", home / "lake", "--engine", "inline")
    assert "1 samples still carry an error" in again.out
    (home / "pictures" / "p1.jpg").write_bytes(whole)
    assert goldsieve("run", home / "recipe.yaml", "--engine", "inline", "-q", "--overwrite").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["status", "nowhere"], 2, "goldsieve init"),
        (["ingest", "lake", "no/such/folder"], 2, "does not exist"),
        (["ingest", "lake", "pictures", "--kind", "foldr"], 2, "foldr"),
        (["measure", "lake", "phas"], 2, "Did you mean 'phash'"),
        (["run", "missing.yaml"], 2, "cannot be read"),
        (["run", "wrong.yaml"], 2, "did you mean 'operators'"),
        (["run", "column.yaml", "--engine", "inline"], 2, "caption_words"),
        (["why", "lake", "nobody"], 2, "No sample"),
        (["why", "lake", "p"], 2, "No sample"),
        (["sql", "lake", "drop table refs"], 2, "SELECT"),
        (["sql", "lake", "select * from wid"], 2, "wide"),
        (["sql", "lake", "select * from read_text('/etc/passwd')"], 2, "read_text"),
        (["sql", "lake", "select 1", "--format", "csv", "-o", "none/x.csv"], 2, "none/x.csv cannot be written: No such file"),
        (["sql", "lake", "select 1", "-o", "x.csv"], 2, "say --format csv"),
        (["sql", "lake", "select 1", "--at", "999"], 2, "has no snapshot 999"),
        (["measure", "lake", "sharpness"], 2, "It is a column that image_quality adds"),
        (["verify", "pictures"], 2, "index.json"),
        (["nonsense"], 2, "nonsense"),
        (["export", "no-export.yaml"], 2, "has no export"),
        (["retry", "lake", "phash"], 2, "no results"),
    ],
)
def test_errors_are_sentences(
    goldsieve: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, says: str
) -> None:
    monkeypatch.chdir(home)
    (home / "wrong.yaml").write_text(RECIPE.replace("operators:", "operatrs:"))
    (home / "column.yaml").write_text(RECIPE.replace("caption_words >= 3", "caption_wrds >= 3"))
    (home / "no-export.yaml").write_text(RECIPE[: RECIPE.index("export:")])
    assert goldsieve("ingest", "lake", "pictures", "-q").code == 0
    outcome = goldsieve(*arguments)
    assert outcome.code == code, outcome
    assert says.lower() in re.sub(r"[\s│╭╰─╮╯]+", " ", outcome.err).lower()
    assert "Traceback" not in outcome.err


def test_every_command_explains_itself_with_an_example(goldsieve: Invoke) -> None:
    names = [c.name or c.callback.__name__ for c in cli.app.registered_commands if c.callback]
    assert {"demo", "init", "ingest", "measure", "tier", "export", "run", "status", "sql", "why", "verify"} <= set(names)
    for name in names:
        shown = goldsieve(name.replace("_", "-"), "--help")
        assert shown.code == 0
        assert "xample" in shown.out, name


def test_ctrl_c_says_how_to_go_on(home: Path) -> None:
    """Interrupted while it waits for the lease, which is a place a test can hold it at."""
    from manifests import create_lake

    with create_lake(home / "lake") as lake:
        lake.ingest("s", "x", iter(()))
        program = (
            "import sys, time; from pipelines import cli, run; run.recorded_run = lambda *a: time.sleep(60);"
            f"sys.argv = ['goldsieve', 'measure', {str(home / 'lake')!r}, 'phash']; print('ready', flush=True); cli.main()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_default_sigint
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again" in err


def _default_sigint() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
