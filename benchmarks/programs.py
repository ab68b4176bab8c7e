"""Other tools in environments of their own, and programs that print JSON, watched while they run."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import memory, tree

PEERS = Path(__file__).parent / "peers"
"""Scripts that run other tools, and what to install for them: ``requirements-NAME.txt``."""
INSTALL_SECONDS = 1200
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""For tools that start two processes themselves: numerical libraries then stay on the two processors."""


class Unavailable(Exception):
    """A tool could not be installed or run; the message is the reason, one line."""


def environment(name: str, folder: Path) -> Path:
    """The Python of a tool's own environment in ``folder``, made at the first call and when its requirements changed."""
    home, wanted = folder / name, PEERS / f"requirements-{name}.txt"
    python, stamp = home / "bin" / "python", home / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted.read_text():
        return python
    print(f"making the environment of {name} ...", file=sys.stderr, flush=True)
    commands = ([sys.executable, "-m", "venv", str(home)], [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(wanted)])
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"not installed within {INSTALL_SECONDS // 60} minutes") from None
        if done.returncode:
            raise Unavailable(f"could not be installed: {last_words(done.stderr)}")
    stamp.write_text(wanted.read_text())
    return python


def last_words(text: str) -> str:
    """The last line that says something, of an error output."""
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() and not line.startswith("WARNING")]
    return re.sub(r" at 0x[0-9a-f]+", "", (errors or lines or ["it said nothing"])[-1])[:300]


class MemoryWatch(threading.Thread):
    """Peak of the proportional memory of a process and all below it, in bytes, looked at every so many seconds (Linux)."""

    def __init__(self, pid: int, every: float = 0.5) -> None:
        super().__init__(daemon=True)
        self.pid, self.every, self.peak, self.ended = pid, every, 0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(self.every):
            self.peak = max(self.peak, memory(list(tree(self.pid))))


def run_json(command: Sequence[str | Path], *, limit: float = 3600, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a program whose last line of output is JSON; adds ``program_s``, its wall time, and ``peak_mb``, its peak memory.

    Raises `Unavailable` when it fails or takes longer than ``limit`` seconds.
    """
    started = time.perf_counter()
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([str(part) for part in command], env={**os.environ, **(variables or {})}, **pipes) as process:
        watch = MemoryWatch(process.pid)
        watch.start()
        try:
            out, err = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            for pid in list(tree(process.pid)):  # with its workers, or they would go on beside the next program
                os.kill(pid, signal.SIGKILL)
            raise Unavailable(f"stopped after {limit:.0f} s") from None
        finally:
            watch.ended.set()
    if process.returncode:
        raise Unavailable(f"failed: {last_words(err)}")
    try:
        found: dict[str, Any] = json.loads((out.strip().splitlines() or [""])[-1])
    except ValueError:
        raise Unavailable(f"ended without figures: {last_words(err or out)}") from None
    return {**found, "program_s": time.perf_counter() - started, "peak_mb": watch.peak / 1e6}
