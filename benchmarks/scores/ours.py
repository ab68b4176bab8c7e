"""Goldsieve's side of the scoreboard: one piece of work in a process of its own. Prints JSON, as the other tools' scripts do.

python -m benchmarks.scores.ours images|duplicates|clip|shots|export|ingest|bad_file ARGUMENT ... EMPTY-FOLDER
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from manifests import Lake, create_lake, open_lake
from manifests.runs import begin_run
from operators.base import Operator
from operators.clip_score import ClipScore
from operators.image_embedding import ImageEmbedding
from operators.image_quality import ImageQuality
from operators.media_facts import MediaFacts
from operators.near_duplicates import NearDuplicates
from operators.phash import PHash
from operators.text_embedding import TextEmbedding
from operators.video.shots import Shots
from pipelines.engine import make_engine
from pipelines.export import export as write_shards
from pipelines.export_plan import ExportSettings
from pipelines.ingest import ingest
from pipelines.measure import measure
from pipelines.passes import OperatorUse
from pipelines.progress import Reporter
from pipelines.reader import Reader
from pipelines.run import default_uses
from pipelines.sources import SourceSpec

QUIET = Reporter(quiet=True)


@contextmanager
def measured(source: SourceSpec, uses: Sequence[OperatorUse], scratch: Path, engine_name: Any = "inline") -> Iterator[tuple[Lake, float]]:
    """A new lake with a source ingested and measured, and the seconds of both; the start of the engine is left out."""
    with create_lake(scratch / "lake") as lake, lake.writing("benchmark"):
        run_id = begin_run(lake, "measure", engine_name)
        started = time.perf_counter()
        ingest(lake, source, QUIET)
        ingested = time.perf_counter()
        engine = make_engine(engine_name)
        ready = time.perf_counter()
        if uses:
            measure(lake, uses, engine, run_id, QUIET)
        seconds = time.perf_counter() - ready + ingested - started
        engine.close()
        yield lake, seconds


def with_operators(*operators: Operator) -> list[OperatorUse]:
    return [OperatorUse(operator) for operator in operators]


def images(folder: str, engine: str, scratch: Path) -> dict[str, Any]:
    with measured(SourceSpec(folder), with_operators(PHash(), ImageQuality()), scratch, engine) as (lake, seconds):
        return {"count": lake.value("SELECT count(phash) FROM wide WHERE entropy IS NOT NULL"), "seconds": seconds}


def duplicates(folder: str, strong: str, scratch: Path) -> dict[str, Any]:
    uses = [*default_uses(["exact_duplicates"]), OperatorUse(NearDuplicates(strong=strong == "strong"))]
    with measured(SourceSpec(folder), uses, scratch) as (lake, seconds):
        pairs = lake.rows("SELECT w.key, k.key AS kept FROM wide w JOIN samples k ON k.sample_id = w.duplicate_of WHERE w.is_duplicate")
        count = lake.value("SELECT count(*) FROM samples")
    return {"count": count, "seconds": seconds, "pairs": [(row["key"], row["kept"]) for row in pairs]}


def clip(folder: str, checkpoint: str, precision: str, scratch: Path) -> dict[str, Any]:
    encoder = {"encoder": f"openclip:ViT-B-32/{checkpoint}", "precision": precision}
    uses = with_operators(ImageEmbedding(**encoder), TextEmbedding(**encoder), ClipScore())
    with measured(SourceSpec(folder), uses, scratch) as (lake, seconds):
        scores = {row["key"]: row["clip_score"] for row in lake.rows("SELECT key, clip_score FROM wide WHERE clip_score IS NOT NULL")}
    return {"count": len(scores), "seconds": seconds, "scores": scores, "precision": uses[0].operator.precision}  # type: ignore[attr-defined]


def shots(folder: str, scratch: Path) -> dict[str, Any]:
    """The operator alone, without a lake: its transitions are not a column."""
    from benchmarks.video_shots import ours as transitions_of

    find, paths = transitions_of(), sorted(Path(folder).glob("*.mp4"))
    started = time.perf_counter()
    found = {path.name: find(str(path)) for path in paths}
    return {"count": len(paths), "seconds": time.perf_counter() - started, "transitions": found, "rules": Shots().version}


def export(lake_folder: str, megabytes: str, workers: str, scratch: Path) -> dict[str, Any]:
    settings = ExportSettings(to=str(scratch / "out"), shard_size="128MB")
    with open_lake(Path(lake_folder), read_only=False) as lake:
        started = time.perf_counter()
        write_shards(lake, settings, "recipe", "digest", read=Reader().read, workers=int(workers), overwrite=True)
        return {"count": int(megabytes), "seconds": time.perf_counter() - started}


def list_tars(pattern: str, megabytes: str, read: str, scratch: Path) -> dict[str, Any]:
    """``read``: also read and hash every sample, as the first pass does."""
    uses = with_operators(MediaFacts()) if read == "read" else []
    with measured(SourceSpec(pattern), uses, scratch) as (lake, seconds):
        return {"count": int(megabytes), "seconds": seconds, "samples": lake.value("SELECT count(*) FROM samples")}


def bad_file(folder: str, scratch: Path) -> dict[str, Any]:
    with measured(SourceSpec(folder), with_operators(PHash(), ImageQuality()), scratch) as (lake, seconds):
        (row,) = lake.rows(
            'SELECT count(*) AS count, count(*) FILTER (phash IS NOT NULL AND entropy IS NOT NULL AND "error" IS NULL) AS kept, '
            'count("error") AS named FROM wide'
        )
    return {**row, "seconds": seconds}


WORK: dict[str, Callable[..., dict[str, Any]]] = {
    **{"images": images, "duplicates": duplicates, "clip": clip, "shots": shots, "export": export, "bad_file": bad_file},
    "ingest": list_tars,
}


def main() -> None:
    what, *arguments, scratch = sys.argv[1:]
    found = WORK[what](*arguments, Path(scratch))
    print(json.dumps({"version": f"goldsieve {version('goldsieve')}", **found}))


if __name__ == "__main__":
    main()
