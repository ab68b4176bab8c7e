"""Downloads a list into a folder of shards: reads it block by block, fetches what is missing, finishes shards. Memory is bounded."""

import asyncio
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from manifests.errors import SourceError
from pipelines.captions.connect import event_loop
from pipelines.download.addresses import Lookup, system_lookup
from pipelines.download.block import OpenBlock, open_block
from pipelines.download.client import Client
from pipelines.download.faults import Fault
from pipelines.download.fetch import Fetcher, failed
from pipelines.download.settings import DownloadSettings
from pipelines.download.state import OLD, State, shards_of
from pipelines.download.urllist import Block, ListFile, UrlRow, count_rows, list_files, open_list, read_blocks
from pipelines.progress import Meter, Reporter

WINDOW = 16
"""Rows that wait or are being fetched, as a multiple of the concurrency: a slow host does not hold up the others."""
DAMAGED = 99_999
"""Number of the block that stands for a file of the list that cannot be read."""


@dataclass
class Totals:
    """What one run did. ``faults``: failed rows by kind."""

    fetched: int = 0
    bytes: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        text = f"{self.fetched:,} fetched ({self.bytes / 1e6:,.0f} MB)"
        if self.faults:
            text += f", {self.faults.total():,} failed: " + ", ".join(f"{count:,} {kind}" for kind, count in self.faults.most_common())
        return text


@dataclass
class _File:
    """A file of the list in work. ``left``: its unfinished blocks, and one for the reading itself."""

    file: ListFile
    url_column: str = ""
    shards: set[str] = field(default_factory=set)
    left: int = 1
    damaged: bool = False


def run_job(state: State, reporter: Reporter, *, again: bool = False, lookup: Lookup = system_lookup) -> Totals:
    """Download all of a list. ``again``: failures too. Hold the folder's lock.

    A file of the list that cannot be read is a failed sample when there are others, and is tried again by the next run.
    Raises `SourceError` for a list that cannot be read, `GoldsieveError` when this machine fails (disk, open files); finished work stays.
    """
    files = list_files(state.spec)
    if len(files) == 1:
        open_list(state.spec, files[0])
    todo = [file for file in files if again or state.done.get(file.stem) != _finished(state, file.stem, file.path)]
    for file in todo:
        state.done.pop(file.stem, None)
    state.save()
    job = _Job(state, len(files) > 1, again)
    if not todo:
        return job.totals
    label = f"download {os.path.basename(state.folder)}"
    with reporter.meter(label, sum(map(count_rows, todo)), "URLs") as meter, asyncio.Runner(loop_factory=event_loop) as runner:
        runner.run(job.run(todo, meter, lookup))
    if job.totals.fetched or job.totals.faults:
        reporter.say(f"{label}: {job.totals}")
    return job.totals


class _Job:
    def __init__(self, state: State, many: bool, again: bool) -> None:
        self.state = state
        self.settings = state.spec.download or DownloadSettings()
        self.totals = Totals()
        self._many = many
        self._again = again
        self._window = asyncio.Semaphore(WINDOW * self.settings.concurrency)

    async def run(self, files: list[ListFile], meter: Meter, lookup: Lookup) -> None:
        try:
            async with Client(self.settings, lookup) as client, asyncio.TaskGroup() as tasks:
                fetcher = Fetcher(client)
                for file in files:
                    await self._feed(_File(file), fetcher, tasks, meter)
        except BaseExceptionGroup as group:  # of one task or several: the first one says what is wrong
            raise next(iter(_leaves(group))) from None

    async def _feed(self, work: _File, fetcher: Fetcher, tasks: asyncio.TaskGroup, meter: Meter) -> None:
        blocks, there = self._blocks(work), shards_of(self.state.folder, work.file.stem)
        while (block := await asyncio.to_thread(next, blocks, None)) is not None:
            work.shards.add(block.shard)
            edited = there.get(block.number, [])
            opened, missing = await asyncio.to_thread(open_block, self.state.folder, block, edited, work.url_column, self._again)
            meter(0, 0, len(block.rows) - len(missing))
            if opened is None:
                continue
            work.left += 1
            if not missing:
                await self._finish(work, opened)
            del block
            for row in missing:
                await self._window.acquire()
                tasks.create_task(self._one(work, opened, row, fetcher, meter))
        await self._less(work)

    def _blocks(self, work: _File) -> Iterator[Block]:
        try:
            table, layout = open_list(self.state.spec, work.file)
            work.url_column = layout.url
            yield from read_blocks(work.file, table, layout, self.settings.shard_rows)
        except SourceError as error:
            if not self._many:
                raise
            work.damaged = True
            row = UrlRow(f"{work.file.stem}-damaged", "", {}, "", None, Fault("list", str(error)))
            yield Block(work.file.stem, DAMAGED, (row,), "damaged")

    async def _one(self, work: _File, opened: OpenBlock, row: UrlRow, fetcher: Fetcher, meter: Meter) -> None:
        try:
            fetched = failed(row.fault) if row.fault else await fetcher.fetch(row.url, row.expected)
            opened.part.append(row, fetched)
        finally:
            self._window.release()
        if fetched.body is None:
            self.totals.faults[kind_of(fetched.facts)] += 1
        else:
            self.totals.fetched += 1
            self.totals.bytes += fetched.body.size
            fetched.body.close()
        meter(1, fetched.body is None)
        opened.left -= 1
        if not opened.left:
            await self._finish(work, opened)

    async def _finish(self, work: _File, opened: OpenBlock) -> None:
        await asyncio.to_thread(opened.finish)
        await self._less(work)

    async def _less(self, work: _File) -> None:
        """One thing less to do for a file; after the last one it is done."""
        work.left -= 1
        if work.left:
            return
        await asyncio.to_thread(_put_away, self.state.folder, work.file.stem, work.shards)
        if not work.damaged:
            self.state.done[work.file.stem] = _finished(self.state, work.file.stem, work.file.path)
            self.state.save()


def _finished(state: State, stem: str, path: str) -> tuple[str, int]:
    """What a file of the list is, with the settings that decide its shards, and how many shards of it there are."""
    spec = state.spec
    info = os.stat(path)
    settings = spec.download or DownloadSettings()
    told = [path, info.st_size, info.st_mtime_ns, info.st_ino, settings.shard_rows, settings.hash_column]
    told += [spec.media_column, spec.caption_column, spec.key_column]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16], len(shards_of(state.folder, stem))


def _put_away(folder: Path, stem: str, current: set[str]) -> None:
    """Move shards of a file's earlier content out of the way."""
    for path in chain.from_iterable(shards_of(folder, stem).values()):
        if path.stem not in current:
            (folder / OLD).mkdir(exist_ok=True)
            path.rename(folder / OLD / path.name)


def kind_of(facts: Mapping[str, Any]) -> str:
    """A failure in one or two words: ``status 404``, ``timeout``."""
    return f"status {facts['status']}" if facts["error"] == "status" else str(facts["error"])


def _leaves(group: BaseExceptionGroup) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
