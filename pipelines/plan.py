"""What a run of a recipe would do, and whether it could: looked at before anything is measured."""

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa

from manifests import Lake, create_lake, open_lake
from manifests.errors import LakeMissingError
from manifests.tables import signal_table
from manifests.versions import OperatorVersion
from manifests.wide import current_operators
from pipelines.captions.settings import routes_of
from pipelines.export import refuse_own_source
from pipelines.export_folder import ExportFolder
from pipelines.export_query import export_columns
from pipelines.measure import prepare
from pipelines.passes import plan_passes
from pipelines.recipe import Recipe
from pipelines.sources import guess_kind
from pipelines.sources.spec import expand
from pipelines.tiering import compiled, unmeasured
from quality.sql_guard import relation_columns


def check_fits(lake: Lake, recipe: Recipe) -> None:
    """Raises `SqlError` or `UsageError` for rules, columns and an export folder that do not fit the lake, whose operators are prepared."""
    compiled(lake, recipe.tiers)
    if recipe.export:
        export_columns(lake.query("SELECT * FROM wide LIMIT 0").schema, recipe.export)
        folder = ExportFolder(Path(recipe.export.to))
        if folder.held_plan() is None:  # else it looks at all samples, for which a run with nothing to do has no time
            refuse_own_source(lake, folder.path)


def check_recipe(recipe: Recipe) -> list[str]:
    """What would stop a run before it measures, as the errors of a run; writes nothing. Returns what a run would beware of.

    Conditions and rules are checked on an empty lake that has the operators of the real one, if it is there, and of the recipe.
    """
    for spec in recipe.sources:
        expand(spec.path) if spec.kind else guess_kind(spec.path)
    with tempfile.TemporaryDirectory() as folder, create_lake(folder) as lake:
        with contextlib.suppress(LakeMissingError), open_lake(recipe.lake) as real:
            known = current_operators(real.connection)
            lake.set_current(*(OperatorVersion(o.name, o.fingerprint, o.keyed_by, _schema(real, o.name)) for o in known))
            if recipe.export:
                refuse_own_source(real, Path(recipe.export.to))
        prepare(lake, recipe.operators)
        check_fits(lake, recipe)
        return unmeasured(lake, recipe.tiers)


def _schema(lake: Lake, operator: str) -> pa.Schema:
    """Of an operator's signal table; DuckDB gives ids to Arrow as text."""
    table = signal_table(operator)
    kinds = relation_columns(lake.connection, table)
    fields = lake.query(f"SELECT * FROM {table} LIMIT 0").schema
    return pa.schema([field.with_type(pa.uuid()) if kinds[field.name] == "UUID" else field for field in fields])


def describe_plan(recipe: Recipe) -> list[dict[str, Any]]:
    """What a run of the recipe would do, step by step: sources, passes, rules, export."""
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
