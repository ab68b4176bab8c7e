"""``goldsieve models``: what models there are and which are here; fetching one."""

from typing import Annotated

import typer

from pipelines.cli_options import JsonOption
from pipelines.cli_output import cell, emit_json, out


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    group = typer.Typer(invoke_without_command=True)
    group.callback(invoke_without_command=True)(models)
    group.command()(pull)
    app.add_typer(group, name="models")


def models(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Also the models of open_clip that are not on this machine.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the models on this machine, their sizes and licences, and the heads that can be fetched.

    Examples: goldsieve models; goldsieve models --all --json; goldsieve models pull openclip:ViT-B-32/openai
    """
    if context.invoked_subcommand is not None:
        return
    from operators.models import models as known

    rows = [vars(model) for model in known(every)]
    if as_json:
        emit_json(rows)
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        size = "not here" if row["size"] is None else f"{row['size'] / 1e6:,.1f} MB"
        where = f"\n{'':<{width}}  {row['where']}" if row["where"] else ""
        out().print(f"{row['name']:<{width}}  {size:>10}  {row['kind']}; for {row['used_by']}; {row['licence']}{where}", markup=False)
    out().print("\nLicences are what the publishers state. Fetch one that is not here with: goldsieve models pull NAME", markup=False)


def pull(
    name: Annotated[str, typer.Argument(help="openclip:MODEL/TAG, or the head aesthetic:HEAD/MODEL.")], as_json: JsonOption = False
) -> None:
    """Fetch a model or a head over the network. One that is already here is left as it is.

    Example: goldsieve models pull openclip:ViT-B-32/laion2b_s34b_b79k
    """
    from operators.models import fetch

    file = fetch(name)
    found = {"name": name, "file": str(file), "bytes": file.stat().st_size}
    emit_json(found) if as_json else out().print(f"{name}: {file} ({cell(found['bytes'])} bytes)", markup=False)
