"""The whole job, and each of its steps, as functions. Every command of the command line is a thin skin over one of these."""

import contextlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manifests import Lake, create_lake
from manifests.errors import GoldsieveError, UsageError
from manifests.ingest import IngestResult
from manifests.runs import begin_run, end_run
from manifests.wide import narrow
from operators import ALL, VIDEO
from operators.catalogue import rows as catalogue_rows
from pipelines import journal
from pipelines.data_card import CardFacts
from pipelines.engine import EngineName, LazyEngine
from pipelines.export import export
from pipelines.export_record import ExportResult, finished_before
from pipelines.ingest import ingest
from pipelines.measure import PassResult, measure, prepare
from pipelines.passes import OperatorUse
from pipelines.plan import check_fits
from pipelines.progress import Reporter
from pipelines.reader import Reader
from pipelines.recipe import Recipe, load_recipe
from pipelines.run_log import event, run_log
from pipelines.tiering import beware, compiled, tier, tier_counts
from quality.funnel import funnel


@dataclass(frozen=True)
class RunResult:
    """What a run did. ``measured`` is empty and ``exported`` None where nothing was left to do."""

    run_id: uuid.UUID
    ingested: tuple[IngestResult, ...] = ()
    measured: tuple[PassResult, ...] = ()
    tiers: Mapping[str, int] = field(default_factory=dict)
    exported: ExportResult | None = None
    rewritten: Mapping[str, Any] | None = None
    samples: int = 0
    failed: int = 0


def default_uses(names: Sequence[str] = (), lake: Lake | None = None) -> list[OperatorUse]:
    """Operators by name with default settings; without names, the default set for what the lake holds."""
    from operators.plugins import make

    if names:
        return [OperatorUse(make(name)) for name in names]
    held = {row["modality"] for row in lake.rows("SELECT DISTINCT modality FROM refs WHERE NOT vanished")} if lake else {"image"}
    operators = ALL if held != {"video"} else tuple(o for o in ALL if o.reads.modality != "image" and o.name != "near_duplicates")
    return [OperatorUse(operator) for operator in (*operators, *(VIDEO if "video" in held else ()))]


def with_protection(lake: Lake, uses: Sequence[OperatorUse]) -> Sequence[OperatorUse]:
    """The operators, and the one that finds copies of protected samples if the lake has any."""
    named = {use.name for use in uses}
    return [*uses, *default_uses(["protected_copies"])] if lake.protected() and "protected_copies" not in named else uses


def export_tier(
    lake: Lake, recipe: Recipe, reporter: Reporter, run_id: uuid.UUID, *, overwrite: bool = False, workers: int = 3
) -> ExportResult:
    """Write the recipe's export. Raises `UsageError` when the recipe has none."""
    if recipe.export is None:
        raise UsageError(f"The recipe {recipe.name} has no export. Add for example: export: {{tier: gold, to: out/gold}}")
    if not overwrite and (done := finished_before(lake, recipe.export, recipe.digest)):
        return done
    rules = compiled(lake, recipe.tiers)
    facts = CardFacts(
        rules=rules.tiers.rows(),
        funnel=[{**step} for step in funnel(lake.connection, rules)],
        columns={row["column"]: (row["doc"], row["unit"]) for row in catalogue_rows()},
    )
    total = lake.value(
        f"SELECT count(*) FROM {narrow(lake.connection, 'tier is_protected')} WHERE tier = ? AND NOT is_protected", [recipe.export.tier]
    )
    with reporter.meter(f"export {recipe.export.tier}", total) as count, Reader() as reader:
        last = 0

        def progress(done: int, _total: int) -> None:
            nonlocal last
            count(done - last, 0)
            last = done

        return export(
            lake,
            recipe.export,
            recipe.name,
            recipe.digest,
            read=reader.read,
            open_video=reader.video,
            facts=facts,
            run_id=str(run_id),
            workers=workers,
            overwrite=overwrite,
            progress=progress,
        )


@contextlib.contextmanager
def recorded_run(lake: Lake, command: str, recipe: Recipe | None, engine: str) -> Iterator[tuple[uuid.UUID, dict[str, Any]]]:
    """Hold the lake's lease and record the run and how it ended; the body fills the counts."""
    with lake.writing(command):
        known = {"recipe": recipe.name, "digest": recipe.digest, "text": recipe.text} if recipe else {}
        run_id = begin_run(lake, command, engine, **known)
        counts: dict[str, Any] = {}
        status = "failed"
        facts = {"recipe": recipe.name, "recipe_digest": recipe.digest} if recipe else {}
        try:
            with run_log(lake, run_id, command=command, engine=engine, **facts):
                yield run_id, counts
                event("counts", **{name: value for name, value in counts.items() if name != "passes"})
            status = "done"
        except KeyboardInterrupt:
            status = "stopped"
            raise
        finally:
            with contextlib.suppress(GoldsieveError):
                end_run(lake, run_id, status, counts)


def run_recipe(
    recipe: Recipe | Path | str,
    *,
    engine: EngineName = "ray",
    address: str | None = None,
    sample: int | None = None,
    reporter: Reporter | None = None,
    overwrite: bool = False,
) -> RunResult:
    """Ingest, measure, tier and export what the recipe says; only what is missing is done.

    ``sample``: measure a seeded random part of so many samples first, into the same lake; then nothing is exported.
    Raises `RecipeError` for an invalid recipe, `LakeBusyError` while another run writes, `MeasureError` when an
    operator failed on everything. A run that was stopped in any way goes on where it was.
    """
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    reporter = reporter or Reporter()
    with create_lake(recipe.lake) as lake, recorded_run(lake, "run", recipe, engine) as (run_id, counts):
        ingested = tuple(lake.outlast(lambda: ingest(lake, spec, reporter, again=False)) for spec in recipe.sources)  # noqa: B023
        uses = with_protection(lake, recipe.operators)
        prepare(lake, uses)
        check_fits(lake, recipe)
        beware(lake, recipe)
        only = sample_sql(sample) if sample else ""
        measured = tuple(measure_with(lake, uses, engine, address, run_id, reporter, only))
        lake.outlast(lambda: tier(lake, recipe, run_id))
        rewritten = rewrite_captions(lake, recipe, engine, address, run_id, reporter) if recipe.captions and not sample else None
        exported = None
        if recipe.export and not sample:
            exported = lake.outlast(lambda: export_tier(lake, recipe, reporter, run_id, overwrite=overwrite))
        tiers = lake.outlast(lambda: tier_counts(lake))
        result = RunResult(run_id, ingested, measured, tiers, exported, rewritten, sum(tiers.values()), tiers.get("rejected", 0))
        counts.update(samples=result.samples, failed=result.failed, tiers=dict(tiers), passes=[p.as_dict() for p in measured])
        counts.update({"captions": rewritten} if rewritten else {})
    return result


def rewrite_captions(
    lake: Lake, recipe: Recipe, engine: EngineName, address: str | None, run_id: uuid.UUID, reporter: Reporter
) -> dict[str, Any]:
    """The recipe's captions, to their end or their budget's; outside the active hours it waits. See `pipelines.captions`."""
    from pipelines.captions.connect import Outcome
    from pipelines.captions.job import rewrite_recipe, wait_for_hours

    nights = Outcome()
    while True:
        wait_for_hours(recipe, reporter.say)
        nights += rewrite_recipe(lake, recipe, run_id, engine=engine, address=address, say=reporter.say)
        if "active hours" not in nights.stopped:
            return nights.as_dict()


def measure_with(
    lake: Lake,
    uses: Sequence[OperatorUse],
    engine: EngineName,
    address: str | None,
    run_id: uuid.UUID,
    reporter: Reporter,
    only: str = "",
) -> list[PassResult]:
    """`pipelines.measure.measure` with an engine that is started for it, and only if there is something to do."""
    lazily = LazyEngine(engine, address)
    try:
        return measure(lake, uses, lazily, run_id, reporter, only)
    except KeyboardInterrupt:
        lazily.close()
        journal.clear(lake.notes)  # these workers did not die of a sample
        raise
    finally:
        lazily.close()


def sample_sql(count: int, seed: int = 0) -> str:
    """SQL that is true for ``count`` samples chosen by a hash of their id: the same ones every time."""
    if count < 1:
        raise UsageError("--sample needs a number of at least 1.")
    return f"sample_id IN (SELECT sample_id FROM samples ORDER BY md5(concat(sample_id, {int(seed)})) LIMIT {int(count)})"
