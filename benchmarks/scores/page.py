"""The scoreboard as a page, and as the JSON file it is made of."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.scores.rows import Part, Row

HEAD = """# Scoreboard

Goldsieve beside other tools: the same input, the same machine and processors, each tool in an environment of its own, one run, one
after the other.

    make bench                                              # all parts, about {minutes} minutes, and this page
    python -m benchmarks.scoreboard --only duplicates       # one part; the others stay as they are
    python -m benchmarks.scoreboard --full                  # larger inputs

**How to read it.** *Rate* is by the clock of the work itself; *program* is the wall time of the whole process, with its start
and imports. *First row against it* is the first row's rate over that of the row: 5.0x means Goldsieve is five times as fast as
that tool, 0.50x half as fast. *Memory* is the peak over all processes of a program, what they share counted once. What is not the
same work stands in the last column; a tool that could not be run has the reason instead of figures. Short runs on few processors:
ratios say more than absolute rates, and differences below a fifth say nothing.

"""
QUIET = 0.4
"""So many processors in use by others before a part, and its figures are marked."""


def render(run: Mapping[str, Any], parts: Sequence[Part]) -> str:
    minutes = max(1, round(sum(part.seconds for part in parts) / 60))
    lines = [HEAD.format(minutes=minutes), f"Machine: {run['machine']}. {run['software']}.\n"]
    if any(part.load[0] > QUIET for part in parts):
        lines.append(
            "**The machine was busy** in the parts marked so: their figures are no results, only a sign that the comparison runs.\n"
        )
    for part in parts:
        lines += table(part)
    return "\n".join(lines).rstrip() + "\n"


def table(part: Part) -> list[str]:
    further = list(dict.fromkeys(name for row in part.rows for name in row.found))
    heads = ["tool", "version", part.unit, "first row against it", *further, "memory, MB", "program, s", "what differs"]
    first = part.rows[0].rate
    load = f"{part.load[0]:.1f} processors in use before it, load {part.load[1]:.1f} after"
    busy = ", **busy machine**" if part.load[0] > QUIET else ""
    lines = [f"## {part.title}\n"]
    if part.given:
        lines.append(f"{part.given}. {part.seconds:.0f} s, {load}{busy}.\n")
    lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in part.rows:
        lines.append("| " + " | ".join(cells(row, first, further)) + " |")
    lines.append("")
    return lines + [f"{note}\n" for note in part.notes]


def cells(row: Row, first: float | None, further: Sequence[str]) -> list[str]:
    if row.missing or row.rate is None:
        return [row.tool, row.version, "-", "-", *("-" for _ in further), "-", "-", escaped(row.missing)]
    ratio = f"{first / row.rate:.2f}x" if first else "-"
    figures = [shown(row.rate), ratio, *(row.found.get(name, "") for name in further), shown(row.memory_mb), shown(row.program_s)]
    return [row.tool, row.version, *figures, escaped(row.differs)]


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def to_json(path: Path, run: Mapping[str, Any], parts: Sequence[Part]) -> None:
    path.write_text(json.dumps({**run, "parts": [asdict(part) for part in parts]}, indent=1) + "\n")


def from_json(path: Path) -> tuple[dict[str, str], list[Part]]:
    """The machine and the parts of an earlier run; none if there is no such file."""
    if not path.exists():
        return {}, []
    run = json.loads(path.read_text())
    parts = [
        Part(**{**part, "rows": tuple(Row(**row) for row in part["rows"]), "notes": tuple(part["notes"]), "load": tuple(part["load"])})
        for part in run.pop("parts")
    ]
    return run, parts
