"""`benchmarks.dedup quality`: recall and precision on photographs, per kind of edit."""

import argparse
import io
import json
import pickle
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from PIL import Image

from benchmarks.common import DATA, Checks
from benchmarks.dedup_pictures import EDITS, TURNS, photographs, re_encodes
from benchmarks.programs import PEERS, environment
from operators.base import Batch
from operators.copy_signature import CopySignature
from operators.image_embedding import ImageEmbedding
from operators.near_duplicates import NearDuplicates
from operators.phash import PHash
from operators.testing import make_batch
from operators.turned_hashes import TurnedHashes

OPERATORS = (PHash(), TurnedHashes(), CopySignature(), ImageEmbedding())
WANTED = {
    **dict.fromkeys(("re-encode", "half size", "quality 30", "brightness +25", "webp", "blur"), 0.99),
    **dict.fromkeys(("crop 3 %", "text overlay"), 0.95),
    "crop+band+q50": 0.85,
}
PRECISION = 0.999
SAME_SCENE = (
    {"2751694538_fffa3d307d", "2750867389_4b815f793a"},
    {"3426966595_c8c4e1e872", "3426933951_2302a941d8"},
    {"3540241710_a4f49cde52", "3323988406_e3c8fce690"},
)
"""Photographs of Flickr8k that were looked at: the same scene from the same place a moment apart, people moved. They are neither copies
nor unlike pictures, and count neither way; every other pair of pictures with different names counts as wrong."""
SETTINGS: dict[str, dict[str, Any]] = {"default": {}, "strong": {"strong": True}, "strong, turned": {"strong": True, "turned": True}}

File = tuple[str, str, bytes]
"""Kind, stem, content."""


def pictures(copies: int) -> list[File]:
    originals = photographs(DATA)
    stems = list(originals)
    files: list[File] = [("original", stem, data) for stem, data in originals.items()]
    files += [("re-encode", stem, data) for stem, data in re_encodes(DATA).items()]
    for stem in stems[:: max(1, len(stems) // copies)][:copies]:
        image = Image.open(io.BytesIO(originals[stem])).convert("RGB")
        files += [(kind, stem, edit(image)) for kind, edit in {**EDITS, **TURNS}.items()]
    return files


def measured(files: Sequence[File], cache: Path | None) -> dict[str, pa.ChunkedArray]:
    """The operators' columns; one file an operator in ``cache``."""
    columns: dict[str, pa.ChunkedArray] = {}
    for operator in OPERATORS:
        path = cache / f"{operator.name}-{operator.version}-{len(files)}.parquet" if cache else None
        if path and path.exists():
            table = pa.parquet.read_table(path)
        else:
            started, run = time.perf_counter(), operator.open()
            parts = [[data for _, _, data in files[start : start + 64]] for start in range(0, len(files), 64)]
            with ThreadPoolExecutor(2) as pool:
                found = list(pool.map(lambda part, run=run: run(make_batch([{}] * len(part), part)), parts))  # type: ignore[misc]
            table = pa.table({f.name: pa.chunked_array([part[f.name] for part in found]) for f in operator.adds})
            print(f"  {operator.name}: {len(files) / (time.perf_counter() - started):.0f} pictures/s, two threads", flush=True)
            if path:
                pa.parquet.write_table(table, path)
        columns |= {name: table[name] for name in table.column_names}
    return columns


def our_pairs(columns: Mapping[str, pa.ChunkedArray], rows: np.ndarray, settings: Mapping[str, Any]) -> list[tuple[int, int]]:
    """(dropped, kept) places in ``rows`` order, best first."""
    operator = NearDuplicates(**settings)
    ids = pa.array([uuid.UUID(int=i).bytes for i in range(len(rows))], pa.uuid())
    table = {"sample_id": ids, "exact_duplicate": pa.array(np.zeros(len(rows), bool))}
    table |= {name: columns[name].take(pa.array(rows)) for name in operator.reads.columns if name in columns}
    kept = operator.open()(Batch(pa.table(table), ()))["near_duplicate_of"].to_pylist()
    return [(row, of.int) for row, of in enumerate(kept) if of is not None]


def peer_pairs(tool: str, files: Sequence[File], options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    known = options.cache / f"{tool}-{len(files)}.json" if options.cache else None
    if known and known.exists():
        found: dict[str, Any] = json.loads(known.read_text())
        return found
    python = environment("data-juicer", options.peers or scratch)
    folder = scratch / "pictures"
    for kind, stem, data in files:
        path = folder / kind / f"{stem}{'.webp' if data[:4] == b'RIFF' else '.jpg'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    done = subprocess.run([python, PEERS / "image_dedup_quality.py", tool, folder], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{tool} failed:\n{done.stderr[-2000:]}")
    line = done.stdout.strip().splitlines()[-1]
    if known:
        known.write_text(line)
    found = json.loads(line)
    return found


def score(pairs: Sequence[tuple[str, str]], copies: set[str]) -> tuple[float, float, list[tuple[str, str]]]:
    """Recall, precision and the wrong pairs. A pair is (kind/stem, kind/stem); right if the stems are equal."""
    stems = [(one.rpartition("/")[2].partition(".")[0], two.rpartition("/")[2].partition(".")[0]) for one, two in pairs]
    right = {one for one, two in stems if one == two} & copies
    wrong = [pair for pair in stems if pair[0] != pair[1] and set(pair) not in SAME_SCENE]
    return len(right) / len(copies), len(right) / max(1, len(right) + len(wrong)), wrong


def quality(options: argparse.Namespace, scratch: Path, check: Checks) -> None:
    saved = options.cache / f"pictures-{options.copies}.pickle" if options.cache else None
    if saved and saved.exists():
        files: list[File] = pickle.loads(saved.read_bytes())  # this benchmark wrote it
    else:
        files = pictures(options.copies)
        if saved:
            saved.parent.mkdir(parents=True, exist_ok=True)
            saved.write_bytes(pickle.dumps(files))
    kinds = np.array([kind for kind, _, _ in files])
    names = [f"{kind}/{stem}" for kind, stem, _ in files]
    columns = measured(files, options.cache)
    originals = np.flatnonzero(kinds == "original")
    found: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for label, settings in SETTINGS.items():
        started = time.perf_counter()
        found[label] = {}
        for kind in dict.fromkeys(kinds[len(originals) :]):
            rows = np.concatenate([originals, np.flatnonzero(kinds == kind)])
            found[label][kind] = [(names[rows[i]], names[rows[j]]) for i, j in our_pairs(columns, rows, settings)]
        print(
            f"  near_duplicates {label}: {time.perf_counter() - started:.0f} s for {len(found[label])} corpora of about {len(rows):,}",
            flush=True,
        )
    if not options.no_peers:
        for tool in ("imagededup", "data-juicer"):
            peer = peer_pairs(tool, files, options, scratch)
            found[peer["version"]] = {kind: [(a, b) for a, b in pairs] for kind, pairs in peer["pairs"].items()}
    print(f"\n{len(originals):,} photographs, recall / precision")
    print(f"{'kind':16}" + "".join(f"{label:>24}" for label in found))
    for kind in dict.fromkeys(kinds[len(originals) :]):
        copies = {stem for k, stem, _ in files if k == kind}
        cells = [score(by_kind.get(kind, []), copies) for by_kind in found.values()]
        print(f"{kind:16}" + "".join(f"{recall:14.3f} / {precision:.4f}" for recall, precision, _ in cells), flush=True)
    for kind, least in WANTED.items():
        recall, precision, wrong = score(found["strong"][kind], {stem for k, stem, _ in files if k == kind})
        check(f"{kind}: recall", f"{recall:.3f}", f">= {least}", recall >= least)
        check(f"{kind}: precision", f"{precision:.4f}", f">= {PRECISION}", precision >= PRECISION)
        for pair in wrong:
            print("      wrong:", *pair)
    together = our_pairs(columns, np.arange(len(files)), SETTINGS["strong"])
    wrong = [(names[i], names[j]) for i, j in together if files[i][1] != files[j][1] and {files[i][1], files[j][1]} not in SAME_SCENE]
    print(f"all {len(files):,} pictures at once, strong: {len(together):,} dropped, {len(wrong)} wrongly:", wrong[:10])
