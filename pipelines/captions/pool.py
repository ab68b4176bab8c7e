"""Sends requests to a model's endpoints: which one is next, how long to wait, when to give up. Faults end here."""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from manifests.errors import GoldsieveError, UsageError
from pipelines.captions.budget import Budget
from pipelines.captions.endpoint import Call, Fault, Reply
from pipelines.captions.hours import Hours

Ask = Callable[[Call], Awaitable[Reply | Fault]]

BACKOFF_S, LONGEST_BACKOFF_S = 0.5, 60.0
BREAKS_AFTER = 8
"""Faults in a row (rate limits aside) after which an endpoint is left alone,"""
REST_S, LONGEST_REST_S = 5.0, 300.0
"""for so long, doubled each time its next request fails too."""
LIMITED_IN_A_ROW = 10
"""Rate limits in a row after which the whole endpoint waits as long as it asked, not only the request."""
WAITS_S = 60.0
"""A request that failed before waits no longer for endpoints at rest: it may itself be what they fail at. The next run asks again."""
GIVES_UP_AFTER_S = 900.0
"""All endpoints of a model failing for so long end the run."""
LOOK_S = 0.5
"""How often a request under way is looked at, to see whether it is a straggler."""
STRAGGLES = 3.0
"""A straggler takes so many times as long as nearly all of the last `RECENT` answers did."""
RECENT, KNOWN = 256, 20


class CallFailed(Exception):
    """No answer after all retries; ``reason`` is the last fault."""

    def __init__(self, fault: Fault, requests: int) -> None:
        super().__init__(f"{fault.kind}: {fault.message}")
        self.fault, self.requests = fault, requests


class OutOfHours(Exception):
    """The active hours are over."""


@dataclass
class Server:
    """One endpoint and how it has been doing (a circuit breaker: closed, open for a while, then one request tries)."""

    url: str
    ask: Ask
    weight: float = 1.0
    under_way: int = 0
    faults: int = 0
    limited: int = 0
    rests: int = 0
    ready_at: float = 0.0
    down_since: float = 0.0
    sent: int = 0

    def available(self, now: float) -> bool:
        return now >= self.ready_at and not (self.rests and self.under_way)  # after a rest one request goes first

    def note(self, result: Reply | Fault, now: float) -> None:
        if isinstance(result, Reply) or result.kind == "refused request":
            self.faults = self.limited = self.rests = 0
            self.down_since = 0.0
        elif result.kind == "rate limit":
            self.limited += 1
            if self.limited >= LIMITED_IN_A_ROW:
                self.ready_at, self.limited = now + (result.retry_after or BACKOFF_S), 0
        else:
            self.faults += 1
            self.down_since = self.down_since or now
            if self.faults >= BREAKS_AFTER or self.rests:
                self.ready_at = now + min(LONGEST_REST_S, REST_S * 2**self.rests)
                self.rests, self.faults = self.rests + 1, 0


@dataclass
class Pool:
    """``slots`` bounds the requests under way over all models; one that waits for its next try holds none.

    ``hedge``: when slots are free, because the last samples are under way, a straggler is sent a second time and the first answer counts
    (hedged requests: Dean and Barroso 2013, "The tail at scale"). A run is not to wait for the timeouts of its last requests.
    """

    servers: Sequence[Server]
    slots: asyncio.Semaphore
    budget: Budget
    hours: Hours
    retries: int
    hedge: bool = True
    faults: Counter[str] = field(default_factory=Counter)
    took: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    async def complete(self, call: Call, reserve: tuple[int, float], cost: Callable[[Reply], float]) -> tuple[Reply, int]:
        """An answer and the number of requests it took. Raises `CallFailed`, `BudgetSpent`, `OutOfHours`, or `UsageError` for a fault
        that every request would meet (a wrong key, an unknown model)."""
        attempt = requests = 0
        result: Reply | Fault | None = None
        while True:
            if not await self._rested(WAITS_S if result else GIVES_UP_AFTER_S) and isinstance(result, Fault):
                raise CallFailed(result, requests)
            async with self.slots:
                server = self._next()
                if server is None:
                    continue
                if not self.hours.open_at(datetime.now()):
                    raise OutOfHours
                await self.budget.reserve(*reserve)
                result, sent = await self._hedged(server, call, reserve, cost)
            attempt += 1
            requests += sent
            if isinstance(result, Reply):
                return result, requests
            self.faults[result.kind] += 1
            if result.kind == "set-up":
                raise UsageError(f"{result.message}. Check the recipe's url, model and key; nothing was lost.")
            if attempt > self.retries or not result.may_pass:
                raise CallFailed(result, requests)
            await asyncio.sleep(self.wait_s(attempt, result))

    @staticmethod
    def wait_s(attempt: int, fault: Fault) -> float:
        """Exponential backoff with jitter; never less than the server asked for."""
        backoff: float = min(LONGEST_BACKOFF_S, BACKOFF_S * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
        return max(backoff, (fault.retry_after or 0.0) * random.uniform(1.0, 1.1))

    async def _hedged(
        self, server: Server, call: Call, reserve: tuple[int, float], cost: Callable[[Reply], float]
    ) -> tuple[Reply | Fault, int]:
        """What the request came to, and how many were sent for it: one more each time the last one straggles while slots are free."""
        under_way, sent, last = {self._send(server, call, reserve, cost)}, 1, time.monotonic()
        try:
            while True:
                done, under_way = await asyncio.wait(under_way, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                results = [task.result() for task in done]
                replies = [result for result in results if isinstance(result, Reply)]
                if replies or not under_way:
                    return (replies or results)[0], sent
                seconds = time.monotonic() - last
                if not self.slots.locked() and self._straggles(seconds / sent, reserve) and (other := self._next()):
                    await self.slots.acquire()
                    await self.budget.reserve(*reserve)
                    again = self._send(other, call, reserve, cost)
                    again.add_done_callback(lambda _: self.slots.release())
                    under_way.add(again)
                    sent, last = sent + 1, time.monotonic()
                    self.faults["straggler"] += 1
        finally:
            for task in under_way:
                task.cancel()

    def _straggles(self, seconds: float, reserve: tuple[int, float]) -> bool:
        """Whether so many seconds are far more than the others take, and another request may be sent."""
        if not self.hedge or len(self.took) < KNOWN or not self.budget.fits(*reserve) or not self.hours.open_at(datetime.now()):
            return False
        return seconds > STRAGGLES * sorted(self.took)[int(0.95 * len(self.took))]

    def _send(
        self, server: Server, call: Call, reserve: tuple[int, float], cost: Callable[[Reply], float]
    ) -> "asyncio.Future[Reply | Fault]":
        server.under_way += 1
        server.sent += 1

        def came(task: "asyncio.Future[Reply | Fault]") -> None:
            server.under_way -= 1
            result = None if task.cancelled() or task.exception() else task.result()
            took = (0, 0, 0.0)
            if isinstance(result, Reply):
                took = (result.tokens_in, result.tokens_out, cost(result))
                self.took.append(result.seconds)
            self.budget.settle(reserve, *took)
            if result is not None:
                server.note(result, time.monotonic())

        task = asyncio.ensure_future(server.ask(call))
        task.add_done_callback(came)
        return task

    def _next(self) -> Server | None:
        """The endpoint with the fewest requests under way for its weight; None: all are at rest."""
        now = time.monotonic()
        ready = [server for server in self.servers if server.available(now)]
        return min(ready, key=lambda server: ((server.under_way + 1) / server.weight, server.sent / server.weight), default=None)

    async def _rested(self, most_s: float) -> bool:
        """Wait while all endpoints are at rest, not much longer than ``most_s``; False: they still are.

        Raises `GoldsieveError` when they have been failing for too long.
        """
        began = time.monotonic()
        while self._next() is None:
            now = time.monotonic()
            if now - began > most_s:
                return False
            if all(server.down_since and now - server.down_since > GIVES_UP_AFTER_S for server in self.servers):
                names = ", ".join(server.url for server in self.servers)
                raise GoldsieveError(
                    f"{names} did not answer for {GIVES_UP_AFTER_S:.0f} s. Finished captions are stored; run it again later."
                )
            await asyncio.sleep(0.05)
        return True
