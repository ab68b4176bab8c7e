"""A list of URLs becomes samples of a lake: resumed, retried, edited, and never doubled."""

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests import create_lake, open_lake
from manifests.errors import GoldsieveError, LakeBusyError, RecipeError, SourceError, UsageError
from manifests.ingest import IngestResult
from pipelines.download.faults import FaultKind
from pipelines.download.settings import DownloadSettings
from pipelines.download.state import locked
from pipelines.ingest import ingest
from pipelines.progress import Reporter
from pipelines.reader import Reader
from pipelines.recipe import load_recipe
from pipelines.retry import retry_failures
from pipelines.run import recorded_run, run_recipe
from pipelines.sources import SourceSpec, list_source
from tests.pipelines.download.web import Server, jpeg

ROOT = Path(__file__).parents[3]
QUIET = Reporter(quiet=True)
CLI = [sys.executable, "-c", "from pipelines.cli import main; main()"]
WriteList = Callable[..., Path]


def settings(**changes: Any) -> DownloadSettings:
    return DownloadSettings(**{"allow_private": True, "retries": 0, "shard_rows": 4, "processes": 1, "respect_opt_out": False, **changes})


def ingested(lake: Path, path: object, download: DownloadSettings | None = None, **changes: Any) -> IngestResult:
    with create_lake(lake) as opened:
        return ingest(opened, SourceSpec(str(path), "urls", download=download or settings(), **changes), QUIET, again=False)


def wide(lake: Path, columns: str = '*, "error" AS problem') -> list[dict[str, Any]]:
    with open_lake(lake) as opened:
        return opened.rows(f"SELECT {columns} FROM refs WHERE NOT vanished ORDER BY uri, byte_offset")


def shards(lake: Path, name: str = "list") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((lake / "downloads" / name).glob("*.tar"))}


def test_samples_of_a_list(server: Server, write_list: WriteList, tmp_path: Path) -> None:
    urls = [f"{server.url}/p/{n}.jpg".replace("//", "//ann:s3cret@") for n in range(9)]
    path = write_list([*urls, f"{server.url}/status/404", "", "ftp://x/y"])
    lake = tmp_path / "lake"
    assert ingested(lake, path) == IngestResult("list", 12, 0, 0, 0, 3)
    rows = wide(lake)
    assert [row["key"] for row in rows] == [f"list-{n:08d}" for n in range(12)]
    assert [row["caption"] for row in rows] == [f"picture {n}" for n in range(12)]
    assert {row["author"] for row in rows} == {"Ann"}
    assert rows[3]["source_url"] == f"{server.url}/p/3.jpg"
    download = json.loads(rows[3]["metadata"])["download"]
    assert (download["status"], download["sha256"]) == (200, hashlib.sha256(jpeg(3)).hexdigest())
    assert [row["problem"] for row in rows[9:]] == [
        "Not downloaded (status): the server answered 404.",
        "Not downloaded (list): there is no URL in this row.",
        "Not downloaded (url): only http and https are fetched.",
    ]
    assert json.loads(rows[9]["metadata"])["download"]["status"] == 404
    with Reader() as reader:
        assert [reader.read(r["uri"], r["byte_offset"], r["byte_length"]) for r in rows[:9]] == [jpeg(n) for n in range(9)]
    kept = shards(lake)
    assert len(kept) == 3
    assert not any(b"s3cret" in data for data in kept.values())
    assert "s3cret" not in (lake / "downloads/list/download.json").read_text()
    with tarfile.open(lake / "downloads/list" / next(iter(kept))) as tar:
        assert tar.getnames()[:3] == ["list-00000000.jpg", "list-00000000.txt", "list-00000000.json"]
    before = server.hits.total()
    assert ingested(lake, path) == IngestResult("list", 0, 0, 12, 0, 3)
    assert server.hits.total() == before
    assert shards(lake) == kept


def test_columns_of_a_parquet_list(server: Server, tmp_path: Path) -> None:
    table = {
        "URL": [f"{server.url}/p/{n}.jpg" for n in range(3)],
        "TEXT": ["  two words ", "", None],
        "caption": ["not", "the", "caption"],
        "SAMPLE_ID": [10, 11, 12],
        "md5": [hashlib.md5(jpeg(0)).hexdigest(), "0" * 32, None],
        "download": ["a", "b", "c"],
        "similarity": [0.3, float("nan"), 0.1],
    }
    path = tmp_path / "list.parquet"
    pq.write_table(pa.table(table), path)
    lake = tmp_path / "lake"
    assert ingested(lake, path, caption_column="TEXT", key_column="SAMPLE_ID", name="laion").errors == 1
    rows = wide(lake)
    assert [(row["source"], row["key"], row["caption"]) for row in rows] == [
        ("laion", "10", "two words"), ("laion", "11", None), ("laion", "12", None),
    ]  # fmt: skip
    metadata = json.loads(rows[1]["metadata"])
    assert metadata["download"]["error"] == "hash"
    assert (metadata["caption"], metadata["list_download"], metadata["similarity"]) == ("the", "b", None)
    assert json.loads(rows[0]["metadata"])["download"]["sha256"] == hashlib.sha256(jpeg(0)).hexdigest()


def test_text_and_jsonl_lists(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"# pictures\n{server.url}/p/1.jpg\n\n  {server.url}/p/2.jpg  \n")
    (tmp_path / "b.jsonl").write_text(json.dumps({"image_url": f"{server.url}/p/3.jpg", "text": "three", "tags": ["x"]}) + "\nno json\n")
    lake = tmp_path / "lake"
    assert ingested(lake, tmp_path / "a.txt").added == 2
    assert ingested(lake, tmp_path / "b.jsonl") == IngestResult("b", 2, 0, 0, 0, 1)
    assert [row["caption"] for row in wide(lake)] == [None, None, "three", None]


def test_retry_fetches_failures_alone(server: Server, write_list: WriteList, tmp_path: Path) -> None:
    path = write_list([f"{server.url}/p/0.jpg", f"{server.url}/flaky/1", f"{server.url}/status/404", f"{server.url}/p/1.jpg"])
    lake = tmp_path / "lake"
    assert ingested(lake, path).errors == 2
    server.mended = True
    assert ingested(lake, path).errors == 2  # a rerun alone does not try failures again
    for _ in range(2):
        with create_lake(lake) as opened, recorded_run(opened, "retry", None, "inline") as (run_id, _counts):
            tried, _ = retry_failures(opened, ["download"], "inline", None, run_id, QUIET)
    assert tried == 1
    rows = wide(lake)
    assert [row["problem"] is None for row in rows] == [True, True, False, True]
    assert [row["key"] for row in rows] == [f"list-{n:08d}" for n in range(4)]
    assert server.hits == {"/p/0.jpg": 1, "/p/1.jpg": 1, "/flaky/1": 2, "/status/404": 3}
    with Reader() as reader:
        assert reader.read(rows[1]["uri"], rows[1]["byte_offset"], rows[1]["byte_length"]) == jpeg(2)


def test_an_edited_list_fetches_what_is_new(server: Server, write_list: WriteList, tmp_path: Path) -> None:
    urls = [f"{server.url}/p/{n}.jpg" for n in range(6)]
    lake = tmp_path / "lake"
    ingested(lake, write_list(urls))
    first = shards(lake)
    ingested(lake, write_list([*urls[:2], f"{server.url}/p/50.jpg", *urls[3:], f"{server.url}/p/51.jpg"]))
    assert server.hits == {**{f"/p/{n}.jpg": 1 for n in range(6)}, "/p/50.jpg": 1, "/p/51.jpg": 1}
    rows = wide(lake)
    assert [row["source_url"].rpartition("/")[2] for row in rows] == ["0.jpg", "1.jpg", "50.jpg", "3.jpg", "4.jpg", "5.jpg", "51.jpg"]
    with Reader() as reader:
        assert reader.read(rows[2]["uri"], rows[2]["byte_offset"], rows[2]["byte_length"]) == jpeg(50)
    old = {path.name: path.read_bytes() for path in (lake / "downloads/list/old").iterdir()}
    assert old == first


def test_two_lists_do_not_mix(server: Server, write_list: WriteList, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    ingested(lake, write_list([f"{server.url}/p/1.jpg"]))
    other = write_list([f"{server.url}/p/2.jpg"], "other.csv")
    with pytest.raises(UsageError, match="another name"):
        ingested(lake, other, name="list")
    with locked(lake / "downloads/list"), pytest.raises(LakeBusyError, match="Another process"):
        ingested(lake, tmp_path / "list.csv")
    ingested(lake, other, download=settings(to=str(tmp_path / "elsewhere")))
    assert len(list((tmp_path / "elsewhere").glob("*.tar"))) == 1


def test_files_of_a_list_stand_alone(server: Server, write_list: WriteList, tmp_path: Path) -> None:
    for n in range(3):
        write_list([f"{server.url}/p/{n}.jpg"], f"part-{n}.csv")
    good = (tmp_path / "part-1.csv").read_text()
    (tmp_path / "part-1.csv").write_text("no,address\n1,2\n")
    lake = tmp_path / "lake"
    assert ingested(lake, tmp_path / "part-*.csv", name="list").errors == 1
    assert next(row["problem"] for row in wide(lake) if row["problem"]).startswith("Not downloaded (list): ")
    (tmp_path / "part-1.csv").write_text(good)
    assert ingested(lake, tmp_path / "part-*.csv", name="list").errors == 0
    assert server.hits == {f"/p/{n}.jpg": 1 for n in range(3)}
    assert len(wide(lake)) == 3
    bad = tmp_path / "bad.csv"
    bad.write_text("no,address\n1,2\n")
    with pytest.raises(SourceError, match="no column of URLs"):
        ingested(lake, bad)


def test_a_part_that_was_cut_anywhere_is_mended(server: Server, write_list: WriteList, tmp_path: Path) -> None:
    path, lake = write_list([f"{server.url}/p/{n}.jpg" for n in range(4)]), tmp_path / "lake"
    ingested(lake, path)
    folder = lake / "downloads/list"
    (shard,) = folder.glob("*.tar")
    whole = shard.read_bytes()
    ends = [0, 1, 511, 512, 700, 3000, len(whole) - 1500, len(whole)]
    for number, end in enumerate(ends):
        shard.unlink()
        (folder / "download.json").unlink()
        cut = whole[:end] if number % 2 else whole[:end] + b"\0" * 400  # as a file system may leave it
        (folder / f".{shard.stem}.part").write_bytes(cut)
        ingested(lake, path)
        with tarfile.open(shard) as tar:
            assert [name for name in tar.getnames() if name.endswith(".jpg")] == [f"list-{n:08d}.jpg" for n in range(4)]
        assert not list(folder.glob(".*.part"))
    changed = bytearray(whole)
    changed[600] ^= 1  # a body that is not what its hash says
    shard.unlink()
    (folder / "download.json").unlink()
    (folder / f".{shard.stem}.part").write_bytes(bytes(changed))
    before = server.hits["/p/0.jpg"]
    ingested(lake, path)
    assert server.hits["/p/0.jpg"] == before + 1
    assert jpeg(0) in shard.read_bytes()


def test_a_full_disk_loses_nothing(server: Server, write_list: WriteList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, lake = write_list([f"{server.url}/p/{n}.jpg" for n in range(4)]), tmp_path / "lake"
    real, calls = os.pwrite, 0

    def pwrite(fd: int, data: Any, at: int) -> int:
        nonlocal calls
        calls += 1
        if calls == 3:
            real(fd, bytes(data)[:700], at)
            raise OSError(28, "No space left on device")
        return real(fd, data, at)

    monkeypatch.setattr("pipelines.download.shard.os.pwrite", pwrite)
    with pytest.raises(GoldsieveError, match="No space left"):
        ingested(lake, path, download=settings(concurrency=1, per_host=1))
    monkeypatch.undo()
    assert ingested(lake, path).added == 4
    assert all(server.hits[f"/p/{n}.jpg"] == 1 for n in range(2))


def ingest_command(folder: Path, path: Path, *options: str) -> list[str]:
    command = [*CLI, "ingest", str(folder / "lake"), str(path), "--kind", "urls"]
    return command + [f"--download={option}" for option in options]


@pytest.mark.timeout(300)  # four starts of the command, on a machine that may be busy
@pytest.mark.parametrize("processes", [1, 2])
def test_kill_nine(server: Server, write_list: WriteList, tmp_path: Path, processes: int) -> None:
    count, concurrency = 120, 6
    server.latency = 0.03
    path = write_list([f"{server.url}/p/{n}.jpg" for n in range(count)])
    options = ["allow_private=true", f"concurrency={concurrency}", "shard_rows=25", f"processes={processes}", "respect_opt_out=false"]
    command = ingest_command(tmp_path, path, *options)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    kills = 0
    for goal in (10, 50, 90):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment, cwd=tmp_path)
        assert process.stderr
        while server.hits.total() < goal and process.poll() is None:
            time.sleep(0.005)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate(timeout=60)
    assert kills >= 2
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    rows = wide(tmp_path / "lake")
    assert [row["key"] for row in rows] == [f"list-{n:08d}" for n in range(count)]
    with Reader() as reader:
        assert [reader.read(r["uri"], r["byte_offset"], r["byte_length"]) for r in rows] == [jpeg(n) for n in range(count)]
    assert server.hits.total() <= count + kills * (concurrency + 20 * (processes > 1))
    assert not list((tmp_path / "lake/downloads/list").glob(".*.part"))


def test_ctrl_c_ends_cleanly(server: Server, write_list: WriteList, tmp_path: Path) -> None:
    server.latency = 0.05
    path = write_list([f"{server.url}/p/{n}.jpg" for n in range(400)])
    command = ingest_command(tmp_path, path, "allow_private=true", "concurrency=2", "shard_rows=200", "processes=2")
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    while server.hits.total() < 10 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "run the same command again" in errors


def test_recipes(server: Server, write_list: WriteList, tmp_path: Path) -> None:
    write_list([f"{server.url}/p/{n}.jpg" for n in range(3)])
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "lake: lake\nsources:\n  - path: list.csv\n    kind: urls\n    download: {allow_private: true, per_host: 2, to: shards}\n"
        "operators: [media_facts]\ntiers: {silver: {big: width >= 32}}\n"
    )
    loaded = load_recipe(recipe)
    assert loaded.sources[0].download == DownloadSettings(allow_private=True, per_host=2, to=str(tmp_path / "shards"))
    for _ in range(2):
        result = run_recipe(loaded, engine="inline", reporter=QUIET)
        assert (result.samples, result.failed, result.tiers) == (3, 0, {"silver": 3})
    assert server.hits["/p/0.jpg"] == 1
    recipe.write_text(recipe.read_text().replace("per_host: 2", "per_hots: 2"))
    with pytest.raises(RecipeError, match=r"recipe.yaml:5: unknown key 'per_hots' in download; did you mean .per_host"):
        load_recipe(recipe)
    recipe.write_text(recipe.read_text().replace("kind: urls", "kind: urls\n    per_host: 3"))
    with pytest.raises(RecipeError, match=r"recipe.yaml:5: sources: per_host is about downloading; write download: \{per_host: ...\}"):
        load_recipe(recipe)
    recipe.write_text(recipe.read_text().replace("    per_host: 3\n", "").replace("per_hots: 2", "per_host: 0"))
    with pytest.raises(RecipeError, match="per_host"):
        load_recipe(recipe)


def test_what_cannot_be_meant(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        ingested(tmp_path / "lake", tmp_path / "nothing.csv")
    with pytest.raises(SourceError, match="downloaded into a lake first"):
        next(list_source(SourceSpec(str(tmp_path), "urls")))
    for wrong in ({"per_host": 0}, {"retries": -1}, {"types": ()}, {"agents": ("a\nb",)}, {"max_bytes": 1 << 40}, {"shard_rows": 10**7}):
        with pytest.raises(UsageError):
            DownloadSettings(**wrong)  # type: ignore[arg-type]


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs/sources.md").read_text(encoding="utf-8")
    for field in dataclasses.fields(DownloadSettings):
        assert f"`{field.name}`" in text, field.name
    for kind in typing.get_args(FaultKind):
        assert f"`{kind}`" in text, kind
