"""How commands speak: results to stdout as tables or JSON, messages to stderr, errors as sentences."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table


def out() -> Console:
    """The console for results."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def emit_json(value: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n")


def emit_rows(rows: Sequence[Mapping[str, Any]], as_json: bool = False, title: str | None = None) -> None:
    """Rows as a table, or as a JSON list."""
    if as_json:
        emit_json([dict(row) for row in rows])
        return
    if not rows:
        out().print("(no rows)")
        return
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for name in rows[0]:
        number = all(isinstance(row[name], int | float) or row[name] is None for row in rows)
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell(value) for value in row.values()))
    out().print(table, markup=False)


def cell(value: Any) -> str:
    """A value as a person wants to read it; no markup can come from data."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(cell(v) for v in value)
    return str(value).replace("[", "\\[")


def fail(message: str, code: int) -> NoReturn:
    """End with a sentence on stderr."""
    Console(file=sys.stderr, highlight=False, soft_wrap=True).print(f"goldsieve: {message}", markup=False)
    raise typer.Exit(code)


def debugging() -> bool:
    """Whether ``--debug`` was given: then errors keep their tracebacks."""
    return os.environ.get("GOLDSIEVE_DEBUG") == "1"
