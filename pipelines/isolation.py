"""Find the sample that kills its process: halve the suspects, each half in a process of its own."""

import multiprocessing
import multiprocessing.connection
import uuid
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from manifests.errors import MediaError
from manifests.parts import media_part, signal_part, uuids
from manifests.schema import media_hash
from operators.base import columns_from
from pipelines.open_sample import content_key
from pipelines.pending import KEY, TODO
from pipelines.reader import Reader
from pipelines.stall import stall_limit
from pipelines.worker import BlockResult, Outcome, Task, Worker

Isolated = Callable[[Task, pa.Table], BlockResult | str]
"""Measures rows in a process of its own; a string says how that process died."""


def measure_suspects(task: Task, rows: pa.Table, isolated: Isolated) -> list[BlockResult]:
    """Results for all rows: those whose process died alone get an error that says so, all others are measured."""
    if not rows.num_rows:
        return []
    result = isolated(task, rows)
    if isinstance(result, BlockResult):
        return [result]
    if rows.num_rows == 1:
        return [_killer(task, rows, result)]
    half = rows.num_rows // 2
    return measure_suspects(task, rows.slice(0, half), isolated) + measure_suspects(task, rows.slice(half), isolated)


def in_child_process(task: Task, rows: pa.Table) -> BlockResult | str:
    """`Isolated` without Ray: a fresh Python process."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(task, rows, send), daemon=True)
    process.start()
    send.close()
    try:
        result: BlockResult | BaseException = receive.recv()
    except EOFError:
        process.join()
        code = process.exitcode or 0
        return f"signal {-code}" if code < 0 else f"exit code {code}"
    process.join()
    if isinstance(result, BaseException):
        raise result
    return result


def _child(task: Task, rows: pa.Table, send: "multiprocessing.connection.Connection") -> None:
    worker = Worker(task, stall_limit(alone=True))
    try:
        send.send(worker.measure(rows))
    except Exception as error:  # reported to the parent, which raises it
        send.send(error)
    finally:
        worker.close()


def _killer(task: Task, row: pa.Table, death: str) -> BlockResult:
    """Parts that say of one sample that measuring it kills the process. Reads and hashes it; decodes nothing."""
    record = row.to_pylist()[0]
    reason = f"measuring this sample killed the worker process ({death})"
    parts = []
    key: uuid.UUID | None = None
    if not task.run.reads_media:
        key = uuid.UUID(record[KEY])
    else:
        fact: dict[str, Any] = {"ref_hash": uuid.UUID(record["ref_hash"]), "media_hash": None, "error": reason}
        try:
            with Reader() as reader:
                data = reader.read(record["uri"], record["byte_offset"], record["byte_length"])
            fact["media_hash"] = digest = media_hash(data)
            key = content_key(task.run.keyed_by, record, digest)
        except MediaError as error:
            fact["error"] = str(error)
        if record["media_hash"] is None:
            parts.append(media_part(task.data, [fact]))
    outcomes = []
    for i, use in enumerate(task.run.uses):
        if key is None or not record[TODO] >> i & 1:
            continue
        columns = columns_from(use.operator.adds, [reason])
        parts.append(signal_part(task.data, f"signal_{use.name}", use.operator.adds, uuids([key]), use.fingerprint, task.run_id, columns))
        outcomes.append(Outcome(use.name, 1, 1, 0, reason))
    return BlockResult(tuple(parts), 1, 1, tuple(outcomes))
