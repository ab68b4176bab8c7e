"""Listing and reading back: a tar of a million small members, and a folder.

    python benchmarks/listing.py [--members 1000000]

Prints processor seconds, which other work on the machine disturbs less than the clock, and Python's `tarfile` beside it.
"""

import argparse
import os
import tarfile
import tempfile
import time
from pathlib import Path

from pipelines.reader import Reader
from pipelines.sources import SourceSpec, list_source

PAYLOADS = {"jpg": b"\xff\xd8" + bytes(700), "json": b'{"caption": "a small picture", "width": 64}', "txt": b"a small picture"}


def write_tar(path: Path, members: int) -> None:
    with open(path, "wb") as file:
        for number in range(members // len(PAYLOADS)):
            for extension, data in PAYLOADS.items():
                info = tarfile.TarInfo(f"{number:09d}.{extension}")
                info.size = len(data)
                file.write(info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512))
        file.write(bytes(10240))


def measure(path: Path) -> None:
    start = time.process_time()
    references = []
    for batch in list_source(SourceSpec(str(path))):
        references += list(zip(*(batch[name].to_pylist() for name in ("uri", "byte_offset", "byte_length")), strict=True))
    listed = time.process_time() - start
    references = references[:50_000]
    start = time.process_time()
    with Reader() as reader:
        for reference in references:
            reader.read(*reference)
    took = time.process_time() - start
    print(f"{path.name}: listed in {listed:.1f} s, read back {len(references) / took:,.0f} samples/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=1_000_000)
    members = parser.parse_args().members
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "million.tar"
        write_tar(path, members)
        measure(path)
        start = time.process_time()
        with tarfile.open(path, "r:") as tar:
            while tar.next() is not None:
                tar.members.clear()  # or it holds every header in memory
        print(f"tarfile, headers only: {time.process_time() - start:.1f} s")
        os.unlink(path)
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        for number in range(20_000):
            (pictures / f"{number}.jpg").write_bytes(PAYLOADS["jpg"])
        measure(pictures)


if __name__ == "__main__":
    main()
