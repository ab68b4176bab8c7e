"""Exports a tier as WebDataset shards that can be rebuilt bit for bit.

The plan is made by `pipelines.export_plan`, one shard is written by `pipelines.shards`; what the folder holds and how
a stopped export goes on is in `pipelines.export_folder`. Full rows are fetched a few shards at a time.
"""

import json
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from manifests import Lake, open_lake
from manifests.changes import inputs_version
from manifests.connection import quote
from manifests.errors import LakeError, UsageError
from manifests.exports import confirm_export, record_export
from operators.video.source import VideoFile
from pipelines.clip_cutter import CutSettings
from pipelines.croissant import croissant
from pipelines.cut_clips import OpenVideo, clip_cutter, parent_hashes
from pipelines.data_card import BASE_COLUMNS, CardFacts, data_card
from pipelines.export_folder import ExportFolder
from pipelines.export_plan import (
    FORMAT,
    ExportPlan,
    ExportSettings,
    PlannedShard,
    export_columns,
    order_sql,
    plan_export,
    plan_sql,
    public_settings,
    relation_sql,
    rows_sql,
    windows,
)
from pipelines.resize import resizer
from pipelines.shards import CutClip, LeftOut, Read, ShardRecord, original, write_shard


@dataclass(frozen=True)
class ExportResult:
    """``left_out`` lists planned samples that could not be written; ``written`` counts shards this call wrote (0: nothing to do)."""

    directory: Path
    samples: int
    bytes: int
    shards: tuple[ShardRecord, ...]
    left_out: tuple[LeftOut, ...]
    written: int
    plan: str
    snapshot: int
    export_id: str


@dataclass
class _Progress:
    """Counts samples over all writer threads and stops them."""

    total: int
    report: Callable[[int, int], None] | None
    done: int = 0
    stopped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def step(self, samples: int = 1) -> None:
        if self.stopped:
            raise _Stopped
        with self.lock:
            self.done += samples
            if self.report:
                self.report(self.done, self.total)


class _Stopped(Exception):
    """Another shard failed, or the user pressed Ctrl-C."""


def export(
    lake: Lake,
    settings: ExportSettings,
    recipe_name: str,
    recipe_digest: str,
    *,
    read: Read,
    open_video: OpenVideo = VideoFile,
    facts: CardFacts | None = None,
    run_id: str | None = None,
    workers: int = 3,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ExportResult:
    """Write the tier of the lake's current snapshot as shards, an index and a data card; record it in the lake.

    Goes on where an interrupted call stopped. ``read`` is ``Reader().read``, ``open_video`` ``Reader().video``.
    ``workers`` shards are written at a time; usually one of them waits for the disk.
    ``progress(done, total)`` is called after every sample, from any writer thread, one call at a time. Raises `UsageError` when the tier is
    empty, or the folder holds something else than this export (``overwrite`` replaces another export, nothing else).
    """
    started = datetime.now(UTC)
    snapshot = lake.snapshot()
    with open_lake(lake.address, at=snapshot) as past:
        relation = relation_sql(settings, bool(past.value("SELECT count(*) FROM captions WHERE accepted")))
        columns = export_columns(past.query(f"SELECT * FROM {relation} LIMIT 0").schema, settings)
        plan = plan_export(past.query(plan_sql(settings, columns, relation)), settings, recipe_digest)
        if not plan.samples:
            raise UsageError(
                f"No sample has the tier {settings.tier!r}, so there is nothing to export. `goldsieve status` shows the tiers."
            )
        folder = ExportFolder(Path(settings.to).expanduser().resolve())
        refuse_own_source(past, folder.path)
        folder.open(plan.digest, overwrite)
        records = folder.finished_shards()
        todo = [shard for shard in plan.shards if shard.name not in records]
        counter = _Progress(plan.samples, progress)
        counter.step(plan.samples - sum(shard.samples for shard in todo))
        cut_settings = CutSettings(settings.clips, settings.crf, settings.resize, settings.frames)
        cut = clip_cutter(parent_hashes(past, settings.tier), open_video, cut_settings)
        for record in write_all(past, settings, columns, relation, todo, folder, read, workers, counter, cut):
            records[record.name] = record
        shards = tuple(records[shard.name] for shard in plan.shards)
        if todo or not folder.complete:
            index = index_of(plan, settings, columns, recipe_name, recipe_digest, shards)
            parts, known = breakdown(past, settings, plan), facts or CardFacts()
            described = croissant(index, parts, {**BASE_COLUMNS, **known.columns})
            folder.finish(index, data_card(index, parts, known, snapshot), described, shards)
    result = ExportResult(
        directory=folder.path,
        samples=sum(record.samples for record in shards),
        bytes=sum(record.bytes for record in shards),
        shards=tuple(record for record in shards if record.samples),
        left_out=tuple(item for record in shards for item in record.left_out),
        written=len(todo),
        plan=plan.digest,
        snapshot=snapshot,
        export_id=_export_id(plan.digest, folder.path),
    )
    remember_export(lake, settings, result, recipe_name, recipe_digest, run_id, started)
    return result


def finished_before(lake: Lake, settings: ExportSettings, recipe_digest: str) -> ExportResult | None:
    """The export that `export` would find complete, when nothing in the lake changed since it was made; None: ask `export`.

    Spares planning, which reads every sample. Shards are looked at as `ExportFolder.finished_shards` does.
    """
    folder = ExportFolder(Path(settings.to).expanduser().resolve())
    plan = folder.plan()
    if plan is None or not folder.complete:
        return None
    export_id = _export_id(plan, folder.path)
    rows = lake.rows(
        """SELECT snapshot, samples, bytes, (SELECT count(*) FROM shards s WHERE s.export_id = e.export_id) AS shards FROM exports e
        WHERE export_id = CAST(? AS UUID) AND recipe_digest = ? AND tier = ? AND snapshot >= ?""",
        [export_id, recipe_digest, settings.tier, inputs_version(lake, None)],
    )
    if not rows:
        return None
    records = [record for _, record in sorted(folder.finished_shards().items())]
    shards = tuple(record for record in records if record.samples)
    if len(shards) != rows[0]["shards"]:
        return None
    left_out = tuple(item for record in records for item in record.left_out)
    return ExportResult(folder.path, rows[0]["samples"], rows[0]["bytes"], shards, left_out, 0, plan, rows[0]["snapshot"], export_id)


def _export_id(plan: str, path: Path) -> str:
    return str(uuid.uuid5(uuid.UUID(plan[:32]), str(path)))


def refuse_own_source(lake: Lake, path: Path) -> None:
    """An export must not overwrite the files it reads."""
    inside = lake.query(f"SELECT uri FROM refs WHERE NOT vanished AND starts_with(uri, {quote(str(path) + '/')}) LIMIT 1")
    if inside.num_rows:
        raise UsageError(f"The export folder {path} holds files this lake reads ({inside['uri'][0].as_py()}): choose another folder.")


def write_all(
    lake: Lake,
    settings: ExportSettings,
    columns: Sequence[str],
    relation: str,
    todo: Sequence[PlannedShard],
    folder: ExportFolder,
    read: Read,
    workers: int,
    counter: _Progress,
    cut: CutClip,
) -> Iterator[ShardRecord]:
    """Write shards in a pool of threads; at most ``workers`` are written and one waits at any moment."""
    encode = resizer(settings.resize, settings.quality) if settings.resize else original

    def write(shard: PlannedShard, rows: pa.Table) -> ShardRecord:
        record = write_shard(folder.path / shard.name, folder.temporary(shard.name), rows, read, encode, counter.step, cut)
        folder.remember(record)
        return record

    pending: deque[Future[ShardRecord]] = deque()
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="export") as pool:
        try:
            for window in windows(todo):
                rows = lake.query(rows_sql(settings, columns, window[0].first, window[-1].last, relation))
                start = 0
                for shard in window:
                    part = rows.slice(start, shard.samples)
                    if part.num_rows != shard.samples:
                        raise LakeError(f"The lake gave other samples than planned for {shard.name}: run the export again.")
                    start += shard.samples
                    pending.append(pool.submit(write, shard, part))
                    if len(pending) > workers:
                        yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BaseException:
            counter.stopped = True
            for future in pending:
                future.cancel()
            raise


def index_of(
    plan: ExportPlan, settings: ExportSettings, columns: Sequence[str], recipe: str, recipe_digest: str, records: Sequence[ShardRecord]
) -> dict[str, Any]:
    """``index.json``: the same for the same data, recipe, seed and settings; no times, no snapshot."""
    written = [record for record in records if record.samples]
    extensions: dict[str, int] = {}
    for record in written:
        for name, count in record.extensions.items():
            extensions[name] = extensions.get(name, 0) + count
    return {
        "format": FORMAT,
        "plan": plan.digest,
        "recipe": recipe,
        "recipe_digest": recipe_digest,
        "settings": public_settings(settings),
        "columns": list(columns),
        "extensions": dict(sorted(extensions.items())),
        "planned": plan.samples,
        "samples": sum(record.samples for record in written),
        "left_out": sum(len(record.left_out) for record in records),
        "bytes": sum(record.bytes for record in written),
        "shards": [{"name": r.name, "samples": r.samples, "bytes": r.bytes, "sha256": r.sha256} for r in written],
    }


def breakdown(lake: Lake, settings: ExportSettings, plan: ExportPlan) -> list[dict[str, Any]]:
    """Planned samples by source and licence, most first; 50 rows at most."""
    rows = lake.query(
        f"SELECT source, license, count(*) AS samples, count(caption) AS captioned, sum(coalesce(byte_length, 0)) AS bytes FROM wide "
        f"WHERE tier = {quote(settings.tier)} AND {order_sql(settings.seed)} <= CAST({plan.shards[-1].last} AS UBIGINT) "
        "GROUP BY ALL ORDER BY samples DESC, source, license LIMIT 50"
    )
    found: list[dict[str, Any]] = rows.to_pylist()
    return found


def remember_export(
    lake: Lake, settings: ExportSettings, result: ExportResult, recipe: str, recipe_digest: str, run_id: str | None, started: datetime
) -> None:
    """Add the export to the lake, once: its id is made of plan and folder. A known one is noted as true of this snapshot."""
    known = lake.query(f"SELECT count(*) AS n FROM exports WHERE export_id = CAST({quote(result.export_id)} AS UUID)")
    if known["n"][0].as_py():
        confirm_export(lake, result.export_id, result.snapshot)  # the next run need not plan it again
        return
    row = {
        "export_id": result.export_id,
        "run_id": run_id,
        "tier": settings.tier,
        "recipe": recipe,
        "recipe_digest": recipe_digest,
        "snapshot": result.snapshot,
        "seed": settings.seed,
        "directory": str(result.directory),
        "samples": result.samples,
        "bytes": result.bytes,
        "settings": json.dumps(public_settings(settings), sort_keys=True),
        "started_at": started,
        "finished_at": datetime.now(UTC),
    }
    shards = pa.table(
        {
            "export_id": pa.array([result.export_id] * len(result.shards), pa.string()),
            "name": pa.array([record.name for record in result.shards], pa.string()),
            "sha256": pa.array([record.sha256 for record in result.shards], pa.string()),
            "bytes": pa.array([record.bytes for record in result.shards], pa.int64()),
            "samples": pa.array([record.samples for record in result.shards], pa.int64()),
        }
    )
    record_export(lake, row, shards)
