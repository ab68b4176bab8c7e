"""Commands that look after a lake as a whole: migrate."""

from typing import Annotated

import typer

from manifests.errors import UsageError
from pipelines.cli_output import cell, emit_json, emit_rows, out

LakeArgument = Annotated[str, typer.Argument(help="The lake's folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    for command in (migrate,):
        app.command()(command)


def migrate(
    lake: LakeArgument,
    new: Annotated[str, typer.Argument(help="Folder of the new lake; it must have none yet.")],
    catalog: Annotated[
        str | None, typer.Option(help="Catalog of the new lake, for example postgresql://user@host/db. Default: SQLite in its folder.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Data of the new lake: a folder or s3://bucket/prefix/.")] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Copy a lake with its whole history to another place, and prove that the copy is equal.

    Row counts and content hashes of every table and view are compared in SQL. Stopped, it goes on when it is run again.
    The old lake stays as it is; nothing is measured again in the new one. Media are not copied.

    Example: goldsieve migrate ./lake ./team --catalog postgresql://me@db.example/lake --data s3://bucket/lake/
    """
    from manifests.address import lake_address
    from manifests.copying import copy_lake
    from pipelines.progress import Reporter

    if catalog and not data:
        raise UsageError("A catalog of its own needs a data location as well: give --data.")
    target = lake_address(new, data, catalog)
    with Reporter(quiet=quiet).meter("copy", 0, "files") as count:
        done = copy_lake(lake_address(lake), target, lambda _done, _of: count(1, 0))
    rows = [{"relation": name, "rows": of.rows, "hash": of.hash, "equal": True} for name, of in done.relations.items()]
    if as_json:
        emit_json({"lake": str(target), "files": done.files, "bytes": done.bytes, "already_there": done.there, "relations": rows})
        return
    emit_rows(rows)
    out().print(
        f"{target}: {cell(done.files)} files copied ({cell(done.bytes)} bytes), {cell(done.there)} were there. All {len(rows)} tables "
        f"and views are equal. Name the new lake in your recipes; remove {lake} when you no longer need it.",
        markup=False,
    )
