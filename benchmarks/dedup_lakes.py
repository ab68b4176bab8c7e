"""Small lakes of pictures and copies, for `benchmarks.dedup determinism`."""

import random
from pathlib import Path
from typing import Any

from PIL import Image

from manifests.runs import begin_run
from operators.testing import encode, picture

PICTURES, SOURCES = 150, 5


def write_sources(folder: Path) -> list[Path]:
    """Five folders: each picture in one, and copies of it (smaller, recompressed, equal) in others."""
    rng = random.Random(0)
    for n in range(PICTURES):
        image = picture(320 + 8 * (n % 20), 240, n)
        copies: list[tuple[Image.Image, str]] = [(image, "PNG"), (image.resize((240, 180)), "JPEG"), (image, "JPEG"), (image, "PNG")]
        for k, (copy, kind) in enumerate(copies):
            path = folder / f"source{rng.randrange(SOURCES)}" / f"{n:04d}-{k}.{kind.lower()}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(copy, kind))
    return sorted(folder.iterdir())


def groups_of(folder: Path, engine: Any, seed: int) -> dict[str, tuple[str, str]]:
    """Kept copy and kind of copy of every picture, after ingesting the sources in an order of their own."""
    from manifests import create_lake
    from pipelines.ingest import ingest
    from pipelines.progress import Reporter
    from pipelines.run import default_uses, measure_with
    from pipelines.sources import SourceSpec

    sources = write_sources(folder / "pictures")
    random.Random(seed).shuffle(sources)
    reporter = Reporter(quiet=True)
    with create_lake(folder / "lake") as lake, lake.writing("benchmark"):
        run_id = begin_run(lake, "measure", engine)
        for source in sources:
            ingest(lake, SourceSpec(str(source)), reporter)
        measure_with(lake, default_uses(["exact_duplicates", "near_duplicates"]), engine, None, run_id, reporter)
        rows = lake.rows(
            "SELECT w.key, k.key AS kept, w.duplicate_kind AS kind FROM wide w LEFT JOIN wide k ON k.sample_id = w.duplicate_of"
        )
    return {row["key"]: (row["kept"], row["kind"]) for row in rows}
