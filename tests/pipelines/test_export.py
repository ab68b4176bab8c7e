import filecmp
import json
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import GoldsieveError, UsageError
from manifests.runs import begin_run
from manifests.schema import media_hash
from pipelines.data_card import CardFacts, cell
from pipelines.export import export
from pipelines.export_plan import ExportSettings, PlannedShard, parse_size, plan_export, windows
from pipelines.reader import Reader
from pipelines.verify import verify


def run(lake, to, *, recipe_digest="digest", read=None, facts=None, workers=2, overwrite=False, progress=None, **settings):
    wanted = ExportSettings(to=str(to), **{"shard_size": "40KB", **settings})
    read = read or Reader().read
    return export(lake, wanted, "recipe", recipe_digest, read=read, facts=facts, workers=workers, overwrite=overwrite, progress=progress)


def samples(folder: Path) -> dict[str, dict[str, bytes]]:
    """Files of every sample by id, in order, by extension."""
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted(folder.glob("shard-*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, extension = member.name.split(".")
                found.setdefault(key, {})[extension] = tar.extractfile(member).read()
    return found


def same_files(a: Path, b: Path) -> None:
    names = sorted(p.name for p in a.iterdir() if p.is_file())
    assert names == sorted(p.name for p in b.iterdir() if p.is_file())
    assert filecmp.cmpfiles(a, b, [n for n in names if n != "README.md"], shallow=False)[1:] == ([], [])


# the plan


def planned(keys, sizes, **settings):
    table = {name: pa.array(values, pa.int64()) for name, values in {"media": sizes, "caption": sizes, "record": sizes}.items()}
    table |= {"order_key": pa.array(sorted(keys), pa.uint64()), "content": pa.array(keys, pa.uint64())}
    return plan_export(pa.table(table), ExportSettings(to="x", **settings), "digest")


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5000)), max_size=60))
def test_plan_holds_every_sample_once_and_never_parts_equal_keys(items):
    keys, sizes = [k for k, _ in items], [s for _, s in items]
    plan = planned(keys, sizes, shard_size="30KB")
    assert sum(shard.samples for shard in plan.shards) == len(items)
    assert all(a.last < b.first for a, b in zip(plan.shards, plan.shards[1:], strict=False))
    position = 0
    for shard in plan.shards:
        size = sum(3 * (512 + -(-s // 512) * 512) for s in sizes[position : position + shard.samples]) + 1024
        assert size <= 30_000 or len(set(sorted(keys)[position : position + shard.samples])) == 1 or _last_tied(shard, keys)
        position += shard.samples


def _last_tied(shard: PlannedShard, keys: list[int]) -> bool:
    return keys.count(shard.last) > 1


def test_plan_digest_covers_content_settings_and_recipe_but_not_the_folder():
    table = pa.table({n: pa.array([1, 2]) for n in ("media", "caption", "record", "order_key", "content")})
    base = plan_export(table, ExportSettings(to="a"), "digest").digest
    assert plan_export(table, ExportSettings(to="b"), "digest").digest == base
    assert plan_export(table, ExportSettings(to="a", seed=1), "digest").digest != base
    assert plan_export(table, ExportSettings(to="a"), "other").digest != base
    other = table.set_column(4, "content", pa.array([1, 3]))
    assert plan_export(other, ExportSettings(to="a"), "digest").digest != base


def test_windows_bound_rows_and_text_and_skip_finished_shards():
    shards = [PlannedShard(f"shard-{n:06d}.tar", n, n, 20_000, 1000) for n in (0, 1, 2, 4, 5)]
    assert [[s.first for s in w] for w in windows(shards)] == [[0, 1], [2], [4, 5]]
    assert [len(w) for w in windows([PlannedShard("shard-000000.tar", 0, 0, 10**6, 1 << 40)])] == [1]


@pytest.mark.parametrize(
    ("text", "size"), [("512MB", 512_000_000), ("1GiB", 2**30), ("1.5kb", 1500), (" 10 B ", 10), ("7", 7), ("2TB", 2 * 10**12)]
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "12 parsecs", "-1MB", "0", "0.1B", "1e3"])
def test_wrong_sizes_are_refused(text):
    with pytest.raises(UsageError, match="512MB"):
        ExportSettings(to="x", shard_size=text)


@pytest.mark.parametrize("wrong", [{"max_samples": 0}, {"resize": 0}, {"quality": 101}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        ExportSettings(to="x", **wrong)


# what is written


def test_export_keeps_bytes_captions_and_provenance(gallery, tmp_path):
    lake = gallery()
    seen = []
    result = run(lake, tmp_path / "out", progress=lambda done, total: seen.append((done, total)))
    wide = {str(r["sample_id"]): r for r in lake.query("SELECT sample_id, key, uri, caption, metadata FROM wide").to_pylist()}
    found = samples(tmp_path / "out")
    assert found.keys() == wide.keys()
    for key, files in found.items():
        facts = json.loads(files["json"])
        media = next(data for name, data in files.items() if name not in ("json", "txt"))
        assert media == Path(wide[key]["uri"]).read_bytes()
        assert facts["media_hash"] == str(media_hash(media))
        assert (facts["key"], facts["caption"]) == (wide[key]["key"], wide[key]["caption"])
        assert ("txt" in files) == (wide[key]["caption"] is not None)
        assert not {"ingested_at", "image_embedding", "run_id", "snapshot"} & facts.keys()
        assert re.fullmatch("[0-9a-f]{16}", facts["phash"])
        assert facts["sharpness"] in (0.1, None)
    assert (result.samples, result.written, result.left_out) == (12, len(result.shards), ())
    assert len(result.shards) > 2
    assert seen[-1] == (12, 12)
    assert verify(tmp_path / "out").ok
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    assert index["samples"] == 12
    assert [s["name"] for s in index["shards"]] == [r.name for r in result.shards]


def test_export_is_recorded_once(gallery, tmp_path):
    lake = gallery()
    for _ in range(2):
        result = run(lake, tmp_path / "out")
    (row,) = lake.rows("SELECT CAST(export_id AS VARCHAR) AS id, tier, samples, bytes, recipe_digest, directory FROM exports")
    assert (row["id"], row["tier"], row["samples"], row["bytes"]) == (result.export_id, "gold", 12, result.bytes)
    shards = lake.rows("SELECT name, sha256, bytes, samples FROM shards ORDER BY name")
    assert [s["sha256"] for s in shards] == [r.sha256 for r in result.shards]


def test_two_exports_are_the_same_bytes_whatever_the_workers_and_the_snapshot(gallery, tmp_path):
    lake = gallery()
    run(lake, tmp_path / "a", workers=1)
    begin_run(lake, "nothing", "inline")
    run(lake, tmp_path / "b", workers=4)
    same_files(tmp_path / "a", tmp_path / "b")


def test_order_depends_on_the_seed_and_a_limit_takes_the_first(gallery, tmp_path):
    lake = gallery()
    all_of = list(samples(run(lake, tmp_path / "all").directory))
    assert list(samples(run(lake, tmp_path / "some", max_samples=5).directory)) == all_of[:5]
    assert list(samples(run(lake, tmp_path / "large", shard_size="1GB").directory)) == all_of
    other = list(samples(run(lake, tmp_path / "other", seed=1).directory))
    assert sorted(other) == sorted(all_of)
    assert other != all_of


def test_columns_choose_signals_and_unknown_ones_are_named(gallery, tmp_path):
    lake = gallery()
    result = run(lake, tmp_path / "out", columns=("sharpness", "image_embedding"))
    facts = json.loads(next(iter(samples(result.directory).values()))["json"])
    assert facts["image_embedding"] == [0.5, 0.25]
    assert {"key", "license", "sharpness"} <= facts.keys()
    assert "phash" not in facts
    with pytest.raises(UsageError, match="Did you mean 'sharpness'"):
        run(lake, tmp_path / "x", columns=("sharpnes",))


def test_resize_makes_smaller_jpegs_and_keeps_small_pictures(gallery, tmp_path):
    lake = gallery()
    from PIL import Image

    result = run(lake, tmp_path / "out", resize=60)
    for files in samples(result.directory).values():
        (tmp_path / "x.jpg").write_bytes(files["jpg"])
        with Image.open(tmp_path / "x.jpg") as picture:
            assert (picture.size, picture.format) == ((80, 60), "JPEG")
    assert verify(result.directory).ok
    kept = samples(run(lake, tmp_path / "kept", resize=120).directory)
    assert {name for files in kept.values() for name in files} == {"jpg", "png", "webp", "json", "txt"}


def test_changed_and_lost_files_are_left_out_and_reported(gallery, tmp_path):
    lake = gallery()
    copies = tmp_path / "media"
    shutil.copytree(Path(lake.rows("SELECT uri FROM wide LIMIT 1")[0]["uri"]).parent, copies)
    with lake.transaction("moved") as connection:
        connection.execute("UPDATE refs SET uri = ? || '/' || parse_filename(uri)", [str(copies)])
    pictures = sorted((tmp_path / "media").iterdir())
    pictures[3].unlink()
    pictures[4].write_bytes(pictures[4].read_bytes()[:-1] + b"?")
    result = run(lake, tmp_path / "out")
    assert result.samples == 10
    reasons = " / ".join(sorted(item.reason for item in result.left_out))
    assert "gone" in reasons
    assert "has changed since it was measured" in reasons
    lines = [json.loads(line) for line in (tmp_path / "out" / "left_out.jsonl").read_text().splitlines()]
    assert {line["sample_id"] for line in lines} == {item.sample_id for item in result.left_out}
    assert "2 planned samples are not" in (tmp_path / "out" / "README.md").read_text()
    assert verify(tmp_path / "out").ok
    same_files(tmp_path / "out", run(lake, tmp_path / "again").directory)


def test_an_empty_tier_is_refused(gallery, tmp_path):
    with pytest.raises(UsageError, match="No sample has the tier 'platinum'"):
        run(gallery(), tmp_path / "out", tier="platinum")
    assert not (tmp_path / "out").exists()


# the folder


def test_complete_export_is_left_alone(gallery, tmp_path):
    lake = gallery()
    first = run(lake, tmp_path / "out")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()}
    again = run(lake, tmp_path / "out")
    assert again.written == 0
    assert (again.shards, again.samples, again.bytes) == (first.shards, first.samples, first.bytes)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()} == before


def test_another_plan_is_refused_unless_overwritten(gallery, tmp_path):
    lake = gallery()
    run(lake, tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds another export"):
        run(lake, tmp_path / "out", seed=9)
    run(lake, tmp_path / "out", seed=9, shard_size="1GB", overwrite=True)
    assert sorted(p.name for p in (tmp_path / "out").glob("*.tar")) == ["shard-000000.tar"]
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    assert [p.problem for p in verify(tmp_path / "out").problems] == ["the file 'notes.txt' is not in the index"]


def test_a_foreign_folder_is_never_touched(gallery, tmp_path):
    lake = gallery()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="holds no export"):
            run(lake, tmp_path / "out", overwrite=overwrite)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["README.md"]
    with pytest.raises(UsageError, match="this lake reads"):
        run(lake, Path(lake.rows("SELECT uri FROM wide LIMIT 1")[0]["uri"]).parent, overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(GoldsieveError, match="cannot be used"):
        run(lake, tmp_path / "file")


def test_damaged_and_missing_shards_are_written_again(gallery, tmp_path):
    lake = gallery()
    result = run(lake, tmp_path / "out")
    shutil.copytree(tmp_path / "out", tmp_path / "whole")
    out = tmp_path / "out"
    (out / result.shards[0].name).unlink()
    (out / "index.json").unlink()  # unfinished: hashes are compared, not only sizes
    damaged = out / result.shards[1].name
    data = bytearray(damaged.read_bytes())
    data[-2000] ^= 1
    damaged.write_bytes(data)
    with open(out / ".export" / "journal.jsonl", "a") as journal:
        journal.write('{"name": "shard-0000')  # a kill in the middle of a line
    assert run(lake, out).written == 2
    same_files(out, tmp_path / "whole")
    (out / result.shards[2].name).unlink()
    assert run(lake, out).written == 1
    same_files(out, tmp_path / "whole")


def test_an_error_in_one_shard_stops_the_export_and_it_goes_on_later(gallery, tmp_path):
    lake = gallery()
    reader, calls = Reader(), []

    def breaks(uri, offset, length):
        calls.append(uri)
        if len(calls) == 7:
            raise RuntimeError("lost")
        return reader.read(uri, offset, length)

    with pytest.raises(RuntimeError, match="lost"):
        run(lake, tmp_path / "out", read=breaks)
    assert not (tmp_path / "out" / "index.json").exists()
    assert not list((tmp_path / "out" / ".export").glob("*.part"))
    kept = len(list((tmp_path / "out").glob("shard-*.tar")))
    result = run(lake, tmp_path / "out")
    assert kept > 0
    assert result.written == len(result.shards) - kept
    run(lake, tmp_path / "undisturbed")
    same_files(tmp_path / "out", tmp_path / "undisturbed")


SLOW = """
import sys, time
from manifests import open_lake
from pipelines.export import export
from pipelines.export_plan import ExportSettings
from pipelines.reader import Reader

with open_lake(sys.argv[1]) as lake:
    settings = ExportSettings(to=sys.argv[2], shard_size="40KB")
    export(lake, settings, "recipe", "digest", read=Reader().read, progress=lambda done, total: time.sleep(0.05))
"""


def test_kill_leaves_no_half_shard_and_the_rest_is_written_later(gallery, tmp_path):
    lake = gallery()
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path / "lake"), str(out)], cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 60
    while len(list(out.glob("shard-*.tar"))) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was over before it was killed"
    assert not (out / "index.json").exists()
    half_way = sorted(out.glob("shard-*.tar"))
    run(lake, tmp_path / "undisturbed")
    for path in half_way:
        assert filecmp.cmp(path, tmp_path / "undisturbed" / path.name, shallow=False)
    result = run(lake, out)
    assert 0 < result.written < len(result.shards)
    same_files(out, tmp_path / "undisturbed")
    assert verify(out).ok


# the data card


def blocks(readme: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", readme, re.S)


def execute(code: str, folder: Path) -> str:
    result = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_card_tells_rules_funnel_licences_and_columns_as_text(gallery, tmp_path):
    lake = gallery()
    facts = CardFacts(
        rules=[("silver", "big enough", "least(width, height) >= 256 | <script>")],
        funnel=[{"rule": "big enough", "passed": 812, "failed": 40}],
        columns={"sharpness": ("Variance of the Laplacian.", "0-1")},
    )
    text = (run(lake, tmp_path / "out", facts=facts).directory / "README.md").read_text()
    assert f"| manifest snapshot | {lake.rows('SELECT snapshot FROM exports')[0]['snapshot']} |" in text
    assert r"| silver | big enough | least(width, height) &gt;= 256 \| &lt;script&gt; |" in text
    assert "| big enough | 812 | 40 |" in text
    assert "| sharpness | Variance of the Laplacian. | 0-1 |" in text
    assert r"| web\|pages | CC BY 4.0 | 6 |" in text


@given(st.text())
def test_cells_cannot_break_the_table(text):
    found = cell(text)
    assert "\n" not in found
    assert not re.search(r"(?<!\\)[|`<]", found.replace("\\\\", ""))
    assert len(cell("x" * 10_000)) == 200


def test_webdataset_snippet_of_the_card_runs_with_two_workers(gallery, tmp_path):
    result = run(gallery(), tmp_path / "out")
    output = execute(blocks((tmp_path / "out" / "README.md").read_text())[0], tmp_path / "out")
    ids = {line.split(") ")[1].split()[0] for line in output.splitlines()}
    assert len(output.splitlines()) == result.samples
    assert ids == samples(tmp_path / "out").keys()


def test_datasets_snippet_of_the_card_runs(gallery, tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    run(gallery(), tmp_path / "out")
    code = blocks((tmp_path / "out" / "README.md").read_text())[1]
    code += "\nfor row in dataset: print(row['__key__'], row['json']['sample_id'])"
    lines = [line.split() for line in execute(code, tmp_path / "out").splitlines()]
    assert {tuple(line) for line in lines} == {(key, key) for key in samples(tmp_path / "out")}
