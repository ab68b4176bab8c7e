"""Mutated files: no crash, no hang, no wrong kind of error, and no picture that is silently grey where its bytes are missing.

    python -m benchmarks.fuzz [--pictures 5000] [--containers 1000] [--seed 7] [--folder DIR]

Pictures of every format that is read are damaged (bytes changed, cut out, repeated, the end cut off) and go through `goldsieve run` with
all picture operators that need no model. Tars, gzip tars, Parquet, CSV and JSONL tables, COCO files and recipes are damaged and listed,
each under a time limit, in a process that may die of one. Figures: docs/benchmarks.md.
"""

import argparse
import contextlib
import gzip
import io
import json
import multiprocessing
import random
import tarfile
import tempfile
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.broken_files import watched
from benchmarks.common import GOLDSIEVE, Checks, write_recipe
from manifests import open_lake
from manifests.errors import GoldsieveError, MediaError
from operators.base import Pixels
from operators.media import Media
from operators.testing import picture

OPERATORS = [
    *("media_facts", "phash", "image_quality", "exact_duplicates", "near_duplicates", "provenance"),
    *("over_smooth", "texture_loss", "moire", "upsampling_grid", "banding", "oversharpen_halo"),
]
FORMATS: dict[str, dict[str, object]] = {
    "jpg": {"quality": 85},
    "progressive.jpg": {"quality": 80, "progressive": True},
    "restart.jpg": {"quality": 85, "restart_marker_rows": 1},
    "png": {},
    "webp": {"quality": 80},
    "lossless.webp": {"lossless": True},
    "gif": {},
    "tiff": {"compression": "tiff_lzw"},
    "bmp": {},
    "avif": {"quality": 70},
}
SECONDS_A_FILE = 20.0
GREY_SHARE = 0.05
"""Of the pixels: so much more exact middle grey than in the undamaged picture counts as made up."""


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The file with some damage; never the same bytes."""
    content = bytearray(data)
    kind = rng.choice(("bytes", "bytes", "bytes", "cut", "end", "again", "header"))
    if kind == "cut":
        at = rng.randrange(len(content))
        del content[at : at + rng.randrange(1, 500)]
    elif kind == "end":
        del content[rng.randrange(1, len(content)) :]
    elif kind == "again":
        at, size = rng.randrange(len(content)), rng.randrange(1, 2000)
        content[at:at] = content[at : at + size]
    for _ in range(rng.choice((1, 3, 20, 200)) if kind in ("bytes", "header") else 0):
        content[rng.randrange(min(len(content), 64) if kind == "header" else len(content))] ^= rng.randrange(1, 256)
    return bytes(content)


def picture_seeds() -> dict[str, bytes]:
    """Small pictures in every format, and some odd modes."""
    seeds = {}
    for number in range(3):
        for ending, options in FORMATS.items():
            out = io.BytesIO()
            image = picture(200 + 40 * number, 160, seed=number)
            image.save(out, Image.registered_extensions()["." + ending.rpartition(".")[2]], **options)  # type: ignore[arg-type]
            seeds[f"{number}.{ending}"] = out.getvalue()
    for mode, ending in (("CMYK", "jpg"), ("L", "jpg"), ("P", "png"), ("RGBA", "png"), ("I;16", "png"), ("1", "tiff")):
        out = io.BytesIO()
        image = picture(220, 150, seed=9)
        wide = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) << 8) if mode == "I;16" else image.convert(mode)
        wide.save(out, Image.registered_extensions()[f".{ending}"])
        seeds[f"{mode.replace(';', '')}.{ending}"] = out.getvalue()
    return seeds


def grey(data: bytes) -> float:
    """Share of pixels that are exactly the middle grey with which decoders fill in what is missing."""
    pixels = Media(data).view(Pixels(min_side=0))
    return float((pixels == 128).all(axis=-1).mean())


def pictures(folder: Path, count: int, seed: int, check: Checks) -> None:
    rng, seeds = random.Random(seed), picture_seeds()
    (folder / "pictures").mkdir(parents=True)
    names = list(seeds)
    for n in range(count):
        name = names[n % len(names)]
        (folder / "pictures" / f"{n:05d}.{name}").write_bytes(mutated(seeds[name], rng))
    recipe = write_recipe(
        folder / "recipe.yaml",
        lake=folder / "lake",
        sources=[{"path": str(folder / "pictures"), "kind": "folder"}],
        operators=OPERATORS,
        tiers={"gold": {"readable": "error is null"}},
    )
    limit = 60 + count * 0.5
    code, out, err, seconds, _ = watched([GOLDSIEVE, "run", str(recipe), "--engine", "inline", "--max-error-rate", "1"], limit)
    check("pictures: exit code", code, "0 (None: hung)", code == 0)
    if code:
        print(out[-1000:], err[-3000:])
        return
    print(f"      {count:,} damaged pictures in {seconds:.0f} s")
    with open_lake(folder / "lake") as lake:
        rows = lake.rows('SELECT uri, "error", phash, sharpness, banding, aigc_strength FROM wide')
    check("pictures known", len(rows), f"{count}", len(rows) == count)
    killed = [row["uri"] for row in rows if "killed the worker" in (row["error"] or "")]
    check("pictures that killed a worker", len(killed), "0", not killed)
    odd = [row for row in rows if row["error"] and any(word in row["error"] for word in ("Error:", "Exception", "Traceback"))]
    check("errors that are no sentence of ours", len(odd), "0", not odd)
    print("\n".join(f"      {row['uri']}: {row['error']}" for row in odd[:10]))
    neither = [row["uri"] for row in rows if not row["error"] and None in (row["phash"], row["sharpness"], row["banding"])]
    check("pictures without error and without signals", len(neither), "0", not neither)
    before = {name: grey(data) for name, data in seeds.items()}
    made_up, untold = [], []  # AV1 has no checksums: damage that is itself a valid stream cannot be told
    for row in rows:
        if not row["error"]:
            path = Path(row["uri"])
            try:
                share = grey(path.read_bytes())
            except MediaError:
                continue  # only its header was needed for what was measured
            if share > before[path.name.split(".", 1)[1]] + GREY_SHARE:
                (untold if path.suffix == ".avif" else made_up).append(path.name)
    check("pictures that are silently grey", len(made_up), "0", not made_up)
    print(f"      {sum(row['error'] is not None for row in rows)} with an error; grey: {made_up[:10]}; grey AVIF: {untold}")


def container_seeds() -> dict[str, bytes]:
    """A small good file of each kind; the name's ending says which."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for n in range(20):
            image = io.BytesIO()
            picture(64, 48, seed=n).save(image, "JPEG")
            for ending, data in (("jpg", image.getvalue()), ("txt", b"a caption"), ("json", json.dumps({"caption": "a", "n": n}).encode())):
                member = tarfile.TarInfo(f"{n:03d}.{ending}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    table = pa.table(
        {"image": pa.array([b"x" * n for n in range(50)]), "caption": [f"caption {n}" for n in range(50)], "n": list(range(50))}
    )
    parquet = io.BytesIO()
    pq.write_table(table, parquet, row_group_size=10)
    lines = [{"path": f"{n}.jpg", "caption": f"a caption {n}", "width": n} for n in range(50)]
    coco = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": 9, "height": 9} for n in range(20)],
        "annotations": [{"id": n, "image_id": n % 20, "caption": "a dog"} for n in range(40)],
    }
    recipe = (Path(__file__).parent.parent / "pipelines" / "demo_recipe.yaml").read_bytes()
    return {
        "tar": out.getvalue(),
        "tar.gz": gzip.compress(out.getvalue()),
        "parquet": parquet.getvalue(),
        "csv": b"path,caption,width\n" + b"".join(f'{r["path"]},"{r["caption"]}",{r["width"]}\n'.encode() for r in lines),
        "jsonl": "\n".join(map(json.dumps, lines)).encode(),
        "coco.json": json.dumps(coco).encode(),
        "yaml": recipe.replace(b"{lake}", b"./lake"),
    }


def read(path: Path) -> None:
    """What Goldsieve does first with such a file. Raises what it raises."""
    if path.suffix == ".yaml":
        from pipelines.recipe import load_recipe

        load_recipe(path)
        return
    from pipelines.reader import Reader
    from pipelines.sources import SourceSpec, list_source

    with Reader() as reader:
        for batch in list_source(SourceSpec(path=str(path))):
            for row in batch.to_pylist():
                if row["error"] is None and (row["byte_length"] or row["uri"].endswith("column=image")):
                    with contextlib.suppress(MediaError):
                        reader.read(row["uri"], row["byte_offset"], row["byte_length"])


def reading(paths: list[Path], said: Connection) -> None:
    """The work of the child: tells after each file what came of it."""
    for path in paths:
        try:
            read(path)
            said.send("")
        except GoldsieveError:
            said.send("refused")
        except BaseException:
            said.send(traceback.format_exc())


def outcomes(paths: list[Path]) -> Iterator[tuple[Path, str]]:
    """What came of each file: nothing, ``refused``, a traceback, ``hung`` or ``died``. A new child takes over where one ended."""
    todo = list(paths)
    while todo:
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        child = multiprocessing.get_context("spawn").Process(target=reading, args=(todo, theirs), daemon=True)
        child.start()
        theirs.close()
        wait = SECONDS_A_FILE + 30  # its start
        try:
            while todo:
                said = ours.recv() if ours.poll(wait) else "hung"
                yield todo.pop(0), said
                if said == "hung":
                    break
                wait = SECONDS_A_FILE
        except EOFError:
            yield todo.pop(0), f"died with {child.exitcode}"
        child.kill()
        child.join()


def containers(folder: Path, count: int, seed: int, check: Checks) -> None:
    rng, seeds = random.Random(seed), container_seeds()
    folder = folder / "containers"
    folder.mkdir(parents=True)
    paths = []
    for n in range(count):
        ending = list(seeds)[n % len(seeds)]
        path = folder / f"{n:05d}.{ending}"
        path.write_bytes(mutated(seeds[ending], rng))
        paths.append(path)
    bad = []
    counts = {"listed": 0, "refused": 0}
    for path, said in outcomes(paths):
        if said in ("", "refused"):
            counts[said or "listed"] += 1
        else:
            bad.append(path.name)
            print(f"      {path.name}: {said}")
    print(f"      {counts}")
    check("containers, tables, recipes: crashes, hangs, wrong errors", len(bad), "0", not bad)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--containers", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    check = Checks()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        containers(folder, options.containers, options.seed, check)
        pictures(folder, options.pictures, options.seed, check)
    check.end()


if __name__ == "__main__":
    main()
