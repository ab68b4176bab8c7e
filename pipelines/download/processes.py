"""A whole list: shared out to processes, watched, and entered into the folder's state file by file."""

import asyncio
import dataclasses
import hashlib
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait

from manifests.errors import GoldsieveError
from pipelines.download.addresses import Lookup, system_lookup
from pipelines.download.job import Counted, FileDone, Share, Totals, run_share
from pipelines.download.settings import DownloadSettings
from pipelines.download.state import State, put_away, shards_of
from pipelines.download.urllist import count_rows, list_files, open_list
from pipelines.event_loop import event_loop
from pipelines.progress import Meter, Reporter

MOST = 4
"""Processes that are used unasked: each is good for a thousand URLs a second or more, which few lines and servers are."""
TELL_S = 0.2

Event = list[Counted | FileDone] | BaseException | None
"""What a process sends: what happened, how it failed, or that it is done."""


def run_job(state: State, reporter: Reporter, *, again: bool = False, lookup: Lookup = system_lookup) -> Totals:
    """Download all of a list. ``again``: failures too. Hold the folder's lock.

    A file of the list that cannot be read is a failed sample when there are others, and is tried again by the next run.
    Raises `SourceError` for a list that cannot be read, `GoldsieveError` when this machine fails (disk, open files); finished work stays.
    """
    settings = state.spec.download or DownloadSettings()
    files = list_files(state.spec)
    if len(files) == 1:
        open_list(state.spec, files[0])  # raises before anything is written
    todo = [file for file in files if again or state.done.get(file.stem) != _finished(state, file.stem, file.path)]
    for file in todo:
        state.done.pop(file.stem, None)
    state.save()
    totals = Totals()
    if not todo:
        return totals
    rows = sum(map(count_rows, todo))
    blocks = -(-rows // settings.shard_rows)
    count = min(settings.processes or min(MOST, os.cpu_count() or 1), settings.per_host, settings.concurrency, max(blocks, 1))
    count = 1 if lookup is not system_lookup else count
    part = dataclasses.replace(settings, concurrency=settings.concurrency // count, per_host=settings.per_host // count)
    shares = [Share(state.folder, state.spec, part, tuple(todo), n, count, len(files) > 1, again) for n in range(count)]
    paths, ended = {file.stem: file.path for file in todo}, dict.fromkeys((file.stem for file in todo), 0)
    shards: dict[str, set[str]] = {stem: set() for stem in ended}
    damaged: set[str] = set()

    def hear(event: Counted | FileDone) -> None:
        if isinstance(event, Counted):
            _count(event, totals, meter)
            return
        shards[event.stem] |= event.shards
        ended[event.stem] += 1
        if event.damaged:
            damaged.add(event.stem)
        if ended[event.stem] == count:
            put_away(state.folder, event.stem, shards.pop(event.stem))
            if event.stem not in damaged:
                state.done[event.stem] = _finished(state, event.stem, paths[event.stem])
                state.save()

    label = f"download {os.path.basename(state.folder)}"
    with reporter.meter(label, rows, "URLs") as meter:
        if count == 1:
            with asyncio.Runner(loop_factory=event_loop) as runner:
                runner.run(run_share(shares[0], hear, lookup))
        else:
            _in_processes(shares, hear)
    if totals.fetched or totals.faults:
        reporter.say(f"{label}: {totals}")
    return totals


def _count(event: Counted, totals: Totals, meter: Meter) -> None:
    totals.fetched += event.fetched
    totals.bytes += event.bytes
    if event.fault:
        totals.faults[event.fault] += 1
    meter(event.fetched + bool(event.fault), bool(event.fault), event.skipped)


def _in_processes(shares: list[Share], hear: Callable[[Counted | FileDone], None]) -> None:
    context = multiprocessing.get_context("spawn")
    running = {}
    try:
        for share in shares:
            receive, send = context.Pipe(duplex=False)
            process = context.Process(target=_child, args=(share, send), daemon=True)
            process.start()
            send.close()
            running[receive] = process
        while running:
            for connection in wait(list(running)):
                assert isinstance(connection, Connection)
                try:
                    events: Event = connection.recv()
                except EOFError:
                    raise GoldsieveError(
                        "A process that downloads was killed. What it fetched is kept; run the same command again."
                    ) from None
                if events is None:
                    running.pop(connection).join()
                elif isinstance(events, BaseException):
                    raise events
                else:
                    for event in events:
                        hear(event)
    finally:
        for process in running.values():
            process.kill()  # at any moment nothing is lost but what is on its way
        for process in running.values():
            process.join()


def _child(share: Share, send: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    waiting: list[Counted | FileDone] = []
    told = time.monotonic()

    def tell(event: Counted | FileDone) -> None:
        nonlocal told
        waiting.append(event)
        if (now := time.monotonic()) - told > TELL_S:
            told = now
            send.send(waiting)
            waiting.clear()

    last: Event = None
    try:
        with asyncio.Runner(loop_factory=event_loop) as runner:
            runner.run(run_share(share, tell))
    except Exception as error:  # reported to the parent, which raises it
        last = error
    try:
        send.send(waiting)
        send.send(last)
    except OSError:
        return  # the parent is gone


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _finished(state: State, stem: str, path: str) -> tuple[str, int]:
    """What a file of the list is, with the settings that decide its shards, and how many shards of it there are."""
    spec = state.spec
    info = os.stat(path)
    settings = spec.download or DownloadSettings()
    told = [path, info.st_size, info.st_mtime_ns, info.st_ino, settings.shard_rows, settings.hash_column]
    told += [spec.media_column, spec.caption_column, spec.key_column]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16], len(shards_of(state.folder, stem))
