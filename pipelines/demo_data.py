"""The demo data set: real photographs, honest captions, and planted defects with a label for each.

    DIR/pictures/img-0001.jpg .txt .json      half of the samples, as a folder with sidecars
    DIR/crawl-00000.tar                       the other half, as a WebDataset tar
    DIR/labels.csv                            key, file, defect ('' = clean), of (the key of the original, for copies), picture

The same ``samples`` and ``seed`` give the same bytes (with the same Pillow).
"""

import csv
import io
import json
import os
import random
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from manifests.errors import UsageError
from pipelines.demo_defects import Sample, plan

SIZES = (60, 400)
"""The fewest samples that show every defect, and the most the pictures give without repeating themselves."""

TIME = 1_600_000_000
"""Modification time of every file: building the same set again leaves nothing changed."""


@dataclass(frozen=True)
class DemoSet:
    """Where the set is. ``labels`` is the CSV file, ``sources`` the folder and the tar."""

    directory: Path
    sources: tuple[Path, ...]
    labels: Path


def build_demo(directory: Path, samples: int = 300, seed: int = 7) -> DemoSet:
    """Writes the set into ``directory`` (made if missing; an earlier demo there is replaced).

    Raises `UsageError` for a number of samples outside 60-400 or a directory that holds something else, and
    `MissingDependencyError` when a package that carries the pictures is not installed.
    """
    if not SIZES[0] <= samples <= SIZES[1]:
        raise UsageError(f"The demo can have {SIZES[0]} to {SIZES[1]} samples, not {samples}.")
    _make_room(directory)
    return _write(directory, plan(samples, seed), seed)


def _make_room(directory: Path) -> None:
    """Removes an earlier demo's samples; refuses a directory that is something else."""
    labels = directory / "labels.csv"
    if labels.is_file():
        for label in read_labels(labels):
            for file in (directory / "pictures").glob(f"{label['key']}.*"):
                file.unlink()
    elif directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory} exists and is not an earlier demo. Name a new directory: goldsieve demo DIR")
    (directory / "pictures").mkdir(parents=True, exist_ok=True)


def read_labels(path: Path) -> list[dict[str, str]]:
    """The rows of ``labels.csv``."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write(directory: Path, samples: list[Sample], seed: int) -> DemoSet:
    # Keys are dealt out at random: a defect must not show in the name or the order.
    numbers = list(range(len(samples)))
    random.Random(seed).shuffle(numbers)
    keys = [f"img-{number:04d}" for number in numbers]
    folder, archive = directory / "pictures", directory / "crawl-00000.tar"
    rows = []
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as tar:
        for i in sorted(range(len(samples)), key=keys.__getitem__):
            sample = samples[i]
            in_folder = numbers[i] % 2 == 0
            for suffix, data in _members(sample):
                name = f"{keys[i]}.{suffix}"
                if in_folder:
                    (folder / name).write_bytes(data)
                    os.utime(folder / name, (TIME, TIME))
                else:
                    entry = tarfile.TarInfo(name)
                    entry.size, entry.mtime = len(data), TIME
                    tar.addfile(entry, io.BytesIO(data))
            file = f"pictures/{keys[i]}.{sample.suffix}" if in_folder else archive.name
            of = "" if sample.of is None else keys[sample.of]
            rows.append((keys[i], file, sample.defect, of, sample.crop.picture.name))
    os.utime(archive, (TIME, TIME))
    labels = directory / "labels.csv"
    with labels.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("key", "file", "defect", "of", "picture"), *rows])
    return DemoSet(directory, (folder, archive), labels)


def _members(sample: Sample) -> Iterator[tuple[str, bytes]]:
    """The files of one sample: picture, caption, and what is known about its origin."""
    picture = sample.crop.picture
    origin = {"license": picture.license, "author": picture.author, "origin": f"{picture.package}/{picture.path}"}
    yield sample.suffix, sample.data
    yield "txt", sample.caption.encode()
    yield "json", json.dumps(origin, ensure_ascii=False).encode()
