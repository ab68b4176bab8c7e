"""A small real lake for tests of what comes after measuring."""

import io
import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from manifests import Lake, create_lake
from manifests.changes import data_version
from manifests.parts import uuids, write_part
from manifests.schema import MEDIA, REFERENCE, media_hash
from manifests.tables import signal_table
from manifests.versions import OperatorVersion

HOSTILE = ["nul \0 byte", "line\nbreaks\r\n\ttabs", 'quo"te \\ back', "\u202eright to left", "日本語 👩‍👩‍👧", "", None, "x" * 300_000]
KEYS = ["a.b.c", "spaces here", "ключ/путь", "../../etc/passwd", "k" * 300, "日本 語", "quo'te\"", "tab\tkey"]


def picture(number: int, kind: str) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 255, (12 + number % 3, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((160, 120)).save(out, kind)
    return out.getvalue()


def build_lake(folder: Path, count: int) -> None:
    """``count`` pictures of three formats, hostile keys, captions and metadata, one signal table, all of tier gold."""
    media = folder / "media"
    media.mkdir(parents=True)
    references, blobs = [], []
    for n in range(count):
        kind = ("JPEG", "PNG", "WEBP")[n % 3]
        path = media / f"{n:04d}.{kind.lower()}"
        blobs.append((kind.lower(), picture(n, kind)))
        path.write_bytes(blobs[-1][1])
        metadata = [None, '{"a": {"b": [1, null]}}', "[" * 5000 + "]" * 5000, json.dumps({"big": "m" * 20_000})][n % 4]
        references.append(
            {
                "source": "web|pages" if n % 2 else "photos",
                "key": KEYS[n % len(KEYS)] + ("" if n < len(KEYS) else f"-{n}"),
                "uri": str(path),
                "byte_length": path.stat().st_size,
                "stamp": "1:1",
                "modality": "image",
                "caption": HOSTILE[n % len(HOSTILE)],
                "captions": [f"another {n}"],
                "metadata": metadata,
                "license": "CC BY 4.0" if n % 2 else None,
            }
        )
    with create_lake(folder / "lake") as lake:
        for source in ("photos", "web|pages"):
            rows = [r for r in references if r["source"] == source]
            lake.ingest(source, str(media), iter(pa.Table.from_pylist(rows, schema=REFERENCE).to_batches()))
        by_uri = {r["uri"]: blob for r, blob in zip(references, blobs, strict=True)}
        refs = lake.query("SELECT CAST(ref_hash AS VARCHAR) AS ref, uri FROM refs ORDER BY uri").to_pylist()
        hashes = [media_hash(by_uri[r["uri"]][1]) for r in refs]
        columns = {
            "ref_hash": uuids([uuid.UUID(r["ref"]) for r in refs]),
            "media_hash": uuids(hashes),
            "byte_length": pa.array([len(by_uri[r["uri"]][1]) for r in refs], pa.int64()),
            "format": pa.array([by_uri[r["uri"]][0] for r in refs]),
            "width": pa.array([160] * len(refs), pa.int32()),
            "height": pa.array([120] * len(refs), pa.int32()),
        }
        empty = {f.name: pa.nulls(len(refs), f.type) for f in MEDIA if f.name not in columns}
        lake.commit(
            [write_part(lake.address.data, "media", pa.table([{**columns, **empty}[n] for n in MEDIA.names], schema=MEDIA))], "read"
        )
        signal_fields = {"phash": pa.uint64(), "sharpness": pa.float32(), "image_embedding": pa.list_(pa.float32())}
        schema = pa.schema({"key": pa.uuid(), "fingerprint": pa.string(), "run_id": pa.uuid(), **signal_fields, "error": pa.string()})
        lake.set_current(OperatorVersion("pixels", "f1", "media", schema))
        signals = {
            "key": uuids(hashes),
            "fingerprint": pa.array(["f1"] * len(refs)),
            "run_id": uuids([uuid.UUID(int=1)] * len(refs)),
            "phash": pa.array([2**64 - 1 - n for n in range(len(refs))], pa.uint64()),
            "sharpness": pa.array([[0.1, float("nan"), float("inf"), None][n % 4] for n in range(len(refs))], pa.float32()),
            "image_embedding": pa.array([[0.5, 0.25]] * len(refs), pa.list_(pa.float32())),
            "error": pa.nulls(len(refs), pa.string()),
        }
        lake.commit([write_part(lake.address.data, signal_table("pixels"), pa.table(signals, schema=schema))], "measure")
        tier_all(lake)


def tier_all(lake: Lake, tier: str = "gold") -> None:
    select = f"SELECT sample_id, '{tier}' AS tier, CAST([] AS VARCHAR[]) AS failed_rules FROM samples"
    lake.write_tiers("recipe", "digest", {}, select, uuid.UUID(int=2), data_version(lake))


@pytest.fixture(scope="session")
def galleries(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """``galleries(count)``: a folder with a lake and its media, made once."""
    made: dict[int, Path] = {}

    def get(count: int) -> Path:
        if count not in made:
            made[count] = tmp_path_factory.mktemp(f"gallery{count}")
            build_lake(made[count], count)
        return made[count]

    return get


@pytest.fixture
def gallery(tmp_path: Path, galleries: Callable[[int], Path]) -> Iterator[Callable[..., Lake]]:
    """``gallery()``: a lake of 12 pictures of the test's own, open, at ``tmp_path / "lake"``; its media are not to be changed."""
    opened: list[Lake] = []

    def make(count: int = 12) -> Lake:
        shutil.copytree(galleries(count) / "lake", tmp_path / "lake")
        opened.append(create_lake(tmp_path / "lake"))
        return opened[-1]

    yield make
    for lake in opened:
        lake.close()
