"""Commands for looking at samples: report, serve."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli_options import LakeArgument
from pipelines.cli_output import out


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    for command in (report, serve):
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


def serve(
    lake: LakeArgument,
    host: Annotated[str, typer.Option(help="Address to listen on. Beyond loopback, clients need a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8765,
    label: Annotated[bool, typer.Option("--label", help="Store marks and tags in the table labels.")] = False,
    author: Annotated[str, typer.Option(help="Name stored with the labels.")] = "",
    token: Annotated[str | None, typer.Option(help="Token that clients must give. Default: none on loopback, else a random one.")] = None,
) -> None:
    """Browse a lake: filters, SQL results as galleries, the story of every sample, labels, the report.

    Read-only unless --label is given. Ctrl-C ends it.

    Example: goldsieve serve ./lake --label
    """
    from pipelines.web.server import run

    run(lake, host, port, label=label, author=author, token=token, tell=lambda text: out().print(text, markup=False))
