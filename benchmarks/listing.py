"""Listing and ingest: a tar of a million small members, a folder, and tables of references.

    python benchmarks/listing.py [--members 1000000] [--rows 1000000] [--only tar|folder|parquet|paths|csv ...]

Prints the rate by the clock and processor time, which other work on the machine disturbs less, and Python's `tarfile` beside the tar.
``parquet`` has pictures in a column of bytes, which are not read; the rows of ``paths`` and ``csv`` name 20,000 files again and again.
"""

import argparse
import csv
import os
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from manifests import create_lake
from pipelines.ingest import ingest
from pipelines.progress import Reporter
from pipelines.reader import Reader
from pipelines.sources import SourceSpec, list_source

PAYLOADS = {"jpg": b"\xff\xd8" + bytes(700), "json": b'{"caption": "a small picture", "width": 64}', "txt": b"a small picture"}
FILES = 20_000
FILE_ROWS = 100_000


def write_tar(path: Path, members: int) -> None:
    with open(path, "wb") as file:
        for number in range(members // len(PAYLOADS)):
            for extension, data in PAYLOADS.items():
                info = tarfile.TarInfo(f"{number:09d}.{extension}")
                info.size = len(data)
                file.write(info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512))
        file.write(bytes(10240))


def write_folder(path: Path, files: int = FILES) -> None:
    path.mkdir(exist_ok=True)
    for number in range(files):
        (path / f"{number}.jpg").write_bytes(PAYLOADS["jpg"])


def write_tables(path: Path, rows: int, media: str, ending: str) -> None:
    """Tables of a caption, a URL, a licence that every third row lacks, and a number; ``media``: a column of bytes or of paths."""
    path.mkdir()
    for start in range(0, rows, FILE_ROWS):
        numbers = range(start, min(start + FILE_ROWS, rows))
        table = {
            "key": [f"{n:09d}" for n in numbers],
            media: [PAYLOADS["jpg"]] * len(numbers) if media == "image" else [f"../pictures/{n % FILES}.jpg" for n in numbers],
            "caption": [f"a red kite over the sea, seen from place {n}" for n in numbers],
            "url": [f"https://pictures.example/{n % 1000}/{n}.jpg" for n in numbers],
            "license": [("CC BY 4.0", "CC0", None)[n % 3] for n in numbers],
            "punsafe": [n * 0.618 % 1 for n in numbers],
        }
        file = path / f"part-{start // FILE_ROWS:05d}.{ending}"
        if ending == "parquet":
            pq.write_table(pa.table(table), file)
        else:
            with open(file, "w", newline="") as text:
                csv.writer(text).writerows([table.keys(), *zip(*table.values(), strict=True)])


@contextmanager
def timed(what: str, count: int) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    each = f"{wall / count * 1e6:.1f} us each, processor {cpu / count * 1e6:.1f} us"
    print(f"{what:34} {count / wall:>11,.0f}/s   {each}   (load {os.getloadavg()[0]:.1f})", flush=True)


def measure(path: Path, count: int) -> None:
    """List a source, read some of it back, and ingest it into a new lake."""
    spec = SourceSpec(f"{path}/*{next(path.iterdir()).suffix}" if path.name in ("paths", "csv") else str(path))
    with timed(f"{path.name}: list", count):
        listed = sum(batch.num_rows for batch in list_source(spec))
    references = []
    for batch in list_source(spec):
        references += list(zip(*(batch[name].to_pylist() for name in ("uri", "byte_offset", "byte_length")), strict=True))
        if len(references) >= 50_000:
            break
    with timed(f"{path.name}: read back", len(references)), Reader() as reader:
        for reference in references:
            reader.read(*reference)
    with tempfile.TemporaryDirectory() as folder, create_lake(Path(folder) / "lake") as lake, lake.writing("benchmark"):
        for what in ("ingest", "ingest again"):
            with timed(f"{path.name}: {what}", listed):
                found = ingest(lake, spec, Reporter(quiet=True))
            assert found.added + found.unchanged == listed, found
            assert not found.errors, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="+", default=["tar", "folder", "parquet", "paths", "csv"])
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "tar" in wanted.only:
            path = folder / "million.tar"
            write_tar(path, wanted.members)
            measure(path, wanted.members)
            with timed("tarfile, headers only", wanted.members), tarfile.open(path, "r:") as tar:
                while tar.next() is not None:
                    tar.members.clear()  # or it holds every header in memory
            os.unlink(path)
        if {"folder", "paths", "csv"} & {*wanted.only}:
            write_folder(folder / "pictures")
        if "folder" in wanted.only:
            measure(folder / "pictures", FILES)
        for kind, media, ending in (("parquet", "image", "parquet"), ("paths", "path", "parquet"), ("csv", "path", "csv")):
            if kind in wanted.only:
                write_tables(folder / kind, wanted.rows, media, ending)
                measure(folder / kind, wanted.rows)


if __name__ == "__main__":
    main()
