"""Limits on what a run may spend. A request reserves the most it can cost before it is sent, so a limit is never passed."""

import asyncio
from dataclasses import dataclass, field

from pipelines.captions.settings import BudgetSpec


class BudgetSpent(Exception):
    """A limit is reached; the text names it."""


@dataclass
class Budget:
    """Counts of one run: ``requests`` sent, ``tokens`` and ``cost`` of what came back, and what is reserved for requests under way."""

    limits: BudgetSpec
    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    reserved_tokens: int = 0
    reserved_cost: float = 0.0
    spent: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def reserve(self, tokens: int, cost: float) -> None:
        """Wait until the request fits beside those under way. Raises `BudgetSpent` when it cannot fit any more."""
        while not self.fits(tokens, cost):
            if self.spent:
                raise BudgetSpent(self.spent)
            over = self._over(tokens, cost)
            if not self.reserved_tokens or over == "max_requests":
                self.spent = f"{over} of {getattr(self.limits, over):,} is reached"
                self.changed.set()
                raise BudgetSpent(self.spent)
            self.changed.clear()
            await self.changed.wait()
        self.requests += 1
        self.reserved_tokens += tokens
        self.reserved_cost += cost

    def fits(self, tokens: int, cost: float) -> bool:
        """Whether the request may be sent now."""
        return not self.spent and not self._over(tokens, cost)

    def _over(self, tokens: int, cost: float) -> str:
        limits = self.limits
        if limits.max_requests is not None and self.requests + 1 > limits.max_requests:
            return "max_requests"
        if limits.max_tokens is not None and self.tokens_in + self.tokens_out + self.reserved_tokens + tokens > limits.max_tokens:
            return "max_tokens"
        if limits.max_cost is not None and self.cost + self.reserved_cost + cost > limits.max_cost:
            return "max_cost"
        return ""

    def settle(self, reserved: tuple[int, float], tokens_in: int, tokens_out: int, cost: float) -> None:
        """What a request really took; nothing for one that failed."""
        self.reserved_tokens -= reserved[0]
        self.reserved_cost = max(0.0, self.reserved_cost - reserved[1])
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        self.cost += cost
        self.changed.set()
