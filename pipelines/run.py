"""The whole job, and each of its steps, as functions. Every command of the command line is a thin skin over one of these."""

import contextlib
import dataclasses
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manifests import Lake, create_lake
from manifests.errors import GoldsieveError, UsageError
from manifests.ingest import IngestResult
from manifests.wide import narrow
from operators import ALL, VIDEO
from operators.catalogue import rows as catalogue_rows
from pipelines import journal
from pipelines.captions.settings import routes_of
from pipelines.data_card import CardFacts
from pipelines.engine import PARTITIONED_ROWS, Engine, EngineName, make_engine
from pipelines.export import ExportResult, export, finished_before
from pipelines.measure import PassResult, measure, prepare
from pipelines.passes import OperatorUse, plan_passes
from pipelines.progress import Reporter
from pipelines.reader import Reader
from pipelines.recipe import Recipe, load_recipe
from pipelines.sources import SourceSpec, guess_kind, list_source, source_name
from pipelines.sources.containers import Held, containers, containers_digest
from quality.funnel import Movement, funnel, movement
from quality.presets import scale_warnings
from quality.rules import Rule, Tiers
from quality.tiers import compile_tiers


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

    @property
    def error_rate(self) -> float:
        """Share of the lake's samples that carry an error."""
        return self.failed / self.samples if self.samples else 0.0


def ingest(lake: Lake, spec: SourceSpec, reporter: Reporter, *, again: bool = True) -> IngestResult:
    """List one source and bring the manifest in line with it. Reads no media; a list of URLs is downloaded first. Hold the lake's lease.

    ``again`` False: a source of archives or tables whose files have not changed since they were listed is not listed again.
    """
    if (spec.kind or guess_kind(spec.path)) == "urls":
        from pipelines.download.start import downloaded

        spec = downloaded(lake.address, spec, reporter)
    name, scope = source_name(spec), str(Path(spec.path).expanduser().absolute())
    files = containers(spec)
    digest = containers_digest(spec, files)
    if not again and files and (known := lake.listed_before(name, scope, digest)):
        whole = "its file is" if len(files) == 1 else f"its {len(files):,} files are"
        reporter.say(f"ingest {name}: {whole} unchanged, {known.unchanged:,} references")
        return known
    held = Held(files)
    with reporter.meter(f"ingest {name}", 0, "references") as count:

        def counted() -> Iterator[Any]:
            for batch in list_source(spec):
                count(batch.num_rows, 0)
                held.add(batch)
                yield batch

        result = lake.ingest(name, scope, counted())
    if files and held.all:
        lake.remember_listing(name, scope, digest)
    return result


def default_uses(names: Sequence[str] = (), lake: Lake | None = None) -> list[OperatorUse]:
    """Operators by name with default settings; without names, the default set for what the lake holds."""
    from operators.plugins import make

    if names:
        return [OperatorUse(make(name)) for name in names]
    held = {row["modality"] for row in lake.rows("SELECT DISTINCT modality FROM refs WHERE NOT vanished")} if lake else {"image"}
    operators = ALL if held != {"video"} else tuple(o for o in ALL if o.reads.modality != "image" and o.name != "near_duplicates")
    return [OperatorUse(operator) for operator in (*operators, *(VIDEO if "video" in held else ()))]


def tier(lake: Lake, recipe: Recipe, run_id: uuid.UUID) -> bool:
    """Apply the recipe's rules, unless they were applied to the same data already. Says whether it wrote anything."""
    warn_of_scales(lake, recipe)
    version = lake.data_version()
    done = lake.rows(
        """SELECT recipe_digest, data_version, recipe = (SELECT arg_max(recipe, applied_at) FROM tierings) AS latest
        FROM tierings WHERE recipe = ?""",
        [recipe.name],
    )
    if done and done[0] == {"recipe_digest": recipe.digest, "data_version": version, "latest": True}:
        return False
    compiled = compile_tiers(lake.connection, guarded(lake, recipe.tiers), narrow=narrow)
    lake.write_tiers(recipe.name, recipe.digest, compiled.tiers.recorded(), compiled.select_sql, run_id, version)
    return True


def protect(lake: Lake, spec: SourceSpec, reporter: Reporter) -> IngestResult:
    """List a source of evaluation pictures and protect it: neither they nor copies of them get into a tier or an export."""
    result = ingest(lake, spec, reporter)
    lake.protect(result.source)
    return result


def guarded(lake: Lake, tiers: Tiers) -> Tiers:
    """The tiers, each with a rule that protected samples and their copies fail, if the lake has protected sources."""
    if not lake.protected():
        return tiers
    rule = Rule("not protected", "not is_protected and not near_protected")
    return Tiers(tuple(dataclasses.replace(t, rules=(rule, *(r for r in t.rules if r.name != rule.name))) for t in tiers.tiers))


def with_protection(lake: Lake, uses: Sequence[OperatorUse]) -> Sequence[OperatorUse]:
    """The operators, and the one that finds copies of protected samples if the lake has any."""
    named = {use.name for use in uses}
    return [*uses, *default_uses(["protected_copies"])] if lake.protected() and "protected_copies" not in named else uses


def warn_of_scales(lake: Lake, recipe: Recipe) -> None:
    """Say so on stderr, quiet or not, when a preset's threshold meets a score that another model made."""
    for text in scale_warnings(lake, recipe.tiers):
        Reporter().say(f"Beware: {text}")


def preview(lake: Lake, recipe: Recipe) -> list[Movement]:
    """What applying the rules would move, without writing."""
    warn_of_scales(lake, recipe)
    compiled = compile_tiers(lake.connection, guarded(lake, recipe.tiers), narrow=narrow)
    return movement(lake.connection, compiled, f"SELECT sample_id, tier FROM {narrow(lake.connection, 'tier')}")


def tier_counts(lake: Lake) -> dict[str, int]:
    """Samples by tier as ``wide`` shows them, most frequent first."""
    # Rows of vanished samples may be among the tiers; to look for them costs a join, and few lakes have any.
    there = "sample_id IN (SELECT sample_id FROM refs WHERE NOT vanished)" if lake.value("SELECT bool_or(vanished) FROM refs") else "true"
    rows = lake.rows(
        f"""WITH latest AS (
            SELECT tier FROM tiers WHERE recipe = (SELECT arg_max(recipe, applied_at) FROM tierings) AND {there})
        SELECT tier, count(*) AS n FROM latest GROUP BY tier
        UNION ALL SELECT 'no tier', (SELECT count(*) FROM refs WHERE NOT vanished) - (SELECT count(*) FROM latest)"""
    )
    counts = {row["tier"]: row["n"] for row in rows if row["n"]}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def export_tier(
    lake: Lake, recipe: Recipe, reporter: Reporter, run_id: uuid.UUID, *, overwrite: bool = False, workers: int = 2
) -> ExportResult:
    """Write the recipe's export. Raises `UsageError` when the recipe has none."""
    if recipe.export is None:
        raise UsageError(f"The recipe {recipe.name} has no export. Add for example: export: {{tier: gold, to: out/gold}}")
    if not overwrite and (done := finished_before(lake, recipe.export, recipe.digest)):
        return done
    compiled = compile_tiers(lake.connection, guarded(lake, recipe.tiers), narrow=narrow)
    facts = CardFacts(
        rules=compiled.tiers.rows(),
        funnel=[{**step} for step in funnel(lake.connection, compiled)],
        columns={row["column"]: (row["doc"], row["unit"]) for row in catalogue_rows()},
    )
    total = lake.value("SELECT count(*) FROM wide WHERE tier = ? AND NOT is_protected", [recipe.export.tier])
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
        run_id = lake.begin_run(
            command, recipe.name if recipe else None, recipe.digest if recipe else None, recipe.text if recipe else None, engine
        )
        counts: dict[str, Any] = {}
        status = "failed"
        try:
            yield run_id, counts
            status = "done"
        except KeyboardInterrupt:
            status = "stopped"
            raise
        finally:
            with contextlib.suppress(GoldsieveError):
                lake.end_run(run_id, status, counts)


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
        ingested = tuple(ingest(lake, spec, reporter, again=False) for spec in recipe.sources)
        uses = with_protection(lake, recipe.operators)
        prepare(lake, uses)
        compile_tiers(lake.connection, guarded(lake, recipe.tiers), narrow=narrow)
        only = sample_sql(sample) if sample else ""
        measured = tuple(measure_with(lake, uses, engine, address, run_id, reporter, only))
        tier(lake, recipe, run_id)
        rewritten = rewrite_captions(lake, recipe, engine, address, run_id, reporter) if recipe.captions and not sample else None
        exported = export_tier(lake, recipe, reporter, run_id, overwrite=overwrite) if recipe.export and not sample else None
        tiers = tier_counts(lake)
        result = RunResult(run_id, ingested, measured, tiers, exported, rewritten, sum(tiers.values()), tiers.get("rejected", 0))
        counts.update(samples=result.samples, failed=result.failed, tiers=dict(tiers), passes=[vars(p) for p in measured])
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


class LazyEngine:
    """An engine that starts at its first use: a run that finds nothing to do never waits for Ray."""

    def __init__(self, name: EngineName, address: str | None) -> None:
        self.name: EngineName = name
        self._address = address
        self._engine: Engine | None = None

    def _start(self) -> Engine:
        if self._engine is None:
            self._engine = make_engine(self.name, self._address)
        return self._engine

    def run(self, *arguments: Any) -> Any:
        return self._start().run(*arguments)

    @property
    def isolated(self) -> Any:
        return self._start().isolated

    def threads(self, gpus: float) -> int:
        return self._start().threads(gpus)

    def grouping(self, *arguments: Any) -> Any:
        return self._start().grouping(*arguments) if self.name == "ray" and arguments[0] >= PARTITIONED_ROWS else None

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None


def retry_failures(
    lake: Lake,
    operators: Sequence[str] | None,
    engine: EngineName,
    address: str | None,
    run_id: uuid.UUID,
    reporter: Reporter,
) -> tuple[int, list[PassResult]]:
    """Fetch failed URLs again, forget failed results and measure them again with the settings they were measured with.

    ``operators``: only these; ``download`` stands for the URLs. Hold the lake's lease.
    """
    from operators.plugins import make

    fetched = 0
    if operators is None:
        try:
            fetched = retry_downloads(lake, reporter)
        except UsageError as error:  # the list is gone, say; what was measured can still be tried again
            reporter.say(f"URLs were not fetched again: {error}")
    elif "download" in operators:
        fetched = retry_downloads(lake, reporter)
        operators = [name for name in operators if name != "download"]
        if not operators:
            return fetched, []
    current = lake.rows(
        "SELECT name, arg_max(settings, recorded_at) AS settings FROM operator_versions WHERE scope = 'batch' GROUP BY name ORDER BY name"
    )
    uses = [OperatorUse(make(row["name"], json.loads(row["settings"]))) for row in current if operators is None or row["name"] in operators]
    unknown = set(operators or ()) - {use.name for use in uses}
    if unknown:
        raise UsageError(f"This lake has no results of {', '.join(sorted(unknown))}; `goldsieve status` lists what it has.")
    forgotten = lake.forget_failures(operators)
    return fetched + forgotten, measure_with(lake, uses, engine, address, run_id, reporter)


def retry_downloads(lake: Lake, reporter: Reporter) -> int:
    """Fetch the failed URLs of all sources again; how many there were. Hold the lake's lease."""
    failed = lake.rows(
        """SELECT regexp_replace(uri, '/[^/]*$', '') AS folder, count(*) AS failed FROM refs
        WHERE "error" IS NOT NULL AND NOT vanished AND uri LIKE '%.tar' GROUP BY folder ORDER BY folder"""
    )
    tried = 0
    for row in failed:
        from pipelines.download.start import download_again  # aiohttp is loaded where there is something to fetch

        if (spec := download_again(Path(row["folder"]), reporter)) is not None:
            ingest(lake, spec, reporter)
            tried += row["failed"]
    return tried


def describe_plan(recipe: Recipe) -> list[dict[str, Any]]:
    """What a run of the recipe would do, step by step, without writing: sources, passes, rules, export."""
    steps = [{"step": "ingest", "what": spec.path} for spec in recipe.sources]
    steps += [{"step": "measure", "what": run.name} for run in plan_passes(recipe.operators)]
    steps += [{"step": f"tier {name}", "what": ", ".join(rules)} for name, rules in recipe.tiers.as_dict().items()]
    if recipe.captions:
        steps += [
            {"step": f"captions {r.name}", "what": f"{r.target}{f' where {r.condition}' if r.condition else ''}"}
            for r in routes_of(recipe.captions)
        ]
    if recipe.export:
        steps.append({"step": "export", "what": f"{recipe.export.tier} to {recipe.export.to}"})
    return steps


def sample_sql(count: int, seed: int = 0) -> str:
    """SQL that is true for ``count`` samples chosen by a hash of their id: the same ones every time."""
    if count < 1:
        raise UsageError("--sample needs a number of at least 1.")
    return f"sample_id IN (SELECT sample_id FROM samples ORDER BY md5(concat(sample_id, {int(seed)})) LIMIT {int(count)})"
