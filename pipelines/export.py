"""Exports a tier as WebDataset shards that can be rebuilt bit for bit.

The plan is made by `pipelines.export_plan`, one shard is written by `pipelines.shards`; what the folder holds and how
a stopped export goes on is in `pipelines.export_folder`; what the lake remembers of it in `pipelines.export_record`. Full rows are
fetched a few shards at a time.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from manifests import Lake, open_lake
from manifests.connection import quote
from manifests.errors import LakeError, UsageError
from operators.video.source import VideoFile
from pipelines.clip_cutter import CutSettings
from pipelines.croissant import croissant
from pipelines.cut_clips import OpenVideo, clip_cutter, parent_hashes
from pipelines.data_card import BASE_COLUMNS, CardFacts, data_card
from pipelines.export_folder import ExportFolder
from pipelines.export_plan import (
    ExportSettings,
    PlannedShard,
    plan_export,
    windows,
)
from pipelines.export_query import ExportQuery, export_query
from pipelines.export_record import ExportResult, export_id_of, index_of, remember_export
from pipelines.resize import resizer
from pipelines.shards import Read, ShardRecord, original, write_shard


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
        query = export_query(past, settings)
        plan = plan_export(past.query(query.plan_sql()), settings, recipe_digest)
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
        encode = resizer(settings.resize, settings.quality) if settings.resize else original

        def write(shard: PlannedShard, rows: pa.Table) -> ShardRecord:
            record = write_shard(folder.path / shard.name, folder.temporary(shard.name), rows, read, encode, counter.step, cut)
            folder.remember(record)
            return record

        for record in write_all(past, query, todo, write, workers, counter):
            records[record.name] = record
        shards = tuple(records[shard.name] for shard in plan.shards)
        if todo or not folder.complete:
            index = index_of(plan, query, recipe_name, recipe_digest, shards)
            parts: list[dict[str, Any]] = past.query(query.breakdown_sql(plan.shards[-1].last)).to_pylist()
            known = facts or CardFacts()
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
        export_id=export_id_of(plan.digest, folder.path),
    )
    remember_export(lake, settings, result, recipe_name, recipe_digest, run_id, started)
    return result


def refuse_own_source(lake: Lake, path: Path) -> None:
    """An export must not overwrite the files it reads."""
    inside = lake.query(f"SELECT uri FROM refs WHERE NOT vanished AND starts_with(uri, {quote(str(path) + '/')}) LIMIT 1")
    if inside.num_rows:
        raise UsageError(f"The export folder {path} holds files this lake reads ({inside['uri'][0].as_py()}): choose another folder.")


def write_all(
    lake: Lake,
    query: ExportQuery,
    todo: Sequence[PlannedShard],
    write: Callable[[PlannedShard, pa.Table], ShardRecord],
    workers: int,
    counter: _Progress,
) -> Iterator[ShardRecord]:
    """Write shards in a pool of threads; at most ``workers`` are written and one waits at any moment."""
    pending: deque[Future[ShardRecord]] = deque()
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="export") as pool:
        try:
            for window in windows(todo):
                rows = lake.query(query.rows_sql(window[0].first, window[-1].last))
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
        except BaseException:  # Ctrl-C too: writers stop at their next sample, and a started export goes on from whole shards
            counter.stopped = True
            for future in pending:
                future.cancel()
            raise
