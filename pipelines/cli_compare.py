"""Commands that compare and propose: diff, suggest, dump."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from manifests.errors import UsageError
from pipelines.cli_decide import share
from pipelines.cli_options import JsonOption, LakeArgument, SetOption
from pipelines.cli_output import cell, emit_json, emit_rows, out

if TYPE_CHECKING:
    from manifests import Lake
    from quality.diff import Move


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    for command in (diff, suggest, dump):
        app.command()(command)


def diff(
    lake: LakeArgument,
    before: Annotated[str, typer.Argument(help="A snapshot's number, or a recipe. See goldsieve snapshots.")],
    after: Annotated[str | None, typer.Argument(help="Another snapshot or recipe. Default: the lake as it is now.")] = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what moved between tiers from one snapshot or recipe to another, which rules moved it, and examples.

    --set changes rules of the last recipe named.

    Examples:

      goldsieve diff ./lake 12

      goldsieve diff ./lake recipe.yaml stricter.yaml
    """
    from manifests import open_lake
    from quality.diff import moves, snapshot_sql

    with open_lake(lake) as opened:
        first = after is None and not before.isdigit()  # one recipe: against what the lake has
        older = snapshot_sql(opened, opened.snapshot()) if first else _side(opened, before, [] if after else overrides or [])
        newer = _side(opened, before, overrides or []) if first else _side(opened, after or str(opened.snapshot()), overrides or [])
        found = moves(opened, older, newer)
    if as_json:
        emit_json([as_dict(move) for move in found])
        return
    if not found:
        out().print("No sample is in another tier.")
    for move in found:
        out().print(f"{cell(move.count)} samples: {move.from_tier or 'not there'} -> {move.to_tier or 'gone'}", markup=False, style="bold")
        for cause in move.causes[:12]:
            out().print(f"  {cell(cause.count)} {'now fail' if cause.fails else 'no longer fail'} {cause.rule}", markup=False)
        out().print(f"  for example {', '.join(key or i for i, key in move.examples)}", markup=False)


def as_dict(move: "Move") -> dict[str, Any]:
    """A move as plain JSON data."""
    examples = [{"sample_id": sample_id, "key": key} for sample_id, key in move.examples]
    return {**vars(move), "causes": [vars(cause) for cause in move.causes], "examples": examples}


def _side(lake: "Lake", name: str, overrides: list[str]) -> str:
    """SQL of the tiers that a snapshot's number or a recipe's path stands for."""
    from pipelines.recipe import load_recipe
    from pipelines.tiering import compiled
    from quality.diff import snapshot_sql

    if name.isdigit():
        return snapshot_sql(lake, int(name))
    return compiled(lake, load_recipe(Path(name), overrides).tiers).select_sql


def suggest(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")],
    keep: Annotated[str, typer.Option(help="Wanted share of the readable samples: 0.3 or 30%.")],
    tier: Annotated[str | None, typer.Option(help="The tier. Default: the recipe's last.")] = None,
    signal: Annotated[list[str] | None, typer.Option(help="Move only thresholds on this signal. May be given several times.")] = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Propose thresholds that keep a given share of the lake in a tier: all moved together, and each alone. Writes nothing.

    Example: goldsieve suggest recipe.yaml --keep 30%
    """
    from manifests import open_lake
    from pipelines.recipe import load_recipe
    from pipelines.tiering import guarded
    from quality.suggest import suggest as propose

    wanted = share(keep, "--keep") or 0.0
    loaded = load_recipe(recipe, overrides or ())
    with open_lake(loaded.lake) as lake:
        now, found = propose(lake, guarded(lake, loaded.tiers), wanted, tier, signal or ())
    if as_json:
        emit_json({"now": now, "proposals": [{**vars(p), "share": p.share, "changes": [vars(c) for c in p.changes]} for p in found]})
        return
    if not found:
        raise UsageError(f"No threshold that may move keeps {wanted:.1%}: other rules keep less. The tier holds {now:,} samples now.")
    name, samples = tier or loaded.tiers.names[-1], found[0].samples
    out().print(f"{name} holds {cell(now)} of {cell(samples)} readable samples now ({now / max(1, samples):.1%}).\n", markup=False)
    emit_rows(
        [
            {
                "moved": p.what,
                "keeps": p.kept,
                "share": f"{p.share:.1%}",
                "leave": p.lost,
                "enter": p.won,
                "thresholds": "; ".join(f"{c.signal} {cell(c.now) or 'new'} -> {c.proposed:g}" for c in p.changes),
            }
            for p in found
        ]
    )
    if fresh := [c for c in found[0].changes if c.now is None]:  # --set changes rules, it adds none
        out().print("\nNew rules, for the recipe:", markup=False)
        for change in fresh:
            out().print(f"  {change.tier}: {{{change.rule}: {change.sql}}}", markup=False)
    if fresh == list(found[0].changes):
        return
    out().print("\nSee what would move, for the first:", markup=False)
    sets = " ".join("--set " + shlex.quote(f"{c.tier}.{c.rule}={c.sql}") for c in found[0].changes if c.now is not None)
    out().print(f"  goldsieve diff {loaded.lake} {recipe} {sets}", markup=False)


def dump(
    lake: LakeArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .duckdb file.")] = Path("lake.duckdb"),
    query: Annotated[str | None, typer.Option(help="Only the result of this SELECT, and the samples it names.")] = None,
    thumbnails: Annotated[int, typer.Option(help="Longer side of small pictures, in pixels. 0: none.", min=0, max=1024)] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write everything known as one plain .duckdb file, with the views samples and wide, for any DuckDB client.

    Example: goldsieve dump ./lake -o gold.duckdb --query "select * from wide where tier = 'gold'" --thumbnails 256
    """
    from manifests import open_lake
    from pipelines.thumbnails import small_pictures
    from quality.dump import dump as write

    with open_lake(lake) as opened:
        counts = write(opened, output, query, small_pictures(thumbnails) if thumbnails else None, overwrite)
    if as_json:
        emit_json({"file": str(output), "tables": counts})
        return
    emit_rows([{"table": name, "rows": rows} for name, rows in counts.items()])
    out().print(f"\nWrote {output}", markup=False)
