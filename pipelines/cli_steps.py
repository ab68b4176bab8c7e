"""Commands that are a step of the job, and the whole job: measure, tier, export, run, gc."""

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli_captions import describe as describe_captions
from pipelines.cli_options import AddressOption, EngineOption, JsonOption, LakeArgument, QuietOption, RateOption, RecipeArgument, SetOption
from pipelines.cli_output import cell, emit_json, emit_rows, fail, out

if TYPE_CHECKING:  # a command loads what it needs when it runs
    from pipelines.export_record import ExportResult


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    for command in (measure, tier, export, run, gc):
        app.command()(command)


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
    """Run operators on samples that lack a current signal. Operators they depend on run first.

    Example: goldsieve measure ./lake phash image_quality --engine inline
    """
    from manifests import open_lake
    from pipelines.progress import Reporter
    from pipelines.run import default_uses, measure_with, recorded_run, sample_sql

    with open_lake(lake, read_only=False) as opened, recorded_run(opened, "measure", None, engine) as (run_id, counts):
        uses = default_uses(operators or (), opened)
        only = sample_sql(sample) if sample else ""
        results = measure_with(opened, uses, engine, address, run_id, Reporter(quiet=quiet), only)
        counts.update(passes=[r.as_dict() for r in results])
        samples, failed = opened.connection.execute('SELECT count(*), count("error") FROM wide').fetchone() or (0, 0)
    if not results:
        out().print("Nothing to measure: every sample has these signals.")
    else:
        emit_rows([result.row() for result in results])
    _check_errors(samples, failed, max_error_rate, lake)


def tier(
    recipe: RecipeArgument,
    overrides: SetOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would move; write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Apply a recipe's rules to what was measured. Takes seconds, and measures nothing.

    Example: goldsieve tier recipe.yaml --set gold.pretty='aesthetic >= 5.5' --dry-run
    """
    from manifests import open_lake
    from pipelines.recipe import load_recipe
    from pipelines.run import recorded_run
    from pipelines.tiering import beware, preview, tier_counts
    from pipelines.tiering import tier as apply_tiers

    loaded = load_recipe(recipe, overrides or ())
    if dry_run:
        with open_lake(loaded.lake) as lake:
            moves = [vars(move) for move in preview(lake, loaded)]
        emit_rows(moves, as_json) if moves or as_json else out().print("Nothing would move.")
        return
    with open_lake(loaded.lake, read_only=False) as lake, recorded_run(lake, "tier", loaded, "inline") as (run_id, counts):
        beware(lake, loaded)
        changed = apply_tiers(lake, loaded, run_id)
        tiers = tier_counts(lake)
        counts.update(tiers=tiers)
    if as_json:
        emit_json(tiers)
        return
    if not changed:
        out().print("The rules and the data are as they were: nothing to do.")
    emit_rows([{"tier": name, "samples": count} for name, count in tiers.items()])


def export(
    recipe: RecipeArgument,
    overrides: SetOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another export in the same folder.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Write the export that a recipe describes. An export that was stopped continues where it left off.

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
    """Ingest, measure, tier and export what a recipe says. Does only what is missing: run it again whenever it stopped.

    Examples:

      goldsieve run recipe.yaml --sample 1000

      goldsieve run recipe.yaml --address auto
    """
    from pipelines.plan import check_recipe, describe_plan
    from pipelines.progress import Reporter
    from pipelines.recipe import load_recipe
    from pipelines.run import run_recipe

    loaded = load_recipe(recipe, overrides or ())
    if dry_run:
        for text in check_recipe(loaded):
            Reporter().say(f"Beware: {text}")
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
            out().print(describe_captions(result.rewritten), markup=False)
        if result.exported:
            out().print(describe_export(result.exported), markup=False)
    _check_errors(result.samples, result.failed, max_error_rate, str(loaded.lake))


def gc(
    lake: LakeArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete files that nothing needs any more: leftovers of killed runs, and small parts that were merged.

    Run it when nobody reads the lake: a query that began before the merge may still use the small parts.

    Example: goldsieve gc ./lake --dry-run
    """
    from manifests import open_lake
    from manifests.upkeep import collect_garbage

    with open_lake(lake, read_only=False) as opened, opened.writing("gc"):
        removed = collect_garbage(opened, dry_run=dry_run)
    if as_json:
        emit_json(removed)
    else:
        out().print(f"{'Would delete' if dry_run else 'Deleted'} {len(removed)} files.")
        for path in removed[:20]:
            out().print(f"  {path}", markup=False)


def describe_export(result: "ExportResult") -> str:
    """One or two sentences about an export."""
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
            f"See them with: goldsieve status {shlex.quote(lake)}",
            1,
        )
