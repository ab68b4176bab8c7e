"""The loop that rewrites captions: samples stream in, attempts run side by side, rows stream out. Stops cleanly, goes on where it was."""

import asyncio
import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from manifests import Lake, open_lake
from operators.caption_quality import Identify, language_model
from operators.captions.checks import Found, clip_check
from pipelines.captions.attempt import Request, Row, answered_row, build, cleaned_row, failed_row, judged, new_row
from pipelines.captions.budget import Budget, BudgetSpent
from pipelines.captions.cache import AnswerCache
from pipelines.captions.clip_scores import ClipScorer, lake_encoder
from pipelines.captions.connect import Connect, Inline, Outcome
from pipelines.captions.endpoint import Reply
from pipelines.captions.hours import Hours
from pipelines.captions.pool import CallFailed, OutOfHours, Pool
from pipelines.captions.samples import Plan, Sample, Step, make_plan, pending_sql, stream
from pipelines.captions.settings import CLEAN, CaptionSettings, ModelSpec
from pipelines.event_loop import event_loop

WAITERS = 4
"""Samples in work for each request under way: those that wait for a retry hold no connection."""
FLUSH_ROWS, FLUSH_S = 2000, 10.0
SAY_S = 10.0


def rewrite(
    lake: Lake,
    settings: CaptionSettings,
    run_id: uuid.UUID,
    *,
    cache: Path,
    connect: Callable[[], Connect] = Inline,
    limit: int | None = None,
    retry_rejected: bool = False,
    say: Callable[[str], None] = lambda _text: None,
) -> Outcome:
    """Give every sample that the settings choose, and that is not done yet, its caption. Hold the lake's lease.

    Every attempt becomes a row of ``captions``. A sample ends accepted, kept (all attempts were rejected: the original stays) or failed
    (no answer: the next run asks again). ``retry_rejected`` asks again for kept ones, past the cache.
    Raises `UsageError` for settings that every request would fail on, `GoldsieveError` when a server is away for too long.
    """
    plan = make_plan(settings)
    sql = pending_sql(lake, settings, plan, retry_rejected)
    answers = AnswerCache(cache)

    def count() -> int:
        with open_lake(lake.address) as counting:
            waiting: int = counting.value(f"SELECT count(*) FROM ({sql})")
        return min(waiting, limit or waiting)

    try:
        with open_lake(lake.address) as reading:
            work = _Rewriting(lake, settings, plan, run_id, answers, retry_rejected, say, count)
            with asyncio.Runner(loop_factory=event_loop) as runner:
                return runner.run(work.run(stream(reading, sql, settings.facts, limit), connect()))
    finally:
        answers.close()


@dataclass
class _Rewriting:
    """One run: what it was asked for, and what it has done so far."""

    lake: Lake
    settings: CaptionSettings
    plan: Plan
    run_id: uuid.UUID
    answers: AnswerCache
    fresh: bool
    say: Callable[[str], None]
    count: Callable[[], int]
    outcome: Outcome = field(default_factory=Outcome)
    rows: list[Row] = field(default_factory=list)
    asking: dict[str, asyncio.Task[tuple[Reply, int]]] = field(default_factory=dict)
    pools: dict[str, Pool] = field(default_factory=dict)
    scorer: ClipScorer | None = None
    stop: str = ""
    identify: Identify = field(init=False)
    budget: Budget = field(init=False)
    counting: asyncio.Task[int] = field(init=False)

    async def run(self, batches: Iterator[list[Sample]], connect: Connect) -> Outcome:
        started = time.monotonic()
        self.budget = Budget(self.settings.budget)
        first = await asyncio.to_thread(next, batches, None)
        if first is None:  # nothing to do: no model is loaded, no key is needed
            return self.outcome
        batches = itertools.chain([first], batches)
        self.counting = asyncio.create_task(asyncio.to_thread(self.count))  # beside the work: it is only told
        self.identify = await asyncio.to_thread(language_model)
        used = {step.target for steps in self.plan.steps.values() for step in steps} & set(self.settings.models)
        if used and "clip_score" not in self.settings.checks.off and (encoder := await asyncio.to_thread(lake_encoder, self.lake)):
            self.scorer = ClipScorer(encoder)
        slots, hours = asyncio.Semaphore(self.settings.concurrency), Hours.parse(self.settings.active_hours)
        for name in sorted(used):
            servers = connect.servers(self.settings.models[name], self.settings.concurrency)
            self.pools[name] = Pool(servers, slots, self.budget, hours, self.settings.retries, self.settings.hedge)
        in_work = self.settings.concurrency * WAITERS if used else 2
        queue: asyncio.Queue[Sample] = asyncio.Queue(maxsize=in_work)
        workers = [asyncio.create_task(self._work(queue)) for _ in range(in_work)]
        feeder, writer = asyncio.create_task(self._feed(batches, queue)), asyncio.create_task(self._write(started))
        try:
            await self._until_done(feeder, queue, [*workers, writer])
        finally:
            for task in (feeder, writer, *workers, *self.asking.values()):
                task.cancel()
            await asyncio.gather(feeder, writer, *workers, *self.asking.values(), return_exceptions=True)
            self._flush()
            await connect.close()
            self._sum_up(started)
        self.outcome.stopped = self.stop
        return self.outcome

    async def _until_done(self, feeder: asyncio.Task[None], queue: asyncio.Queue[Sample], tasks: Sequence[asyncio.Task[None]]) -> None:
        """Until every sample is done; what a task raises ends all."""
        done = asyncio.create_task(self._all_done(feeder, queue))
        finished, _ = await asyncio.wait([done, *tasks], return_when=asyncio.FIRST_COMPLETED)
        done.cancel()
        for task in finished:
            task.result()

    @staticmethod
    async def _all_done(feeder: asyncio.Task[None], queue: asyncio.Queue[Sample]) -> None:
        await feeder
        await queue.join()

    async def _feed(self, batches: Iterator[list[Sample]], queue: asyncio.Queue[Sample]) -> None:
        while not self.stop and (batch := await asyncio.to_thread(next, batches, None)):
            for sample in batch:
                await queue.put(sample)

    async def _work(self, queue: asyncio.Queue[Sample]) -> None:
        while True:
            sample = await queue.get()
            try:
                if not self.stop:
                    await self._sample(sample)
            except (BudgetSpent, OutOfHours) as stop:
                self.stop = self.stop or str(stop) or f"the active hours {self.settings.active_hours} are over"
            finally:
                queue.task_done()
            if self.plan.steps[sample.route][0].target == CLEAN:
                await asyncio.sleep(0)  # nothing was waited for: let the others have their turn

    async def _sample(self, sample: Sample) -> None:
        """All attempts of one sample, until one is accepted; their rows are stored together."""
        rows: list[Row] = []
        for step in self.plan.steps[sample.route]:
            row = new_row(sample, step, self.plan.digests[sample.route], self.run_id)
            rows.append(cleaned_row(sample, row) if step.target == CLEAN else await self._attempt(sample, step, row))
            if rows[-1]["outcome"] != "rejected":
                break
        if rows[-1]["outcome"] == "rejected":
            rows[-1]["outcome"] = "kept"
        self.rows += rows
        self._count(rows)

    async def _attempt(self, sample: Sample, step: Step, row: Row) -> Row:
        spec = self.settings.models[step.target]
        request = build(sample, step, self.settings)
        if isinstance(request, str):
            return failed_row(row, spec, request, 0, "rejected")
        try:
            reply, requests = await self._answer(step.target, spec, request)
        except CallFailed as failed:
            return failed_row(row, spec, str(failed), failed.requests, "failed" if failed.fault.may_pass else "rejected")
        verdict = judged(reply, request, self.settings.checks, self.identify)
        more: list[Found] = []
        scores: dict[str, float | None] = {}
        if self.scorer and sample.image_embedding and verdict.accepted and verdict.text:
            before, after = await self.scorer.scores(sample.image_embedding, sample.caption, verdict.text)
            scores = {"before": before, "after": after}
            more = [found] if (found := clip_check(before, after, self.settings.checks)) else []
        return answered_row(row, spec, request, reply, verdict, more, requests, scores)

    async def _answer(self, name: str, spec: ModelSpec, request: Request) -> tuple[Reply, int]:
        """From the cache, from a request under way for the same question, or from a server."""
        if not self.fresh and (known := self.answers.get(request.key)):
            self.outcome.from_cache += 1
            return Reply(**known), 0
        task = self.asking.get(request.key)
        if task is None:
            task = asyncio.create_task(self._ask(name, spec, request))
            self.asking[request.key] = task
            task.add_done_callback(lambda _: self.asking.pop(request.key, None))
        return await asyncio.shield(task)

    async def _ask(self, name: str, spec: ModelSpec, request: Request) -> tuple[Reply, int]:
        reserve = (request.reserve, spec.cost(request.reserve - spec.max_tokens, spec.max_tokens))
        reply, requests = await self.pools[name].complete(request.call, reserve, lambda r: spec.cost(r.tokens_in, r.tokens_out, r.cached))
        self.answers.put(request.key, vars(reply))
        return reply, requests

    def _count(self, rows: Sequence[Mapping[str, Any]]) -> None:
        outcome = self.outcome
        outcome.samples += 1
        final = rows[-1]["outcome"]
        outcome.accepted += final == "accepted"
        outcome.kept += final == "kept"
        outcome.failed += final == "failed"
        for row in rows:
            if row["error"] and row["outcome"] != "failed" and row["kind"] != CLEAN:
                outcome.rejected_by[row["error"].partition(":")[0]] += 1

    async def _write(self, started: float) -> None:
        """Store what is done every few seconds, and say how it goes."""
        last_flush = last_say = time.monotonic()
        while True:
            await asyncio.sleep(0.5)
            now = time.monotonic()
            if len(self.rows) >= FLUSH_ROWS or now - last_flush >= FLUSH_S:
                rows, self.rows = self.rows, []
                writing = asyncio.create_task(asyncio.to_thread(self.lake.add_captions, rows))
                try:
                    await asyncio.shield(writing)
                except asyncio.CancelledError:
                    await writing
                    raise
                last_flush = now
            if now - last_say >= SAY_S:
                self.say(self._progress(now - started))
                last_say = now

    def _progress(self, seconds: float) -> str:
        budget, done = self.budget, self.outcome
        tokens = budget.tokens_in + budget.tokens_out
        total = left = ""
        if self.counting.done() and self.counting.exception() is None:  # a lake that could not be asked costs the estimate alone
            waiting = self.counting.result()
            total = f" of {waiting:,}"
            left = f", {timedelta(seconds=round((waiting - done.samples) * seconds / max(done.samples, 1)))} left"
        return (
            f"rewrite: {done.samples:,}{total} samples ({done.samples / seconds:,.0f}/s{left}), "
            f"{done.accepted:,} accepted, {done.kept:,} kept, {done.failed:,} failed; "
            f"{budget.requests:,} requests, {tokens / seconds:,.0f} tokens/s, cost {budget.cost:.4f}"
        )

    def _flush(self) -> None:
        rows, self.rows = self.rows, []
        self.lake.add_captions(rows)

    def _sum_up(self, started: float) -> None:
        outcome, budget = self.outcome, self.budget
        outcome.requests, outcome.tokens_in, outcome.tokens_out = budget.requests, budget.tokens_in, budget.tokens_out
        outcome.cost, outcome.seconds = budget.cost, time.monotonic() - started
        for pool in self.pools.values():
            outcome.faults.update(pool.faults)
