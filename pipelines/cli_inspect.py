"""Commands that look: status, sql, why, snapshots, verify, operators."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from manifests.errors import UsageError
from pipelines.cli_options import JsonOption, LakeArgument
from pipelines.cli_output import cell, emit_json, emit_rows, fail, out

if TYPE_CHECKING:
    import pyarrow as pa

TITLES = {"time": "where the time went (seconds over all threads)", "slowest": "slowest to read and decode"}


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    for command in (status, sql, why, snapshots, verify, operators):
        app.command()(command)


def status(lake: LakeArgument, as_json: JsonOption = False) -> None:
    """Show samples, tiers, coverage of every operator, failed rules, errors and the last runs.

    Example: goldsieve status ./lake
    """
    from manifests import open_lake
    from quality.status import status as lake_status

    with open_lake(lake) as opened:
        facts = lake_status(opened)
    if as_json:
        emit_json(facts)
        return
    out().print(f"{facts['lake']}: {cell(facts['samples'])} samples, snapshot {facts['snapshot']}", markup=False)
    if facts["vanished"]:
        out().print(f"{cell(facts['vanished'])} samples have vanished from their sources (still in the table samples).")
    for title in ("sources", "tiers", "failed_rules", "operators", "errors", "time", "slowest", "runs", "exports"):
        if facts[title]:
            out().print(f"\n{TITLES.get(title, title.replace('_', ' '))}", style="bold")
            emit_rows(
                [{k: v for k, v in row.items() if k not in ("run_id", "counts", "example", "sample_id", "uri")} for row in facts[title]]
            )


def sql(
    lake: LakeArgument,
    query: Annotated[str, typer.Argument(help="A SELECT over wide, samples, tiers, runs, ...")],
    format: Annotated[Literal["table", "json", "csv", "parquet"], typer.Option(help="How to print the rows.")] = "table",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file; required for parquet.")] = None,
    at: Annotated[int | None, typer.Option(help="Read the lake as of this snapshot; see goldsieve snapshots.")] = None,
    limit: Annotated[int, typer.Option(help="Rows shown as a table.", min=1)] = 100,
) -> None:
    """Query the manifest with SQL. A query can only read, and only from the lake.

    Example: goldsieve sql ./lake "select tier, count(*), avg(sharpness) from wide group by tier"
    """
    import pyarrow.csv
    import pyarrow.parquet

    from manifests import open_lake
    from quality.sql_guard import check_query

    if output and format == "table":
        raise UsageError("A table is for the screen. With --output say --format csv, json or parquet.")
    with open_lake(lake, at=at, confined=True) as opened:
        check_query(opened.connection, query)
        rows = opened.query(query)
    if format == "parquet" and output is None:
        raise UsageError("Parquet is not for the screen: give --output FILE.")
    try:
        if format == "parquet" and output:
            pyarrow.parquet.write_table(rows, output)
        elif format == "csv":
            pyarrow.csv.write_csv(as_text(rows), output or sys.stdout.buffer)
        elif format == "json":
            emit_json(rows.to_pylist()) if output is None else output.write_text(to_json(rows))
    except OSError as error:
        if output is None:
            raise
        raise UsageError(f"{output} cannot be written: {os.strerror(error.errno) if error.errno else error}. Check the path.") from error
    if format == "table":
        emit_rows(rows.slice(0, limit).to_pylist())
        if rows.num_rows > limit:
            out().print(f"... {cell(rows.num_rows - limit)} more rows; raise --limit, or use --format csv|json|parquet.")


def as_text(rows: "pa.Table") -> "pa.Table":
    """Columns that CSV cannot hold (lists, structs) as JSON text."""
    import json

    import pyarrow as pa

    for i, field in enumerate(rows.schema):
        if pa.types.is_nested(field.type):
            texts = [None if v is None else json.dumps(v, default=str, ensure_ascii=False) for v in rows.column(i).to_pylist()]
            rows = rows.set_column(i, field.name, pa.array(texts, type=pa.string()))
    return rows


def to_json(rows: "pa.Table") -> str:
    """The rows as a JSON list of objects."""
    import json

    return json.dumps(rows.to_pylist(), default=str, ensure_ascii=False, indent=2)


def why(
    lake: LakeArgument,
    sample: Annotated[str, typer.Argument(help="The sample's id, key, or the end of its file name.")],
    as_json: JsonOption = False,
) -> None:
    """Explain why a sample is in its tier: its numbers, every rule's verdict, its copies, and where each number came from.

    Example: goldsieve why ./lake IMG_2034
    """
    from manifests import open_lake
    from quality.why import why as story
    from quality.why_text import story_text

    with open_lake(lake) as opened:
        opened.connection.execute("SET threads = 2")  # many small look-ups: handing them out to more costs more than it saves
        found = story(opened, sample)
    emit_json(found.as_dict()) if as_json else out().print(story_text(found), markup=False)


def snapshots(
    lake: LakeArgument,
    limit: Annotated[int, typer.Option(help="How many, latest first.", min=1)] = 30,
    as_json: JsonOption = False,
) -> None:
    """List the lake's snapshots. Any of them can be read with: goldsieve sql LAKE QUERY --at N

    Example: goldsieve snapshots ./lake
    """
    from manifests import open_lake

    with open_lake(lake) as opened:
        rows = opened.rows(
            f"""SELECT snapshot_id AS snapshot, strftime(snapshot_time, '%Y-%m-%d %H:%M:%S') AS time, commit_message AS what
            FROM ducklake_snapshots('lake') ORDER BY snapshot_id DESC LIMIT {int(limit)}"""
        )
    emit_rows(rows, as_json)


def verify(
    directory: Annotated[Path, typer.Argument(help="An export's folder.")],
    decode: Annotated[bool, typer.Option(help="Decode every picture.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Check exported shards: hashes, keys, decodability, the index. Exit code 3 when something is wrong.

    Example: goldsieve verify out/gold
    """
    from pipelines.verify import verify as check

    result = check(directory, decode=decode)
    problems = [vars(problem) for problem in result.problems]
    if as_json:
        emit_json({"ok": result.ok, "shards": result.shards, "samples": result.samples, "problems": problems})
    elif result.ok:
        out().print(f"{directory}: {cell(result.samples)} samples in {cell(result.shards)} shards, all as they were written.", markup=False)
    else:
        emit_rows(problems)
    if not result.ok:
        fail(f"{directory} has {len(problems)} problems.", 3)


def operators(as_json: JsonOption = False) -> None:
    """List the operators, those of installed packages too, with the columns they add, units and meaning.

    Example: goldsieve operators --json
    """
    from operators.catalogue import rows
    from operators.plugins import available

    found = rows([operator() for operator in available().values()])
    emit_rows(found if as_json else [{k: row[k] for k in ("operator", "column", "unit", "doc")} for row in found], as_json)
