"""Commands for looking at samples: report."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli_output import out

LakeArgument = Annotated[str, typer.Argument(help="The lake's folder.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    for command in (report,):
        app.command()(command)


def report(
    lake: LakeArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file.")] = Path("report.html"),
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Goldsieve report",
) -> None:
    """Write one self-contained HTML page: funnel, thresholds to try, pictures, copies, errors, sources, runs. Opens offline.

    Example: goldsieve report ./lake -o report.html
    """
    from manifests import open_lake
    from pipelines.report import write_report

    with open_lake(lake) as opened:
        out().print(f"Wrote {write_report(opened, output, title)}", markup=False)
