"""How many requests a host gets at a time, when it asked for a pause, and when it is given up."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pipelines.download.faults import Fault

GIVEN_UP_AFTER = 30
"""So many URLs in a row that could not reach their host; its other URLs then fail without being tried."""
ANOTHER_TRY_S = 60.0
"""After so long without an attempt there is one."""
REMEMBERED = 50_000
"""Hosts whose failures are counted."""


@dataclass
class _Host:
    slots: asyncio.Semaphore
    users: int = 0
    resume_at: float = 0.0


class Hosts:
    """Slots in all and by host name. Waiting for one takes no connection. A host that nobody waits for is forgotten."""

    def __init__(self, concurrency: int, per_host: int) -> None:
        self._all = asyncio.Semaphore(concurrency)
        self._per_host = per_host
        self._hosts: dict[str, _Host] = {}
        self._lost: OrderedDict[str, tuple[int, float]] = OrderedDict()

    @asynccontextmanager
    async def slot(self, name: str) -> AsyncIterator[Fault | None]:
        """A place for one request; the value says that the host is given up, and that none should be made."""
        host = self._hosts.setdefault(name, _Host(asyncio.Semaphore(self._per_host)))
        host.users += 1
        try:
            async with host.slots:
                while (pause := host.resume_at - time.monotonic()) > 0:
                    await asyncio.sleep(pause)
                async with self._all:
                    yield self._given_up(name)
        finally:
            host.users -= 1
            self._forget(name)

    def pause(self, name: str, seconds: float) -> None:
        """No request to the host for so long: it sent Retry-After."""
        if host := self._hosts.get(name):
            host.resume_at = max(host.resume_at, time.monotonic() + seconds)

    def note(self, name: str, lost: bool) -> None:
        """How a URL of the host ended: whether the host could not be reached."""
        if not lost:
            self._lost.pop(name, None)
            return
        self._lost[name] = (self._lost.pop(name, (0, 0.0))[0] + 1, time.monotonic())
        if len(self._lost) > REMEMBERED:
            self._lost.popitem(last=False)

    def _given_up(self, name: str) -> Fault | None:
        count, since = self._lost.get(name, (0, 0.0))
        if count < GIVEN_UP_AFTER or time.monotonic() - since > ANOTHER_TRY_S:
            return None
        return Fault("connection", f"not tried: the host could not be reached {GIVEN_UP_AFTER} times in a row", tried=False)

    def _forget(self, name: str) -> None:
        host = self._hosts.get(name)
        if host is None or host.users:
            return
        if (pause := host.resume_at - time.monotonic()) > 0:
            asyncio.get_running_loop().call_later(pause, self._forget, name)
        else:
            del self._hosts[name]
