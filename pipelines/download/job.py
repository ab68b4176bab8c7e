"""One process' share of a list: reads it block by block, fetches what is missing, finishes shards. Memory is bounded."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manifests.errors import SourceError
from pipelines.download.addresses import Lookup, system_lookup
from pipelines.download.block import OpenBlock, open_block
from pipelines.download.body import Body
from pipelines.download.client import Client
from pipelines.download.faults import Fault
from pipelines.download.fetch import Fetcher, failed
from pipelines.download.settings import DownloadSettings
from pipelines.download.state import shards_of
from pipelines.download.urllist import Block, ListFile, UrlRow, open_list, read_blocks
from pipelines.sources.spec import SourceSpec

WINDOW = 16
"""Rows that wait or are being fetched, as a multiple of the concurrency: a slow host does not hold up the others."""
DAMAGED = 99_999
"""Number of the block that stands for a file of the list that cannot be read."""


@dataclass(frozen=True)
class Share:
    """What one process does: every ``of``-th block, from number ``index`` on. ``many``: the list has several files; then one that
    cannot be read is a failed sample. ``again``: failed rows are fetched once more. ``settings``: with this process' share of the limits.
    """

    folder: Path
    spec: SourceSpec
    settings: DownloadSettings
    files: tuple[ListFile, ...]
    index: int = 0
    of: int = 1
    many: bool = False
    again: bool = False


@dataclass(frozen=True)
class Counted:
    """Rows that were dealt with. ``fault``: why one of them failed; ``skipped``: rows that were there already."""

    fetched: int = 0
    bytes: int = 0
    fault: str = ""
    skipped: int = 0


@dataclass(frozen=True)
class FileDone:
    """This process' blocks of a file are finished: the names of its shards."""

    stem: str
    shards: frozenset[str]
    damaged: bool


Tell = Callable[[Counted | FileDone], None]


@dataclass
class _File:
    """A file of the list in work. ``left``: its unfinished blocks, and one for the reading itself."""

    file: ListFile
    url_column: str = ""
    shards: set[str] = field(default_factory=set)
    left: int = 1
    damaged: bool = False


async def run_share(share: Share, tell: Tell, lookup: Lookup = system_lookup) -> None:
    """Download a share; ``tell`` hears of it as it happens.

    Raises `SourceError` for a list that cannot be read, `GoldsieveError` when this machine fails (disk, open files); finished work stays.
    """
    unfinished: list[OpenBlock] = []
    try:
        async with Client(share.settings, lookup, share.folder) as client, asyncio.TaskGroup() as tasks:
            job = _Job(share, tell, Fetcher(client), tasks, unfinished)
            for file in share.files:
                await job.feed(_File(file))
    except BaseExceptionGroup as group:  # of one task or several: the first one says what is wrong
        raise next(_leaves(group)) from None
    finally:
        for opened in unfinished:
            opened.close()


class _Job:
    def __init__(self, share: Share, tell: Tell, fetcher: Fetcher, tasks: asyncio.TaskGroup, unfinished: list[OpenBlock]) -> None:
        self.share = share
        self._tell = tell
        self._fetcher = fetcher
        self._tasks = tasks
        self._unfinished = unfinished
        self._window = asyncio.Semaphore(WINDOW * share.settings.concurrency)

    async def feed(self, work: _File) -> None:
        """Start the missing rows of a file; they end later."""
        share = self.share
        blocks, there = self._blocks(work), shards_of(share.folder, work.file.stem)
        while (block := await asyncio.to_thread(next, blocks, None)) is not None:
            work.shards.add(block.shard)
            edited = there.get(block.number, [])
            opened, missing = await asyncio.to_thread(open_block, share.folder, block, edited, work.url_column, share.again)
            self._tell(Counted(skipped=len(block.rows) - len(missing)))
            if opened is None:
                continue
            work.left += 1
            self._unfinished.append(opened)
            if not missing:
                await self._finish(work, opened)
            for row in missing:
                await self._window.acquire()
                self._tasks.create_task(self._one(work, opened, row))
        self._less(work)

    def _blocks(self, work: _File) -> Iterator[Block]:
        share = self.share
        try:
            table, layout = open_list(share.spec, work.file)
            work.url_column = layout.url
            yield from read_blocks(work.file, table, layout, share.settings.shard_rows, share.index, share.of)
        except SourceError as error:
            if not share.many:
                raise
            work.damaged = True
            row = UrlRow(f"{work.file.stem}-damaged", "", {}, "", None, Fault("list", str(error)))
            if share.index == 0:
                yield Block(work.file.stem, DAMAGED, (row,), "damaged")

    async def _one(self, work: _File, opened: OpenBlock, row: UrlRow) -> None:
        try:
            fetched = failed(row.fault) if row.fault else await self._fetcher.fetch(row.url, row.expected)
        finally:
            self._window.release()
        with contextlib.closing(fetched.body or Body()) as body:
            opened.part.append(row, fetched)
        self._tell(Counted(fault=kind_of(fetched.facts)) if fetched.body is None else Counted(1, body.size))
        opened.left -= 1
        if not opened.left:
            await self._finish(work, opened)

    async def _finish(self, work: _File, opened: OpenBlock) -> None:
        self._unfinished.remove(opened)
        await asyncio.to_thread(opened.finish)  # which closes it
        self._less(work)

    def _less(self, work: _File) -> None:
        """One thing less to do for a file; after the last one it is done."""
        work.left -= 1
        if not work.left:
            self._tell(FileDone(work.file.stem, frozenset(work.shards), work.damaged))


def kind_of(facts: Mapping[str, Any]) -> str:
    """A failure in one or two words: ``status 404``, ``timeout``."""
    return f"status {facts['status']}" if facts["error"] == "status" else str(facts["error"])


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


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
