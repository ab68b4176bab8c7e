"""Notes of what is being measured right now, so that a sample which kills its process is found afterwards.

A worker notes the block it starts and removes the note when the block is done. A note that outlives its process names
the suspects: the next run measures them in a process of their own (see `pipelines.isolation`). Notes lie where all workers
and the driver see them: in the lake's folder, or beside its data in the object store.
"""

import contextlib
import uuid
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.fs

from manifests.storage import filesystem, is_remote


@contextlib.contextmanager
def noted(place: str | None, block: pa.Table) -> Iterator[None]:
    """Note the block's rows while the body runs. Without a place (a lake without local files) nothing is noted."""
    if place is None:
        yield
        return
    system, folder = filesystem(place)
    if not is_remote(place):
        system.create_dir(folder, recursive=True)
    path = f"{folder}/block-{uuid.uuid4()}.arrow"
    with system.open_output_stream(path) as file, pa.ipc.new_file(file, block.select(["ref_hash"]).schema) as out:
        out.write_table(block.select(["ref_hash"]))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            system.delete_file(path)


def suspects(place: str | None) -> set[str]:
    """``ref_hash`` of every row in notes that dead workers left. Call only while no worker runs."""
    found: set[str] = set()
    for system, path in _notes(place):
        try:
            with system.open_input_file(path) as file:
                found.update(v for v in pa.ipc.open_file(file).read_all()["ref_hash"].to_pylist() if v)
        except (pa.ArrowInvalid, OSError):
            pass  # a note cut short by the death it was to report: its block was not started
    return found


def clear(place: str | None) -> None:
    """Forget all notes."""
    for system, path in _notes(place):
        with contextlib.suppress(OSError):
            system.delete_file(path)


def _notes(place: str | None) -> Iterator[tuple[pyarrow.fs.FileSystem, str]]:
    if place is None:
        return
    system, folder = filesystem(place)
    for info in system.get_file_info(pyarrow.fs.FileSelector(folder, allow_not_found=True)):
        if info.base_name.startswith("block-") and info.base_name.endswith(".arrow"):
            yield system, info.path
