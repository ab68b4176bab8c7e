"""Commands about captions: rewrite, pairs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from manifests.errors import UsageError
from pipelines.cli_options import JsonOption
from pipelines.cli_output import cell, emit_json, emit_rows, fail, out

RecipeArgument = Annotated[Path, typer.Argument(help="The recipe, a YAML file with captions.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Override a setting: captions.budget.max_cost=5.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    for command in (rewrite, pairs):
        app.command()(command)


def rewrite(
    recipe: RecipeArgument,
    overrides: SetOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be asked for and what it would cost; send nothing.")] = False,
    limit: Annotated[int | None, typer.Option(help="At most this many samples, to try a recipe.", min=1)] = None,
    retry_rejected: Annotated[bool, typer.Option("--retry-rejected", help="Ask again for samples that kept their original.")] = False,
    engine: Annotated[
        Literal["inline", "ray"], typer.Option(help="inline: requests leave from this process. ray: from actors of a cluster.")
    ] = "inline",
    address: Annotated[str | None, typer.Option(help="Address of a running Ray cluster.")] = None,
    max_error_rate: Annotated[
        float, typer.Option(help="End with exit code 1 when a larger share of the samples got no answer.", min=0, max=1)
    ] = 0.05,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Rewrite captions as the recipe says, with checks and versions. Does only what is missing; safe to stop at any time.

    Examples:

      goldsieve rewrite recipe.yaml --dry-run

      goldsieve rewrite recipe.yaml --set captions.budget.max_cost=5
    """
    from manifests import open_lake
    from pipelines.captions.connect import Outcome
    from pipelines.captions.job import caption_settings, estimate, rewrite_recipe, wait_for_hours
    from pipelines.progress import Reporter
    from pipelines.recipe import load_recipe
    from pipelines.run import recorded_run

    loaded = load_recipe(recipe, overrides or ())
    caption_settings(loaded)
    if dry_run:
        with open_lake(loaded.lake) as lake:
            lines = estimate(lake, loaded)
        if as_json:
            emit_json(lines)
            return
        emit_rows(lines)
        out().print(f"In all about {sum(line['cost'] for line in lines):.2f}, if every first attempt is accepted; nothing was sent.")
        return
    say = Reporter(quiet=quiet).say
    nights = Outcome()
    while True:
        # The lease is free while it waits for the active hours, so that others can work on the lake by day.
        wait_for_hours(loaded, say)
        with open_lake(loaded.lake, read_only=False) as lake, recorded_run(lake, "rewrite", loaded, engine) as (run_id, counts):
            outcome = rewrite_recipe(
                lake, loaded, run_id, engine=engine, address=address, limit=limit, retry_rejected=retry_rejected, say=say
            )
            counts.update(captions=outcome.as_dict())
        nights += outcome
        if "active hours" not in outcome.stopped or limit:
            break
    total = nights.as_dict()
    emit_json(total) if as_json else out().print(describe(total), markup=False)
    if total["failed"] > max_error_rate * max(total["samples"], 1):
        fail(f"{cell(total['failed'])} of {cell(total['samples'])} samples got no answer; the same command asks for them again.", 1)


def describe(outcome: Mapping[str, Any]) -> str:
    """What a run of rewriting did, in words."""
    seconds = max(outcome["seconds"], 1e-6)
    lines = [
        f"Captions: {cell(outcome['samples'])} samples in {seconds:.1f} s, {cell(outcome['accepted'])} rewritten and accepted, "
        f"{cell(outcome['kept'])} keep their original, {cell(outcome['failed'])} got no answer.",
        f"  {cell(outcome['requests'])} requests, {cell(outcome['from_cache'])} answers from the cache, "
        f"{cell(outcome['tokens_in'] + outcome['tokens_out'])} tokens "
        f"({(outcome['tokens_in'] + outcome['tokens_out']) / seconds:,.0f}/s), cost {outcome['cost']:.4f}",
    ]
    if outcome["rejected_by"]:
        lines.append("  not accepted: " + ", ".join(f"{name} {cell(count)}" for name, count in outcome["rejected_by"].items()))
    if outcome["faults"]:
        lines.append("  faults of servers: " + ", ".join(f"{name} {cell(count)}" for name, count in outcome["faults"].items()))
    if outcome["stopped"]:
        lines.append(f"  stopped: {outcome['stopped']}. Run it again to continue.")
    return "\n".join(lines)


def pairs(
    lake: Annotated[str, typer.Argument(help="The lake's folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The JSONL file.")],
    kind: Annotated[
        Literal["preference", "contrast"],
        typer.Option(help="preference: accepted against rejected captions (DPO). contrast: true against wrong by rule (hard negatives)."),
    ] = "preference",
    where: Annotated[str, typer.Option(help="SQL over wide: only these samples.")] = "",
    seed: Annotated[int, typer.Option(help="Which negatives are drawn.")] = 0,
) -> None:
    """Write preference pairs of captions for training, as JSONL: chosen, rejected, and why.

    Example: goldsieve pairs ./lake --kind preference --where "tier = 'gold'" -o dpo.jsonl
    """
    from manifests import open_lake
    from pipelines.captions.pairs import write_pairs

    if output.suffix.lower() not in (".jsonl", ".json", ".ndjson"):
        raise UsageError(f"{output} does not end in .jsonl; pairs are written as JSON lines.")
    with open_lake(lake) as opened:
        count = write_pairs(opened, output, kind, where, seed)
    out().print(f"Wrote {cell(count)} pairs to {output}", markup=False)
