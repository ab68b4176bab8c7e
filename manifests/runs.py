"""What the manifest remembers of runs."""

import json
import platform
import uuid
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import duckdb

from manifests.outage import outlasting
from manifests.store import Lake


def begin_run(
    lake: Lake, command: str, engine: str, *, recipe: str | None = None, digest: str | None = None, text: str | None = None
) -> uuid.UUID:
    """Record that a run starts; a run that never ends stays 'running' and is shown as interrupted.

    ``recipe``, ``digest``, ``text``: name, digest and YAML text of the recipe it follows, if any.
    """
    run_id = uuid.uuid4()
    versions = {"goldsieve": _version("goldsieve"), "duckdb": duckdb.__version__, "python": platform.python_version()}
    with lake.transaction(f"begin {command}") as connection:
        connection.execute(
            "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'running', NULL, NULL, now(), NULL)",
            [run_id, command, recipe, digest, text, json.dumps(versions), platform.node(), engine],
        )
    return run_id


@outlasting
def end_run(lake: Lake, run_id: uuid.UUID, status: str, counts: Mapping[str, Any]) -> None:
    """Record how a run ended: 'done', 'stopped' or 'failed'."""
    with lake.transaction(f"end run: {status}") as connection:
        connection.execute(
            "UPDATE runs SET status = ?, counts = ?, snapshot = ?, finished_at = now() WHERE run_id = ?",
            [status, json.dumps(counts), lake.snapshot(), run_id],
        )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
