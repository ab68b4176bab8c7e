"""Images a second of decode + phash + image_quality, from JPEG bytes in memory, on a pool of threads.

python benchmarks/decode.py FOLDER [--size 640x480] [--threads 2] [--seconds 5]
"""

import argparse
import io
import itertools
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from operators.image_quality import ImageQuality
from operators.phash import PHash
from operators.testing import make_batch


def load(folder: Path, size: tuple[int, int]) -> list[bytes]:
    """The folder's pictures, resized and written as JPEG of quality 85."""
    files = []
    for path in sorted(folder.rglob("*.jp*g")):
        buffer = io.BytesIO()
        Image.open(path).convert("RGB").resize(size).save(buffer, "JPEG", quality=85)
        files.append(buffer.getvalue())
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    files = load(options.folder, (width, height))
    functions = {
        "decode": [],
        "decode + phash": [PHash().open()],
        "decode + phash + image_quality": [PHash().open(), ImageQuality().open()],
    }
    print(f"{len(files)} files of {options.size}, {sum(map(len, files)) // len(files)} bytes each, {options.threads} threads")
    for name, operators in functions.items():

        def work(block: list[bytes], operators: list = operators) -> int:
            batch = make_batch([{}] * len(block), block)
            for row in batch.rows:
                row.view(PHash.reads.views[0])
            for operator in operators:
                assert operator(batch)["error"].null_count == len(block)
            return len(block)

        with ThreadPoolExecutor(options.threads) as pool:
            blocks = [files[i : i + 32] for i in range(0, len(files), 32)]
            list(pool.map(work, blocks))
            start, cpu, done = time.perf_counter(), time.process_time(), 0
            for _ in itertools.count():
                done += sum(pool.map(work, blocks))
                if time.perf_counter() - start > options.seconds:
                    break
            wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        print(f"{name:32s} {done / wall:7.0f} img/s   {cpu / done * 1e3:.2f} ms of processor time each")


if __name__ == "__main__":
    main()
