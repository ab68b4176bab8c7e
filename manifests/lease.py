"""One writing run per lake: a lock that is released when its holder dies.

A local lake has a lock file (the kernel releases it), a lake with its catalog in PostgreSQL an advisory lock there (the server
releases it when the connection breaks), which holds for all machines.
"""

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from manifests.address import LakeAddress
from manifests.errors import CatalogDownError, LakeBusyError, MissingDependencyError, first_line

LOCK = 0x676F6C64_73696576  # "goldsiev": one lake lives in one database, so one number is enough
PAUSE_S = 0.2


class Lease(Protocol):
    """The lock while it is held. It depends on no clock: the kernel or the server gives it up when its holder is gone."""

    def held(self) -> bool:
        """Whether it is still ours: false after the catalog's server went away."""
        ...

    def renew(self, wait_s: float) -> None:
        """Take it again, waiting so long for a server that cannot be reached. Raises `LakeError`, `LakeBusyError`."""
        ...


class KernelLease:
    """A lock of the operating system: it is not lost while its holder lives."""

    def held(self) -> bool:
        return True

    def renew(self, wait_s: float) -> None:
        """Nothing to do."""


@contextlib.contextmanager
def lease_of(address: LakeAddress, purpose: str, wait_s: float = 0.0) -> Iterator[Lease]:
    """Hold the writing lock of the lake at an address. Raises `LakeBusyError` naming the holder."""
    if address.is_local:
        assert address.folder is not None
        with lease(address.folder, purpose, wait_s):
            yield KernelLease()
    else:
        with contextlib.closing(AdvisoryLease(address.catalog.removeprefix("postgres:"), str(address), purpose)) as held:
            held.take(wait_s)
            yield held


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
                time.sleep(PAUSE_S)
        file.seek(0)
        file.truncate()
        json.dump({"purpose": purpose, "pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%F %T")}, file)
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()


class AdvisoryLease:
    """The same in a PostgreSQL database (an address or ``name=value`` pairs), on a connection of its own."""

    def __init__(self, database: str, lake: str, purpose: str) -> None:
        self.database, self.lake = database, lake
        self.name = f"goldsieve {purpose} on {socket.gethostname()}, process {os.getpid()}"[:63]  # the server keeps no more
        self._connection: Any = None

    def take(self, wait_s: float = 0.0) -> None:
        """Raises `LakeBusyError`, `LakeError` when the server cannot be reached, and `MissingDependencyError` without psycopg."""
        try:
            import psycopg
        except ImportError:
            raise MissingDependencyError("A catalog in PostgreSQL needs psycopg: pip install 'goldsieve[postgres]'") from None
        try:
            # Keepalives: a server that vanished is noticed, and one notices that we did.
            self._connection = psycopg.connect(
                self.database, autocommit=True, application_name=self.name, keepalives_idle=30, connect_timeout=10
            )
        except psycopg.Error as error:
            raise CatalogDownError(f"The catalog of {self.lake} cannot be reached: {first_line(error)}") from None
        deadline = time.monotonic() + wait_s
        while self._connection.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone() != (True,):
            if time.monotonic() >= deadline:
                row = self._connection.execute(
                    """SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                    WHERE l.locktype = 'advisory' AND l.granted AND (l.classid::bigint << 32) + l.objid::bigint = %s""",
                    [LOCK],
                ).fetchone()
                holder = row[0] if row else "another process"
                raise LakeBusyError(
                    f"The lake {self.lake} is being written by '{holder}'. Wait for it to end, or stop it; reading commands work meanwhile."
                )
            time.sleep(PAUSE_S)

    def held(self) -> bool:
        try:
            self._connection.execute("SELECT 1")
        except Exception:  # whatever a broken connection raises: the lock is gone
            return False
        return True

    def renew(self, wait_s: float) -> None:
        self.close()
        deadline, pause = time.monotonic() + wait_s, PAUSE_S
        while True:
            try:
                self.take(wait_s=1.0)  # the server may still be clearing away our own broken connection
                return
            except CatalogDownError as error:
                if time.monotonic() >= deadline:
                    raise CatalogDownError(f"{error} Finished work is stored; run the same command again when it is back.") from None
            time.sleep(pause)
            pause = min(2 * pause, 10.0)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _holder(path: Path) -> str:
    try:
        note = json.loads(path.read_text())
        return f"'{note['purpose']}' (process {note['pid']} on {note['host']}, since {note['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
