"""The command ``goldsieve``. Every command is a thin skin over one function; heavy packages load when a command needs them."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from manifests.errors import GoldsieveError, Interrupted, UsageError
from pipelines import cli_captions, cli_compare, cli_decide, cli_inspect, cli_look, cli_models
from pipelines.cli_output import cell, debugging, emit_json, emit_rows, fail, out

Kind = Literal["folder", "webdataset", "parquet", "csv", "jsonl", "coco", "llava", "urls", "video"]
EngineOption = Annotated[Literal["ray", "inline"], typer.Option(help="ray: Ray Data, local or a cluster. inline: threads in this process.")]
AddressOption = Annotated[str | None, typer.Option(help="Address of a running Ray cluster, for example ray://head:10001 or auto.")]
LakeArgument = Annotated[str, typer.Argument(help="The lake's folder.")]
RecipeArgument = Annotated[Path, typer.Argument(help="The recipe, a YAML file.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Override a rule or setting: gold.pretty='aesthetic >= 5.5'.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RateOption = Annotated[float, typer.Option(help="End with exit code 1 when a larger share of the samples failed.", min=0, max=1)]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


class Commands(TyperGroup):
    """Ends with a sentence when the user presses Ctrl-C; Typer would say nothing."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "Query interrupted" not in str(error):  # DuckDB's way to say the same
                raise
            raise Interrupted("stopped. Finished work is stored; run the same command again to go on.") from None


app = typer.Typer(
    name="goldsieve",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help=(
        "Curate multimodal training data: measure every sample once, sort it into bronze, silver and gold by SQL rules, "
        "export WebDataset shards.\n\n"
        "Examples:\n\n"
        "  goldsieve demo demo                  the whole job on pictures that are already here\n\n"
        "  goldsieve run recipe.yaml            ingest, measure, tier, export; run it again to go on\n\n"
        "  goldsieve status ./lake              how far it got\n\n"
        "  goldsieve why ./lake KEY             why a sample is where it is\n\n"
        "Exit codes: 0 done; 1 done, but too many samples failed; 2 wrong use or invalid recipe; 3 stopped by an error, safe to rerun; "
        "130 stopped with Ctrl-C, safe to rerun."
    ),
)


@app.callback()
def options(debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False) -> None:
    if debug:
        os.environ["GOLDSIEVE_DEBUG"] = "1"


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument(help="Where the demo's data, lake, shards and report go.")] = Path("goldsieve-demo"),
    engine: EngineOption = "inline",
    video: Annotated[bool, typer.Option("--video", help="Films instead of pictures: shots, moves, clips.")] = False,
) -> None:
    """Run the whole job on a small labelled data set, offline, and print what was caught and missed.

    Examples: goldsieve demo demo, goldsieve demo demo-video --video
    """
    if video:
        from pipelines.demo_video import describe_video, run_video_demo

        out().print(describe_video(run_video_demo(directory, engine=engine)), markup=False)
        return
    from pipelines.demo import describe, run_demo

    out().print(describe(run_demo(directory, engine=engine)), markup=False)


@app.command()
def init(
    lake: LakeArgument,
    catalog: Annotated[
        str | None, typer.Option(help="Catalog database, for example postgresql://user@host/db. Default: SQLite in the lake.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Where Parquet data goes: a folder or s3://bucket/prefix/.")] = None,
) -> None:
    """Create a lake. An existing one is left as it is.

    A team shares a lake that has its catalog in PostgreSQL and its data in an object store; each machine has a folder that says where.
    Passwords and keys come from the environment (PGPASSWORD, ~/.pgpass, AWS_...).

    Example: goldsieve init ./lake

    Example: goldsieve init ./team --catalog postgresql://me@db.example/lake --data s3://bucket/lake/
    """
    from manifests.address import lake_address
    from manifests.store import create_lake

    if catalog and not data:
        raise UsageError("A catalog of your own needs a data location as well: give --data.")
    with create_lake(lake_address(lake, data, catalog)) as made:
        out().print(f"Lake ready: {made.address}", markup=False)


@app.command()
def ingest(
    lake: LakeArgument,
    path: Annotated[str, typer.Argument(help="Folder, tar, table or annotation file; globs and {00000..00099} in quotes.")],
    kind: Annotated[Kind | None, typer.Option(help="Default: guessed from the path.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the source. Default: the folder's or file's name.")] = None,
    media_column: Annotated[str | None, typer.Option(help="Table column with the path or the bytes.")] = None,
    caption_column: Annotated[str | None, typer.Option(help="Table column with the caption.")] = None,
    key_column: Annotated[str | None, typer.Option(help="Table column with the key.")] = None,
    download: Annotated[
        list[str] | None, typer.Option(help="How a list of URLs is fetched: NAME=VALUE, for example per_host=4. See docs/sources.md.")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Add a source to a lake: references, captions and metadata; no picture is read yet. A list of URLs is downloaded first.

    Run it again after the source changed: new samples are added, changed ones replaced, vanished ones reported. A download that was
    stopped goes on where it was; goldsieve retry fetches failed URLs again.

    Example: goldsieve ingest ./lake 'crawl/{00000..00099}.tar' --name crawl

    Example: goldsieve ingest ./lake laion.parquet --kind urls --download per_host=4
    """
    from manifests.store import create_lake
    from pipelines.download.options import read_options
    from pipelines.progress import Reporter
    from pipelines.run import ingest as ingest_source
    from pipelines.run import recorded_run
    from pipelines.sources import SourceSpec

    settings = read_options(download) if download else None
    spec = SourceSpec(path, kind, name, media_column, caption_column, key_column, download=settings)
    with create_lake(lake) as opened, recorded_run(opened, "ingest", None, "inline") as (_, counts):
        result = ingest_source(opened, spec, Reporter(quiet=quiet))
        counts.update(vars(result))
    emit_rows([vars(result)])


@app.command()
def protect(
    lake: LakeArgument,
    path: Annotated[str, typer.Argument(help="Evaluation pictures: folder, tar, table or annotation file, as for ingest.")],
    name: Annotated[str | None, typer.Option(help="Name of the set. Default: the folder's or file's name.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Default: guessed from the path.")] = None,
    quiet: QuietOption = False,
) -> None:
    """Protect an evaluation set: its pictures are never exported, and no copy of them gets into a tier.

    The next `goldsieve run` (or `measure LAKE protected_copies`, then `tier`) finds the copies.

    Example: goldsieve protect ./lake imagenet/val --name imagenet-val
    """
    from manifests.store import create_lake
    from pipelines.progress import Reporter
    from pipelines.run import protect as protect_source
    from pipelines.run import recorded_run
    from pipelines.sources import SourceSpec

    with create_lake(lake) as opened, recorded_run(opened, "protect", None, "inline") as (_, counts):
        result = protect_source(opened, SourceSpec(path, kind, name), Reporter(quiet=quiet))
        counts.update(vars(result))
        total = opened.value("SELECT count(*) FROM wide WHERE is_protected")
    emit_rows([vars(result)])
    out().print(f"{cell(total)} samples of the lake are protected. Run your recipe again: it finds the copies among the others.")


@app.command()
def measure(
    lake: LakeArgument,
    operators: Annotated[
        list[str] | None, typer.Argument(help="Operators; default: all that need no model. See goldsieve operators.")
    ] = None,
    engine: EngineOption = "ray",
    address: AddressOption = None,
    sample: Annotated[int | None, typer.Option(help="Measure only this many samples, chosen by a seeded hash.", min=1)] = None,
    max_error_rate: RateOption = 0.05,
    quiet: QuietOption = False,
) -> None:
    """Run operators on what lacks a current signal; what they depend on runs first.

    Example: goldsieve measure ./lake phash image_quality --engine inline
    """
    from manifests import open_lake
    from pipelines.progress import Reporter
    from pipelines.run import default_uses, measure_with, recorded_run, sample_sql

    with open_lake(lake, read_only=False) as opened, recorded_run(opened, "measure", None, engine) as (run_id, counts):
        uses = default_uses(operators or (), opened)
        only = sample_sql(sample) if sample else ""
        results = measure_with(opened, uses, engine, address, run_id, Reporter(quiet=quiet), only)
        counts.update(passes=[vars(r) for r in results])
        samples, failed = opened.connection.execute('SELECT count(*), count("error") FROM wide').fetchone() or (0, 0)
    if not results:
        out().print("Nothing to measure: every sample has these signals.")
    else:
        emit_rows([vars(result) for result in results])
    _check_errors(samples, failed, max_error_rate, lake)


@app.command()
def tier(
    recipe: RecipeArgument,
    overrides: SetOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would move; write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Apply a recipe's rules to what is measured. Takes seconds; measures nothing.

    Example: goldsieve tier recipe.yaml --set gold.pretty='aesthetic >= 5.5' --dry-run
    """
    from manifests import open_lake
    from pipelines.recipe import load_recipe
    from pipelines.run import preview, recorded_run, tier_counts
    from pipelines.run import tier as apply_tiers

    loaded = load_recipe(recipe, overrides or ())
    if dry_run:
        with open_lake(loaded.lake) as lake:
            moves = [vars(move) for move in preview(lake, loaded)]
        emit_rows(moves, as_json) if moves or as_json else out().print("Nothing would move.")
        return
    with open_lake(loaded.lake, read_only=False) as lake, recorded_run(lake, "tier", loaded, "inline") as (run_id, counts):
        changed = apply_tiers(lake, loaded, run_id)
        tiers = tier_counts(lake)
        counts.update(tiers=tiers)
    if as_json:
        emit_json(tiers)
        return
    if not changed:
        out().print("The rules and the data are as they were: nothing to do.")
    emit_rows([{"tier": name, "samples": count} for name, count in tiers.items()])


@app.command()
def export(
    recipe: RecipeArgument,
    overrides: SetOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another export in the same folder.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Write the export that a recipe describes. A stopped export goes on where it was.

    Example: goldsieve export recipe.yaml --set export.to=out/gold-v2
    """
    from manifests import open_lake
    from pipelines.progress import Reporter
    from pipelines.recipe import load_recipe
    from pipelines.run import export_tier, recorded_run

    loaded = load_recipe(recipe, overrides or ())
    with open_lake(loaded.lake, read_only=False) as lake, recorded_run(lake, "export", loaded, "inline") as (run_id, counts):
        result = export_tier(lake, loaded, Reporter(quiet=quiet), run_id, overwrite=overwrite)
        counts.update(samples=result.samples, bytes=result.bytes)
    out().print(describe_export(result), markup=False)


@app.command()
def run(
    recipe: RecipeArgument,
    engine: EngineOption = "ray",
    address: AddressOption = None,
    overrides: SetOption = None,
    sample: Annotated[
        int | None, typer.Option(help="Try the recipe on this many samples first, into the same lake; exports nothing.", min=1)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the recipe and say what would be done; write nothing.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another export in the same folder.")] = False,
    max_error_rate: RateOption = 0.05,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Ingest, measure, tier and export what a recipe says. Does only what is missing; run it again after any stop.

    Examples:

      goldsieve run recipe.yaml --sample 1000

      goldsieve run recipe.yaml --address auto
    """
    from pipelines.progress import Reporter
    from pipelines.recipe import load_recipe
    from pipelines.run import describe_plan, run_recipe

    loaded = load_recipe(recipe, overrides or ())
    if dry_run:
        plan = describe_plan(loaded)
        emit_json(plan) if as_json else emit_rows(plan)
        return
    result = run_recipe(loaded, engine=engine, address=address, sample=sample, reporter=Reporter(quiet=quiet), overwrite=overwrite)
    if as_json:
        emit_json(
            {
                "samples": result.samples,
                "failed": result.failed,
                "tiers": dict(result.tiers),
                "captions": result.rewritten,
                "run_id": result.run_id,
            }
        )
    else:
        emit_rows([vars(r) for r in result.ingested])
        emit_rows([{"tier": name, "samples": count} for name, count in result.tiers.items()])
        if not result.measured:
            out().print("Nothing was left to measure.")
        if result.rewritten:
            out().print(cli_captions.describe(result.rewritten), markup=False)
        if result.exported:
            out().print(describe_export(result.exported), markup=False)
    _check_errors(result.samples, result.failed, max_error_rate, str(loaded.lake))


@app.command()
def retry(
    lake: LakeArgument,
    operators: Annotated[
        list[str] | None, typer.Argument(help="Only failures of these operators; download: of URLs. Default: all, and unreadable files.")
    ] = None,
    engine: EngineOption = "ray",
    address: AddressOption = None,
    quiet: QuietOption = False,
) -> None:
    """Measure again what failed: after a disk came back, a package was installed, an operator mended. Failed URLs are fetched again.

    Example: goldsieve retry ./lake image_quality

    Example: goldsieve retry ./lake download
    """
    from manifests import open_lake
    from pipelines.progress import Reporter
    from pipelines.run import recorded_run, retry_failures

    with open_lake(lake, read_only=False) as opened, recorded_run(opened, "retry", None, engine) as (run_id, counts):
        forgotten, results = retry_failures(opened, operators or None, engine, address, run_id, Reporter(quiet=quiet))
        counts.update(retried=forgotten)
        still = opened.value('SELECT count("error") FROM wide')
    out().print(f"Tried {cell(forgotten)} failed results again; {cell(still)} samples still carry an error.")
    if results:
        emit_rows([vars(result) for result in results])


@app.command()
def gc(
    lake: LakeArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete files that nothing needs any more: what killed runs left behind, and small parts that were merged.

    Run it when nobody reads the lake: a query that began before the merge may still use the small parts.

    Example: goldsieve gc ./lake --dry-run
    """
    from manifests import open_lake

    with open_lake(lake, read_only=False) as opened, opened.writing("gc"):
        removed = opened.collect_garbage(dry_run=dry_run)
    if as_json:
        emit_json(removed)
    else:
        out().print(f"{'Would delete' if dry_run else 'Deleted'} {len(removed)} files.")
        for path in removed[:20]:
            out().print(f"  {path}", markup=False)


cli_inspect.register(app)
cli_decide.register(app)
cli_captions.register(app)
cli_look.register(app)
cli_compare.register(app)
cli_models.register(app)


def describe_export(result: object) -> str:
    """One or two sentences about an export."""
    from pipelines.export import ExportResult

    assert isinstance(result, ExportResult)
    text = f"Export {result.directory}: {cell(result.samples)} samples, {cell(result.bytes)} bytes, {len(result.shards)} shards"
    text += " (nothing to do)." if not result.written else "."
    if result.left_out:
        text += (
            f"\n{len(result.left_out)} samples were left out because their files changed or are gone; README.md in the folder lists them."
        )
    return text


def _check_errors(samples: int, failed: int, limit: float, lake: str) -> None:
    if samples and failed / samples > limit:
        fail(
            f"{failed:,} of {samples:,} samples carry an error ({failed / samples:.1%}, more than {limit:.1%} allowed). "
            f"See them with: goldsieve status {lake}",
            1,
        )


def main() -> None:
    """Entry point of the console script."""
    try:
        app(standalone_mode=True)
    except GoldsieveError as error:
        if debugging():
            raise
        _end(str(error), error.exit_code)
    except BrokenPipeError:
        os._exit(0)  # the reader of our output is gone, as with `| head`
    except MemoryError:
        _end("out of memory. Finished work is stored; run the same command again to go on.", 3)
    except OSError as error:
        if debugging():
            raise
        _end(f"{error.strerror or error} ({error.filename or 'no file named'}). Finished work is stored; mend that and run again.", 3)
    except Exception as error:
        if debugging():
            raise
        _end(f"unexpected {type(error).__name__}: {error}. Finished work is stored. --debug shows where it happened.", 3)


def _end(message: str, code: int) -> None:
    sys.stderr.write(f"goldsieve: {message}\n")
    sys.exit(code)
