"""How many requests a host gets at a time, when it asked for a pause, and when it is given up."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pipelines.download.faults import Fault

GIVEN_UP_AFTER = 30
"""So many URLs in a row that could not reach their host; the rest of that host's URLs fail without being tried, until a retry."""


@dataclass
class _Host:
    slots: asyncio.Semaphore
    users: int = 0
    resume_at: float = 0.0
    lost: int = 0


class Hosts:
    """Slots in all and by host name. Waiting for one takes no connection. A host that nobody waits for is forgotten."""

    def __init__(self, concurrency: int, per_host: int) -> None:
        self._all = asyncio.Semaphore(concurrency)
        self._per_host = per_host
        self._hosts: dict[str, _Host] = {}

    @asynccontextmanager
    async def slot(self, name: str) -> AsyncIterator[None]:
        host = self._hosts.setdefault(name, _Host(asyncio.Semaphore(self._per_host)))
        host.users += 1
        try:
            async with host.slots:
                while (pause := host.resume_at - time.monotonic()) > 0:
                    await asyncio.sleep(pause)
                async with self._all:
                    yield
        finally:
            host.users -= 1
            if not host.users and not host.lost and host.resume_at <= time.monotonic():
                self._hosts.pop(name, None)

    def pause(self, name: str, seconds: float) -> None:
        """No request to the host for so long: it sent Retry-After."""
        if host := self._hosts.get(name):
            host.resume_at = max(host.resume_at, time.monotonic() + seconds)

    def given_up(self, name: str) -> Fault | None:
        host = self._hosts.get(name)
        if host and host.lost >= GIVEN_UP_AFTER:
            return Fault("connection", f"not tried: the host could not be reached {host.lost} times in a row")
        return None

    def note(self, name: str, lost: bool) -> None:
        """How a URL of the host ended: whether the host could not be reached."""
        if lost:
            self._hosts.setdefault(name, _Host(asyncio.Semaphore(self._per_host))).lost += 1
        elif host := self._hosts.get(name):
            host.lost = 0
