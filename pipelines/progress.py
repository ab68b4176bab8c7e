"""Progress on stderr: rate, time left, failures. Silent where there is no terminal but for a line a pass."""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Meter(Protocol):
    """Counts finished work. ``skipped``: what was there already and counts for no rate."""

    def __call__(self, done: int, failed: int, skipped: int = 0) -> None: ...


class Reporter:
    """Where progress goes. ``quiet`` prints nothing at all."""

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        self.console = console or Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self.quiet = quiet

    def say(self, text: str) -> None:
        if not self.quiet:
            self.console.print(text, markup=False)

    @contextlib.contextmanager
    def meter(self, label: str, total: int, unit: str = "samples") -> Iterator[Meter]:
        """A bar while the body runs, and one closing line with the rate."""
        started, counts, left = time.monotonic(), [0, 0], total
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[failed]}"),
            console=self.console,
            transient=True,
            disable=self.quiet or not self.console.is_terminal,
        )
        with bar:
            task = bar.add_task(label, total=total, rate="", failed="")

            def count(done: int, failed: int, skipped: int = 0) -> None:
                nonlocal left
                counts[0] += done
                counts[1] += failed
                left -= skipped
                rate = counts[0] / max(time.monotonic() - started, 1e-6)
                bar.update(task, total=left, completed=min(counts[0], left), rate=f"{rate:,.0f} {unit}/s", failed=_failed(counts[1]))

            yield count
        seconds = max(time.monotonic() - started, 1e-6)
        self.say(f"{label}: {counts[0]:,} {unit} in {seconds:.1f} s ({counts[0] / seconds:,.0f}/s){_failed(counts[1], ', ')}")


def _failed(count: int, before: str = "") -> str:
    return f"{before}{count:,} failed" if count else ""
