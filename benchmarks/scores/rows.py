"""What a part of the scoreboard is made of: plain data that goes to JSON and back."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.programs import ONE_THREAD, PEERS, Unavailable, environment, run_json

OURS = (sys.executable, "-m", "benchmarks.scores.ours")


@dataclass(frozen=True)
class Bench:
    """How the scoreboard is run."""

    scratch: Path
    environments: Path
    """Where the other tools' environments are kept."""
    full: bool = False
    peers: bool = True

    @property
    def limit(self) -> float:
        """Seconds after which a program is stopped."""
        return 1800 if self.full else 240


@dataclass(frozen=True)
class Contender:
    """A program that does a part's work and prints JSON with ``version``, ``count`` and ``seconds`` in its last line."""

    tool: str
    command: tuple[str, ...]
    environment: str = ""
    """Name of the environment whose Python runs ``command``; empty: ``command`` is a whole command line."""
    differs: str = ""
    """What is not the same work, or not the same conditions."""
    fresh: bool = False
    """The command's last argument is an empty folder, a new one each time, which the program fills."""
    variables: Mapping[str, str] = field(default_factory=dict)
    cold: str = ""
    """Folder whose files are taken out of the page cache first."""
    small: tuple[str, ...] = ()
    """The same command over a small input, run first: what a tool compiles once, and a cold disk, are then not timed."""


@dataclass(frozen=True)
class Row:
    """One tool in one part."""

    tool: str
    version: str = ""
    rate: float | None = None
    """Units a second, median of the rounds, by the clock of the work itself."""
    program_s: float | None = None
    """Seconds of the whole program, with its start and what it imports."""
    memory_mb: float | None = None
    """Peak of the proportional memory of all its processes; None: it ended before anyone looked."""
    found: Mapping[str, str] = field(default_factory=dict)
    """Further columns: recall, samples lost, ..."""
    differs: str = ""
    missing: str = ""
    """Why there is no figure."""


@dataclass(frozen=True)
class Part:
    """One table of the scoreboard."""

    name: str
    title: str
    unit: str
    given: str
    """What all of them were given."""
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    load: tuple[float, float] = (0.0, 0.0)
    """Processors that others used just before, and the load of one minute after."""
    seconds: float = 0.0


Score = Callable[[dict[str, Any]], dict[str, str]]


def compare(
    bench: Bench, contenders: Sequence[Contender], *, rounds: int = 1, scale: float = 1.0, score: Score = lambda _: {}
) -> tuple[Row, ...]:
    """Run each contender once a round, so that a busy minute hits all of them; a row each, in their order.

    ``scale``: units a counted thing has. ``score``: further columns from what the program printed (of its last round).
    """
    runs: dict[str, list[dict[str, Any]]] = {contender.tool: [] for contender in contenders}
    missing: dict[str, str] = {}
    for _ in range(rounds):
        for contender in contenders:
            if contender.tool not in missing:
                try:
                    if contender.small and not runs[contender.tool]:
                        run_one(bench, replace(contender, command=contender.small, tool=f"{contender.tool}, small"))
                    runs[contender.tool].append(run_one(bench, contender))
                except Unavailable as reason:
                    missing[contender.tool] = str(reason)
    rows = []
    for contender in contenders:
        tool, found = contender.tool, runs[contender.tool]
        if tool in missing:
            row = Row(tool, differs=contender.differs, missing=missing[tool])
        else:
            row = Row(
                tool,
                str(found[-1]["version"]),
                statistics.median(run["count"] * scale / run["seconds"] for run in found),
                statistics.median(run["program_s"] for run in found),
                max(run["peak_mb"] for run in found) or None,
                score(found[-1]),
                contender.differs,
            )
        rows.append(row)
    return tuple(rows)


def run_one(bench: Bench, contender: Contender) -> dict[str, Any]:
    command: list[str | Path] = [*contender.command]
    if contender.environment:
        if not bench.peers:
            raise Unavailable("left out on request (--no-peers)")
        command = [environment(contender.environment, bench.environments), PEERS / command[0], *command[1:]]
    with tempfile.TemporaryDirectory(dir=bench.scratch) as folder:
        command += [Path(folder)] if contender.fresh else []
        os.sync()  # what the one before left to be written is not this one's
        if contender.cold:
            evict(Path(contender.cold))
        started = time.perf_counter()
        found = run_json(command, limit=bench.limit, variables=contender.variables)
    print(
        f"    {contender.tool}: {found['count']:,} in {found['seconds']:.1f} s, program {time.perf_counter() - started:.1f} s, "
        f"{found['peak_mb']:.0f} MB, load {os.getloadavg()[0]:.1f}",
        file=sys.stderr,
        flush=True,
    )
    return found


def peer(tool: str, environment: str, *command: object, differs: str, small: Sequence[object] = (), fresh: bool = False) -> Contender:
    """A script of `benchmarks/peers` in the environment of that name; numerical libraries with a thread for each of its processes."""
    first = tuple(map(str, small))
    return Contender(tool, tuple(map(str, command)), environment, differs, fresh, ONE_THREAD, small=first)


def ours(tool: str, what: str, *arguments: object, differs: str = "", small: Sequence[object] = ()) -> Contender:
    """Goldsieve, as a program of its own (`benchmarks.scores.ours`); ``small``: other arguments, see `Contender.small`."""
    first = (*OURS, what, *map(str, small)) if small else ()
    return Contender(tool, (*OURS, what, *map(str, arguments)), differs=differs, fresh=True, small=first)


def evict(folder: Path) -> None:
    """Take the files of a folder out of the page cache (Linux)."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def left_out(tools: Mapping[str, str]) -> tuple[Row, ...]:
    """Rows of tools that were not run, with the reason."""
    return tuple(Row(tool, missing=reason) for tool, reason in tools.items())


def program_version(program: str) -> str:
    """First line of ``program --version``."""
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
