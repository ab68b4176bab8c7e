"""Sends requests to a model's endpoints: which one is next, how long to wait, when to give up. Faults end here."""

import asyncio
import random
import time
from collections import Counter
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
GIVES_UP_AFTER_S = 900.0
"""All endpoints of a model failing for so long end the run."""


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
    """``slots`` bounds the requests under way over all models; one that waits for its next try holds none."""

    servers: Sequence[Server]
    slots: asyncio.Semaphore
    budget: Budget
    hours: Hours
    retries: int
    faults: Counter[str] = field(default_factory=Counter)

    async def complete(self, call: Call, reserve: tuple[int, float], cost: Callable[[Reply], float]) -> tuple[Reply, int]:
        """An answer and the number of requests it took. Raises `CallFailed`, `BudgetSpent`, `OutOfHours`, or `UsageError` for a fault
        that every request would meet (a wrong key, an unknown model)."""
        attempt = 0
        while True:
            await self._rested()
            async with self.slots:
                server = self._next()
                if server is None:
                    continue
                if not self.hours.open_at(datetime.now()):
                    raise OutOfHours
                await self.budget.reserve(*reserve)
                result = await self._ask(server, call, reserve, cost)
            server.note(result, time.monotonic())
            attempt += 1
            if isinstance(result, Reply):
                return result, attempt
            self.faults[result.kind] += 1
            if result.kind == "set-up":
                raise UsageError(f"{result.message}. Check the recipe's url, model and key; nothing was lost.")
            if attempt > self.retries or not result.may_pass:
                raise CallFailed(result, attempt)
            await asyncio.sleep(self.wait_s(attempt, result))

    @staticmethod
    def wait_s(attempt: int, fault: Fault) -> float:
        """Exponential backoff with jitter; never less than the server asked for."""
        backoff: float = min(LONGEST_BACKOFF_S, BACKOFF_S * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
        return max(backoff, (fault.retry_after or 0.0) * random.uniform(1.0, 1.1))

    async def _ask(self, server: Server, call: Call, reserve: tuple[int, float], cost: Callable[[Reply], float]) -> Reply | Fault:
        server.under_way += 1
        server.sent += 1
        took = (0, 0, 0.0)
        try:
            result = await server.ask(call)
            if isinstance(result, Reply):
                took = (result.tokens_in, result.tokens_out, cost(result))
            return result
        finally:
            server.under_way -= 1
            await self.budget.settle(reserve, *took)

    def _next(self) -> Server | None:
        """The endpoint with the fewest requests under way for its weight; None: all are at rest."""
        now = time.monotonic()
        ready = [server for server in self.servers if server.available(now)]
        return min(ready, key=lambda server: ((server.under_way + 1) / server.weight, server.sent / server.weight), default=None)

    async def _rested(self) -> None:
        """Wait while all endpoints are at rest. Raises `GoldsieveError` when they have been failing for too long."""
        while self._next() is None:
            if all(server.down_since and time.monotonic() - server.down_since > GIVES_UP_AFTER_S for server in self.servers):
                names = ", ".join(server.url for server in self.servers)
                raise GoldsieveError(
                    f"{names} did not answer for {GIVES_UP_AFTER_S:.0f} s. Finished captions are stored; run it again later."
                )
            await asyncio.sleep(0.05)
