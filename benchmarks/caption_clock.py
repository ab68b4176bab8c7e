"""How near the pool of requests comes to the ideal when nothing but the order of requests counts: a clock that jumps, and no server.

    python -m benchmarks.caption_clock [--samples 10000] [--concurrency 64] [--draws 6]

The mix of `benchmarks.captions`. What is missing to 100 % is slots that stand idle at the end of a run. No load of the machine disturbs it.
"""

import argparse
import asyncio
import contextlib
import itertools
import random
import selectors
from collections.abc import Iterator
from types import SimpleNamespace

from benchmarks.captions import FAULTS, LATENCY, RETRY_AFTER, TIMEOUT, ideal_seconds
from benchmarks.common import Checks
from pipelines.captions import pool
from pipelines.captions.budget import Budget
from pipelines.captions.endpoint import Call, Fault, Reply
from pipelines.captions.hours import Hours
from pipelines.captions.settings import BudgetSpec

ANSWERS: dict[str, Reply | Fault] = {
    "rate_limit": Fault("rate limit", "", RETRY_AFTER),
    "server_error": Fault("server error", ""),
    "malformed": Fault("malformed answer", ""),
    "hang": Fault("timeout", ""),
}


class Jumping(selectors.DefaultSelector):
    """Instead of waiting it puts the clock forward."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += max(timeout or 0.0, 0.0)
        return super().select(0)


async def finish(samples: Iterator[int], draws: random.Random, slower: float, hedge: bool, concurrency: int) -> None:
    names = [*FAULTS, ""]
    shares = [*FAULTS.values(), 1 - sum(FAULTS.values())]

    async def ask(call: Call) -> Reply | Fault:
        [name] = draws.choices(names, shares)
        seconds = TIMEOUT if name == "hang" else LATENCY + slower
        await asyncio.sleep(seconds)
        return ANSWERS.get(name) or Reply("", "stop", False, 0, 0, 0, seconds)

    async def work() -> None:
        for _ in samples:
            with contextlib.suppress(pool.CallFailed):  # after all retries, as one sample in millions does
                await made.complete(Call({}), (1, 0.0), lambda reply: 0.0)

    slots, budget = asyncio.Semaphore(concurrency), Budget(BudgetSpec())
    made = pool.Pool([pool.Server("", ask)], slots, budget, Hours.parse(""), 8, hedge)
    await asyncio.gather(*(work() for _ in range(4 * concurrency)))


def seconds(samples: int, concurrency: int, seed: int, slower: float, hedge: bool) -> float:
    clock = Jumping()
    pool.time = SimpleNamespace(monotonic=lambda: clock.now)  # type: ignore[attr-defined]
    random.seed(seed)
    with asyncio.Runner(loop_factory=lambda: _on(clock)) as runner:
        runner.run(finish(iter(range(samples)), random.Random(seed), slower, hedge, concurrency))
        return clock.now


def _on(clock: Jumping) -> asyncio.AbstractEventLoop:
    loop = asyncio.SelectorEventLoop(clock)
    loop.time = lambda: clock.now  # type: ignore[method-assign]
    return loop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--draws", type=int, default=6)
    given = parser.parse_args()
    check = Checks()
    ideal = ideal_seconds(given.samples, given.concurrency)
    for hedge, slower in itertools.product((False, True), (0.0, 0.02)):
        shares = [ideal / seconds(given.samples, given.concurrency, seed, slower, hedge) for seed in range(given.draws)]
        mean = sum(shares) / len(shares)
        what = f"share of the ideal, {'with' if hedge else 'without'} hedging, {1000 * slower:.0f} ms slower"
        print(f"      {what:<58} {mean:>16.1%}   {min(shares):.1%} to {max(shares):.1%}")
        if hedge and not slower:
            check("throughput of the pool alone, share of the ideal", f"{mean:.1%}", ">= 85 %", mean >= 0.85)
    check.end()


if __name__ == "__main__":
    main()
