"""A manifest of a million samples or more: how long a changed threshold, a question about a sample and a run with nothing to do take.

    python -m benchmarks.manifest_scale [--samples 1000000] [--folder DIR] [--keep] [--repeat 3]
    python -m benchmarks.manifest_scale --samples 10000000 --part-rows 20480 --exact --report --folder DIR --keep

The samples are rows of Parquet files with a picture each, listed and ingested as any other source. Their signals are made up:
parts with the columns of the six default operators (45 columns), registered as workers' parts are. Then the recipe is run,
which groups duplicates and exports, and run again. ``--part-rows``: workers write parts of 2,048 rows, which makes many commits.
A build that was stopped goes on with the source that is there, if it is whole.
"""

import argparse
import io
import json
import os
import resource
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.common import RECIPE, Checks, goldsieve, write_recipe
from manifests import Lake, create_lake, open_lake
from manifests.parts import Part, signal_part, uuids, write_part
from manifests.schema import MEDIA, media_hash
from pipelines.ingest import ingest
from pipelines.measure import prepare
from pipelines.passes import OperatorUse
from pipelines.progress import Reporter
from pipelines.recipe import load_recipe
from pipelines.run import run_recipe
from pipelines.tiering import tier
from quality.status import status
from quality.why import why

FILE_ROWS = 10_000
WORKER_ROWS = 2048
PARTS_A_COMMIT = 100
COPIES = 0.03
"""Share of samples that are byte for byte another one."""


def picture_bytes(base: bytes, number: int) -> bytes:
    """A readable JPEG that differs from every other number's behind its end marker; some are copies."""
    random = np.random.default_rng(number)
    return base + (number if random.random() >= COPIES else number // 2).to_bytes(8, "little")


def make_source(folder: Path, samples: int, base: bytes) -> None:
    folder.mkdir(parents=True)
    words = ["a red kite over the sea", "two dogs in deep snow", "an old tram", "hands holding bread", "a street at night in the rain"]
    for start in range(0, samples, FILE_ROWS):
        numbers = range(start, min(start + FILE_ROWS, samples))
        table = pa.table(
            {
                "key": [f"{n:09d}" for n in numbers],
                "image": pa.array([picture_bytes(base, n) for n in numbers], pa.binary()),
                "caption": [f"{words[n % 5]}, seen from place {n % 400_000}" for n in numbers],
                "url": [f"https://pictures.example/{n % 1000}/{n}.jpg" for n in numbers],
                "license": [("CC BY 4.0", "CC0", None)[n % 3] for n in numbers],
                "punsafe": np.random.default_rng(start).random(len(numbers)).astype(np.float32),
            }
        )
        pq.write_table(table, folder / f"part-{start // FILE_ROWS:05d}.parquet", row_group_size=1000)


def values(field: pa.Field, rows: int, random: np.random.Generator) -> pa.Array:
    """Made-up values of an operator's column."""
    kind = field.type
    if pa.types.is_boolean(kind):
        return pa.array(random.random(rows) < 0.02)
    if pa.types.is_uint64(kind):
        return pa.array(random.integers(0, 2**64, rows, dtype=np.uint64))
    if pa.types.is_integer(kind):
        return pa.array(random.integers(1, 60, rows), type=kind)
    if pa.types.is_floating(kind):
        return pa.array(random.gamma(2.0, 100.0, rows).astype(np.float32), type=kind)
    if field.name in ("caption_junk", "caption_boilerplate", "camera_make", "camera_model", "software", "taken_at"):
        return pa.array(np.where(random.random(rows) < 0.05, "some words", None), type=kind)
    return pa.array(random.choice(["en", "de", "RGB"], rows), type=kind)


def signal_parts(
    lake: Lake, use: OperatorUse, keys: np.ndarray, run_id: uuid.UUID, random: np.random.Generator, part_rows: int
) -> Iterator[Part]:
    """Parts of one operator for every key (rows of 16 bytes)."""
    for start in range(0, len(keys), part_rows):
        some = keys[start : start + part_rows]
        columns = {f.name: values(f, len(some), random) for f in use.operator.adds}
        array = pa.ExtensionArray.from_storage(pa.uuid(), pa.array(list(some), pa.binary(16)))
        yield signal_part(lake.address.data, f"signal_{use.name}", use.operator.adds, array, use.fingerprint, run_id, columns)


def media_parts(lake: Lake, refs: pa.Table, base: bytes, random: np.random.Generator, part_rows: int) -> Iterator[tuple[Part, np.ndarray]]:
    """Parts of the table ``media`` and the hashes in them."""
    for start in range(0, refs.num_rows, part_rows):
        some = refs.slice(start, part_rows)
        rows = some.num_rows
        blobs = [picture_bytes(base, int(key)) for key in some["key"].to_pylist()]
        hashes = [media_hash(blob) for blob in blobs]
        columns = {
            "ref_hash": uuids([uuid.UUID(value) for value in some["ref_hash"].to_pylist()]),
            "media_hash": uuids(hashes),
            "byte_length": pa.array([len(blob) for blob in blobs], pa.int64()),
            "format": pa.array(["jpeg"] * rows),
            "width": pa.array(random.integers(80, 2000, rows), pa.int32()),
            "height": pa.array(random.integers(80, 2000, rows), pa.int32()),
        }
        table = pa.table([columns.get(f.name, pa.nulls(rows, f.type)) for f in MEDIA], schema=MEDIA)
        yield write_part(lake.address.data, "media", table), np.frombuffer(b"".join(h.bytes for h in hashes), dtype="S16")


def timed(repeat: int, call: Callable[[], Any]) -> tuple[float, str]:
    """Median seconds of calls, and all of them as text, with their processor time."""
    took, cpu = [], []
    for _ in range(repeat):
        started, worked = time.perf_counter(), time.process_time()
        call()
        took.append(time.perf_counter() - started)
        cpu.append(time.process_time() - worked)
    return statistics.median(took), f"{', '.join(f'{t:.2f}' for t in took)}; processor {', '.join(f'{t:.2f}' for t in cpu)}"


def build(folder: Path, samples: int, recipe_path: Path, part_rows: int = WORKER_ROWS) -> None:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(out, "JPEG", quality=50)
    base = out.getvalue()
    if not (folder / "crawl").exists():
        make_source(folder / "crawl", samples, base)
    recipe, random, run_id = load_recipe(recipe_path), np.random.default_rng(5), uuid.uuid4()
    with create_lake(recipe.lake) as lake, lake.writing("benchmark"):
        started, worked = time.perf_counter(), time.process_time()
        print(f"      {ingest(lake, recipe.sources[0], Reporter(quiet=True))}")
        seconds, cpu = time.perf_counter() - started, time.process_time() - worked
        print(f"      first listing and ingest: {seconds:.1f} s, {samples / seconds:,.0f}/s")
        print(f"      processor {cpu / samples * 1e6:.1f} us a sample, peak memory {peak()}, load {os.getloadavg()[0]:.1f}", flush=True)
        prepare(lake, recipe.operators)
        refs = lake.query("SELECT key, CAST(ref_hash AS VARCHAR) AS ref_hash FROM refs ORDER BY uri, byte_offset")
        made = list(media_parts(lake, refs, base, random, part_rows))
        started = time.perf_counter()
        for n in range(0, len(made), PARTS_A_COMMIT):
            lake.commit([part for part, _ in made[n : n + PARTS_A_COMMIT]], "read")
        hashes = np.unique(np.concatenate([keys for _, keys in made]))
        captions = lake.query("SELECT DISTINCT CAST(caption_hash AS VARCHAR) AS h FROM refs")["h"].to_pylist()
        by_kind = {
            "media": hashes.view("V16"),
            "caption": np.frombuffer(b"".join(uuid.UUID(h).bytes for h in captions), dtype="V16"),
        }
        for use in recipe.operators:
            if use.keyed_by in by_kind:
                keys = [bytes(k) for k in by_kind[use.keyed_by]]
                parts = list(signal_parts(lake, use, np.array(keys, dtype=object), run_id, random, part_rows))
                for n in range(0, len(parts), PARTS_A_COMMIT):
                    lake.commit(parts[n : n + PARTS_A_COMMIT], f"measure {use.name}")
        print(f"      parts written and committed: {time.perf_counter() - started:.1f} s")
        started = time.perf_counter()
        lake.compact()
        print(f"      parts merged, as at the end of a run: {time.perf_counter() - started:.1f} s")


def peak() -> str:
    """The largest resident memory so far, of this process and of one it started."""
    own, children = (resource.getrusage(who).ru_maxrss / 2**20 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return f"{own:.1f} GiB, of a command {children:.1f} GiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--keep", action="store_true", help="use the lake that is in --folder already, and leave it")
    parser.add_argument("--build", action="store_true", help="make the lake and stop")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--part-rows", type=int, default=WORKER_ROWS)
    parser.add_argument(
        "--exact", action="store_true", help="group equal files only: the search for near duplicates has its own benchmarks"
    )
    parser.add_argument("--report", action="store_true", help="write a report too")
    options = parser.parse_args()
    large = options.samples > 1_000_000
    nothing_s, tier_s, why_s = (30, 20, 2) if large else (10, 5, 1)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="manifest-scale-"))
    rules = {
        "silver": {"big enough": "least(width, height) >= 256", "sharp": "sharpness >= 40", "lit": "brightness >= 30 or contrast >= 50"},
        "gold": {
            "from": "silver",
            "unique": "not is_duplicate",
            "described": "caption_junk is null and caption_words >= 3",
            "top": "2% by sharpness",
        },
    }
    recipe_path = write_recipe(
        folder / "recipe.yaml",
        lake=folder / "lake",
        sources=[{"path": str(folder / "crawl"), "kind": "parquet"}],
        to=folder / "gold",
        tiers=rules,
        operators=[name for name in RECIPE["operators"] if not options.exact or name != "near_duplicates"],
    )
    if not (folder / "lake").exists():
        build(folder, options.samples, recipe_path, options.part_rows)
    if options.build:
        return
    check = Checks()
    ran = goldsieve("run", recipe_path, "--engine", "inline", timeout=7200)
    check("first run (duplicates, tiers, export): exit code", ran.code, "0", ran.code == 0)
    print(f"      {ran.seconds:.1f} s\n" + "\n".join(f"      {line}" for line in (ran.err + ran.out).splitlines()))

    for _ in range(options.repeat):
        ran = goldsieve("run", recipe_path, "--engine", "ray", "--json")
        found = json.loads(ran.out)["samples"] if not ran.code else ran.err
        check(
            f"run with nothing to do, command, {found} samples: seconds",
            f"{ran.seconds:.2f}",
            f"< {nothing_s}   (processor {ran.cpu:.2f})",
            not ran.code and ran.seconds < nothing_s,
        )
    recipe = load_recipe(recipe_path)
    seconds, all_of = timed(options.repeat, lambda: run_recipe(recipe, engine="inline", reporter=Reporter(quiet=True)))
    check("run with nothing to do, function: seconds", f"{seconds:.2f}", f"< {nothing_s}   ({all_of})", seconds < nothing_s)

    for n in range(options.repeat):
        ran = goldsieve("tier", recipe_path, "--set", f"silver.sharp=sharpness >= {41 + n}")
        check(
            "changed threshold, command: seconds",
            f"{ran.seconds:.2f}",
            f"< {tier_s}   (processor {ran.cpu:.2f})",
            not ran.code and ran.seconds < tier_s,
        )
    with open_lake(recipe.lake, read_only=False) as lake, lake.writing("benchmark"):
        thresholds = iter(range(50, 1000))

        def change() -> None:
            assert tier(lake, load_recipe(recipe_path, [f"silver.sharp=sharpness >= {next(thresholds)}"]), uuid.uuid4())

        seconds, all_of = timed(options.repeat, change)
        check("changed threshold, function: seconds", f"{seconds:.2f}", f"< {tier_s}   ({all_of})", seconds < tier_s)
        tier(lake, recipe, uuid.uuid4())
    with open_lake(recipe.lake) as lake:
        (one,) = lake.rows("SELECT CAST(sample_id AS VARCHAR) AS id, key FROM wide WHERE is_duplicate ORDER BY key LIMIT 1")
        seconds, all_of = timed(options.repeat, lambda: why(lake, one["id"]))
        check("why of a duplicate by id, function: seconds", f"{seconds:.2f}", f"< {why_s}   ({all_of})", seconds < why_s)
        seconds, all_of = timed(options.repeat, lambda: why(lake, one["key"]))
        check("why by key, function: seconds", f"{seconds:.2f}", f"< {why_s}   ({all_of})", seconds < why_s)
        seconds, all_of = timed(options.repeat, lambda: status(lake))
        check("status, function: seconds (no target)", f"{seconds:.2f}", f"({all_of})", True)
    for name in (one["id"], one["key"]):
        for _ in range(options.repeat):
            ran = goldsieve("why", folder / "lake", name)
            told = "id" if name == one["id"] else "key"
            check(
                f"why by {told}, command: seconds",
                f"{ran.seconds:.2f}",
                f"< {why_s}   (processor {ran.cpu:.2f})",
                not ran.code and ran.seconds < why_s,
            )
    if options.report:
        ran = goldsieve("report", folder / "lake", "-o", folder / "report.html", timeout=7200)
        check("report, command: seconds", f"{ran.seconds:.1f}", f"< 300   (processor {ran.cpu:.1f})", not ran.code and ran.seconds < 300)
    print(f"      peak memory {peak()}")
    if not options.keep:
        shutil.rmtree(folder)
    check.end()


if __name__ == "__main__":
    main()
