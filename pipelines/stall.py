"""A limit on standing still: a worker process in which no batch and no sample ended for so long ends itself.

What it was measuring is then found as after any other death (see `pipelines.isolation`). The timer is `faulthandler`'s, a thread of the
system that needs no lock of Python's: it also ends a process whose code in C never returns. It writes where the process stood to stderr,
which of a Ray worker is in Ray's logs.
"""

import contextlib
import faulthandler
import os
import threading
import time
from collections.abc import Iterator

VARIABLE = "GOLDSIEVE_STALL_SECONDS"
DEFAULT_S, ALONE_S = 600.0, 120.0
"""In a worker, and where suspects are tried apart: each step of the search may wait so long."""
REARM_S = 1.0


class StallLimit:
    """Of one process. ``seconds`` 0: no limit."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._busy, self._armed, self._lock = 0, 0.0, threading.Lock()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """The limit holds while the body runs, in any thread."""
        with self._lock:
            self._busy += 1
            self._arm()
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1
                self._arm()

    def tick(self) -> None:
        """Something ended: the time begins anew."""
        if self.seconds and time.monotonic() - self._armed > REARM_S:
            with self._lock:
                self._arm()

    def _arm(self) -> None:
        if not self.seconds:
            return
        self._armed = time.monotonic()
        if self._busy:
            faulthandler.dump_traceback_later(self.seconds, exit=True, file=2)  # whatever sys.stderr is here
        else:
            faulthandler.cancel_dump_traceback_later()


NO_LIMIT = StallLimit(0.0)


def stall_limit(*, alone: bool = False) -> StallLimit:
    """As the environment says, else the default."""
    try:
        seconds = float(os.environ.get(VARIABLE, DEFAULT_S))
    except ValueError:
        seconds = DEFAULT_S
    return StallLimit(min(seconds, ALONE_S) if alone else seconds)
