"""One writing run per lake: a lock file that the operating system releases when its holder dies."""

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from manifests.errors import LakeBusyError


@contextlib.contextmanager
def lease(folder: Path, purpose: str, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lake's writing lock while the body runs.

    ``flock`` is released by the kernel at any death of the process, so there is nothing to clean up after ``kill -9``.
    Raises `LakeBusyError` naming the holder when the lock is still taken after ``wait_s`` seconds.
    """
    path = folder / "writer.lock"
    deadline = time.monotonic() + wait_s
    with open(path, "a+") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LakeBusyError(
                        f"The lake {folder} is being written by {_holder(path)}. Wait for it to end, or stop it; "
                        "reading commands work meanwhile."
                    ) from None
                time.sleep(0.2)
        file.seek(0)
        file.truncate()
        json.dump({"purpose": purpose, "pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%F %T")}, file)
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()


def _holder(path: Path) -> str:
    try:
        note = json.loads(path.read_text())
        return f"'{note['purpose']}' (process {note['pid']} on {note['host']}, since {note['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
