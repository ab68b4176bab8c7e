"""MB/s of an export, of `tar` and of webdataset.ShardWriter, writing the same media from the page cache to the same disk.

    python -m benchmarks.export [--files 4000] [--kilobytes 120] [--folder DIR]

Rounds are interleaved, the median is printed. `tar` neither hashes nor syncs; ``tar + sync + sha256`` does what an
export has to do after writing; ``tar + sync`` is what the disk can take. The files are random bytes: an export does not decode them.
"""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import webdataset

from manifests import Lake, create_lake
from manifests.changes import data_version
from manifests.parts import uuids, write_part
from manifests.schema import MEDIA, REFERENCE, media_hash
from pipelines.export import export
from pipelines.export_plan import ExportSettings
from pipelines.reader import Reader


def make(folder: Path, files: int, size: int) -> Lake:
    media = folder / "media"
    media.mkdir()
    rows, hashes = [], {}
    for n in range(files):
        path, data = media / f"{n:06d}.jpg", os.urandom(size)
        path.write_bytes(data)
        hashes[str(path)] = media_hash(data)
        stamp = f"{size}:1"
        rows.append(
            {
                "source": "media",
                "key": str(n),
                "uri": str(path),
                "byte_length": size,
                "stamp": stamp,
                "modality": "image",
                "caption": f"file {n}",
            }
        )
    lake = create_lake(folder / "lake")
    lake.ingest("media", str(media), iter(pa.Table.from_pylist(rows, schema=REFERENCE).to_batches()))
    refs = lake.rows("SELECT CAST(ref_hash AS VARCHAR) AS ref, uri FROM refs")
    known = {
        "ref_hash": uuids([uuid.UUID(r["ref"]) for r in refs]),
        "media_hash": uuids([hashes[r["uri"]] for r in refs]),
        "format": pa.array(["jpeg"] * files),
    }
    columns = [known.get(f.name, pa.nulls(files, f.type)) for f in MEDIA]
    lake.commit([write_part(lake.address.data, "media", pa.table(columns, schema=MEDIA))], "read")
    tiers = "SELECT sample_id, 'gold' AS tier, CAST([] AS VARCHAR[]) AS failed_rules FROM samples"
    lake.write_tiers("recipe", "digest", {}, tiers, uuid.uuid4(), data_version(lake))
    return lake


def with_export(lake: Lake, out: Path, workers: int) -> None:
    settings = ExportSettings(to=str(out), shard_size="128MB")
    export(lake, settings, "recipe", "digest", read=Reader().read, workers=workers, overwrite=True)


def with_tar(media: Path, out: Path) -> None:
    subprocess.run(["tar", "-cf", str(out / "all.tar"), "-C", str(media), "."], check=True)


def with_tar_and_sync(media: Path, out: Path, digest: bool) -> None:
    with_tar(media, out)
    with open(out / "all.tar", "rb") as file:
        os.fsync(file.fileno())
        if digest:
            hashlib.file_digest(file, "sha256")


def with_shard_writer(media: Path, out: Path) -> None:
    with webdataset.ShardWriter(f"{out}/shard-%06d.tar", maxsize=128e6, verbose=0) as writer:
        for path in sorted(media.iterdir()):
            facts = json.dumps({"uri": str(path)}).encode()
            writer.write({"__key__": path.stem, "jpg": path.read_bytes(), "json": facts, "txt": f"file {path.stem}"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=4000)
    parser.add_argument("--kilobytes", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where to write (default: the temporary folder)")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=wanted.folder) as name:
        folder = Path(name)
        lake, media, out = make(folder, wanted.files, wanted.kilobytes * 1000), folder / "media", folder / "out"
        ways: dict[str, Callable[[], None]] = {
            "tar": lambda: with_tar(media, out),
            "tar + sync": lambda: with_tar_and_sync(media, out, digest=False),
            "tar + sync + sha256": lambda: with_tar_and_sync(media, out, digest=True),
            "webdataset.ShardWriter": lambda: with_shard_writer(media, out),
            "export, 1 worker": lambda: with_export(lake, out, 1),
            "export, 3 workers": lambda: with_export(lake, out, 3),
        }
        rates: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(wanted.rounds):
            for way, write in ways.items():
                shutil.rmtree(out, ignore_errors=True)
                out.mkdir()
                os.sync()
                start = time.perf_counter()
                write()
                rates[way].append(wanted.files * wanted.kilobytes / 1000 / (time.perf_counter() - start))
        lake.close()
    base = statistics.median(rates["tar"])
    print(f"{wanted.files} files of {wanted.kilobytes} KB, median of {wanted.rounds} rounds, load {os.getloadavg()[0]:.1f}")
    for way, found in rates.items():
        rate = statistics.median(found)
        print(f"{way:24} {rate:7.0f} MB/s  {rate / base:5.2f} x tar   (rounds: {', '.join(f'{r:.0f}' for r in found)})")


if __name__ == "__main__":
    main()
