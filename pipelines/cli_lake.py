"""Commands that look after a lake as a whole: migrate, doctor, retry."""

from typing import Annotated

import typer

from manifests.errors import UsageError
from pipelines.cli_options import AddressOption, EngineOption, JsonOption, LakeArgument, QuietOption
from pipelines.cli_output import cell, emit_json, emit_rows, fail, out


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    for command in (migrate, doctor, retry):
        app.command()(command)


def migrate(
    lake: LakeArgument,
    new: Annotated[str, typer.Argument(help="Folder for the new lake; it must not hold one yet.")],
    catalog: Annotated[
        str | None, typer.Option(help="Catalog of the new lake, for example postgresql://user@host/db. Default: SQLite in its folder.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Data of the new lake: a folder or s3://bucket/prefix/.")] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Copy a lake with its whole history to another place, and prove that the copy is equal.

    Row counts and content hashes of every table and view are compared in SQL. If it is stopped, run it again to continue.
    The old lake stays as it is; nothing is measured again in the new one. Media are not copied.

    Example: goldsieve migrate ./lake ./team --catalog postgresql://me@db.example/lake --data s3://bucket/lake/
    """
    from manifests.address import lake_address
    from manifests.copying import copy_lake
    from pipelines.progress import Reporter

    if catalog and not data:
        raise UsageError("A catalog elsewhere needs a data location as well: give --data.")
    target = lake_address(new, data, catalog)
    with Reporter(quiet=quiet).meter("copy", 0, "files") as count:
        done = copy_lake(lake_address(lake), target, lambda _done, _of: count(1, 0))
    rows = [{"relation": name, "rows": of.rows, "hash": of.hash, "equal": True} for name, of in done.relations.items()]
    if as_json:
        emit_json(
            {
                "lake": str(target),
                "files": done.files,
                "bytes": done.bytes,
                "already_there": done.there,
                "lost": done.lost,
                "relations": rows,
            }
        )
        return
    emit_rows(rows)
    if done.lost:
        out().print(f"{cell(done.lost)} files that only older snapshots need are lost in the old lake; those snapshots cannot be read.")
    out().print(
        f"{target}: {cell(done.files)} files copied ({cell(done.bytes)} bytes), {cell(done.there)} were there. All {len(rows)} tables "
        f"and views are equal. Name the new lake in your recipes; remove {lake} when you no longer need it.",
        markup=False,
    )


def doctor(
    lake: Annotated[str | None, typer.Argument(help="Also check this lake.")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Drop rows of lost or broken files that a run makes again; delete orphans.")
    ] = False,
    forget: Annotated[
        list[str] | None, typer.Option(help="With --repair: give up the lost rows of this table, which nothing makes again.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Do not read the lake's files to their end.")] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check the installation, and whether a lake is whole: every file the catalog names, rows, leftovers of killed runs, the lease.

    Exit code 3 when something is wrong. --repair drops the rows of signals whose file is lost or broken, so that the next run measures
    them again. Labels, captions and samples are never given up unless --forget names their table.

    Examples: goldsieve doctor, goldsieve doctor ./lake, goldsieve doctor ./lake --repair
    """
    from pipelines.doctor import examine
    from pipelines.doctor_lake import describe_repair, examine_lake, repair_lake
    from pipelines.progress import Reporter

    if (repair or forget) and lake is None:
        raise UsageError("Which lake? goldsieve doctor LAKE --repair")
    if forget and not repair:
        raise UsageError("--forget gives rows up: it needs --repair.")
    reporter = Reporter(quiet=quiet)
    if repair and lake is not None:
        told = describe_repair(repair_lake(lake, reporter, forget or ()))
        for sentence in told if not as_json else ():
            out().print(sentence, markup=False)
    findings = examine() + (examine_lake(lake, reporter, quick=quick) if lake is not None else [])
    emit_rows([vars(finding) for finding in findings], as_json)
    if not all(finding.ok for finding in findings):
        fail("something is wrong with this installation or lake; the table says what to do.", 3)


def retry(
    lake: LakeArgument,
    operators: Annotated[
        list[str] | None,
        typer.Argument(help="Only these operators' failures ('download': failed URLs). Default: all, and unreadable files."),
    ] = None,
    error: Annotated[str, typer.Option(help="Only failures whose error contains this text, for example 'time limit'.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what failed, by operator and kind of error; change nothing.")] = False,
    engine: EngineOption = "ray",
    address: AddressOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure failed samples again, say after a disk came back, a package was installed or an operator was fixed. Fetches failed URLs too.

    Examples:

      goldsieve retry ./lake --dry-run

      goldsieve retry ./lake image_quality

      goldsieve retry ./lake download

      goldsieve retry ./lake --error 'killed the worker process'
    """
    from manifests import open_lake
    from pipelines.progress import Reporter
    from pipelines.retry import retry_failures
    from pipelines.run import recorded_run
    from quality.failures import failures

    if dry_run:
        with open_lake(lake) as opened:
            found = failures(opened, operators or (), error)
        emit_rows(found if as_json else [{k: v for k, v in row.items() if k != "example"} for row in found], as_json)
        return
    with open_lake(lake, read_only=False) as opened, recorded_run(opened, "retry", None, engine) as (run_id, counts):
        forgotten, results = retry_failures(opened, operators or None, engine, address, run_id, Reporter(quiet=quiet), error)
        counts.update(retried=forgotten, passes=[result.as_dict() for result in results])
        still = opened.value('SELECT count("error") FROM wide')
    if as_json:
        emit_json({"retried": forgotten, "still_failed": still, "passes": [result.as_dict() for result in results]})
        return
    out().print(f"Tried {cell(forgotten)} failed results again; {cell(still)} samples still carry an error.")
    if results:
        emit_rows([result.row() for result in results])
