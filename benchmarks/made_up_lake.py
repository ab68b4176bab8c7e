"""A lake of made-up samples: rows of Parquet files with a picture each, and signals that were never measured."""

import io
import os
import resource
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from manifests import Lake, create_lake
from manifests.parts import Part, signal_part, uuids, write_part
from manifests.schema import MEDIA, media_hash
from pipelines.ingest import ingest
from pipelines.measure import prepare
from pipelines.passes import OperatorUse
from pipelines.progress import Reporter
from pipelines.recipe import load_recipe

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


def peak() -> str:
    """The largest resident memory so far, of this process and of one it started."""
    own, children = (resource.getrusage(who).ru_maxrss / 2**20 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return f"{own:.1f} GiB, of a command {children:.1f} GiB"


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
