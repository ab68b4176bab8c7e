"""Notes of what is being measured right now, so that a sample which kills its process is found afterwards.

A worker notes the block it starts and removes the note when the block is done. A note that outlives its process names
the suspects: the next run measures them in a process of their own (see `pipelines.isolation`).
"""

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

NOTE_GLOB = "block-*.arrow"


@contextlib.contextmanager
def noted(folder: Path | None, block: pa.Table) -> Iterator[None]:
    """Note the block's rows while the body runs. Without a folder (a lake without local files) nothing is noted."""
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"block-{uuid.uuid4()}.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, block.select(["ref_hash"]).schema) as out:
        out.write_table(block.select(["ref_hash"]))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def suspects(folder: Path | None) -> set[str]:
    """``ref_hash`` of every row in notes that dead workers left. Call only while no worker runs."""
    found: set[str] = set()
    for path in folder.glob(NOTE_GLOB) if folder else ():
        try:
            with pa.memory_map(str(path)) as file:
                found.update(v for v in pa.ipc.open_file(file).read_all()["ref_hash"].to_pylist() if v)
        except (pa.ArrowInvalid, OSError):
            pass  # a note cut short by the death it was to report: its block was not started
    return found


def clear(folder: Path | None) -> None:
    """Forget all notes."""
    for path in folder.glob(NOTE_GLOB) if folder else ():
        path.unlink(missing_ok=True)
