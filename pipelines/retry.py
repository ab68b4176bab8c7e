"""What failed, tried again: URLs are fetched, results measured with the settings they had."""

import json
import uuid
from collections.abc import Sequence
from pathlib import Path

from manifests import Lake
from manifests.errors import UsageError
from manifests.upkeep import forget_failures
from pipelines.engine import EngineName
from pipelines.ingest import ingest
from pipelines.measure import PassResult
from pipelines.passes import OperatorUse
from pipelines.progress import Reporter
from pipelines.run import measure_with

DOWNLOAD = "download"
"""Stands for failed URLs among names of operators."""


def retry_failures(
    lake: Lake,
    operators: Sequence[str] | None,
    engine: EngineName,
    address: str | None,
    run_id: uuid.UUID,
    reporter: Reporter,
    error: str = "",
) -> tuple[int, list[PassResult]]:
    """Fetch failed URLs again, forget failed results and measure them again; how many there were. Hold the lake's lease.

    ``operators``: only these; `DOWNLOAD` stands for the URLs. ``error``: only failures that have this text; then no URL is fetched unless
    `DOWNLOAD` is named, and then all failed ones are.
    """
    from operators.plugins import make

    fetched = 0
    if operators is None and not error:
        try:
            fetched = retry_downloads(lake, reporter)
        except UsageError as lost:  # the list is gone, say; what was measured can still be tried again
            reporter.say(f"URLs were not fetched again: {lost}")
    elif operators and DOWNLOAD in operators:
        fetched = retry_downloads(lake, reporter)
        operators = [name for name in operators if name != DOWNLOAD]
        if not operators:
            return fetched, []
    current = lake.rows(
        "SELECT name, arg_max(settings, recorded_at) AS settings FROM operator_versions WHERE scope = 'batch' GROUP BY name ORDER BY name"
    )
    uses = [OperatorUse(make(row["name"], json.loads(row["settings"]))) for row in current if operators is None or row["name"] in operators]
    unknown = set(operators or ()) - {use.name for use in uses}
    if unknown:
        raise UsageError(f"This lake has no results of {', '.join(sorted(unknown))}; `goldsieve status` lists what it has.")
    forgotten = forget_failures(lake, operators, error)
    return fetched + forgotten, measure_with(lake, uses, engine, address, run_id, reporter)


def retry_downloads(lake: Lake, reporter: Reporter) -> int:
    """Fetch the failed URLs of all sources again; how many there were. Hold the lake's lease."""
    failed = lake.rows(
        """SELECT regexp_replace(uri, '/[^/]*$', '') AS folder, count(*) AS failed FROM refs
        WHERE "error" IS NOT NULL AND NOT vanished AND uri LIKE '%.tar' GROUP BY folder ORDER BY folder"""
    )
    tried = 0
    for row in failed:
        from pipelines.download.start import download_again  # aiohttp is loaded where there is something to fetch

        if (spec := download_again(Path(row["folder"]), reporter)) is not None:
            ingest(lake, spec, reporter)
            tried += row["failed"]
    return tried
