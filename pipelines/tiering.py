"""A recipe's rules applied to a lake, and what they would move."""

import dataclasses
import uuid

from manifests import Lake
from manifests.changes import data_version
from manifests.errors import SqlError
from manifests.schema import WIDE_ALWAYS
from manifests.wide import current_operators, narrow, wide_columns
from operators.catalogue import rows as catalogue_rows
from pipelines.progress import Reporter
from pipelines.recipe import Recipe
from quality.funnel import Movement, movement
from quality.presets import scale_warnings
from quality.rules import Rule, Tiers
from quality.sql_guard import check_syntax, used_columns
from quality.tiers import CompiledTiers, compile_tiers, expressions


def tier(lake: Lake, recipe: Recipe, run_id: uuid.UUID) -> bool:
    """Apply the recipe's rules, unless they were applied to the same data already. Says whether it wrote anything."""
    version = data_version(lake)
    done = lake.rows(
        """SELECT recipe_digest, data_version, recipe = (SELECT arg_max(recipe, applied_at) FROM tierings) AS latest
        FROM tierings WHERE recipe = ?""",
        [recipe.name],
    )
    if done and done[0] == {"recipe_digest": recipe.digest, "data_version": version, "latest": True}:
        return False
    rules = compiled(lake, recipe.tiers)
    lake.write_tiers(recipe.name, recipe.digest, rules.tiers.recorded(), rules.select_sql, run_id, version)
    return True


def compiled(lake: Lake, tiers: Tiers) -> CompiledTiers:
    """The rules as SQL over the lake, with that of `guarded`. Raises `SqlError` that says what to add for columns nobody measured."""
    try:
        return compile_tiers(lake.connection, guarded(lake, tiers), narrow=narrow)
    except SqlError as error:
        adds = operator_by_column()
        lacking = dict.fromkeys(adds[column] for column in error.unknown if column in adds)
        advice = f"\nAdd to the operators, which measure what these rules read: {', '.join(lacking)}." if lacking else ""
        raise SqlError(f"{error}{advice}", error.unknown) from None


def operator_by_column() -> dict[str, str]:
    """The operator that measures a column; of several the first in the catalogue."""
    return {row["column"]: row["operator"] for row in reversed(catalogue_rows())}


def guarded(lake: Lake, tiers: Tiers) -> Tiers:
    """The tiers, each with a rule that protected samples and their copies fail, if the lake has protected sources."""
    if not lake.protected():
        return tiers
    rule = Rule("not protected", "not is_protected and not near_protected")
    return Tiers(tuple(dataclasses.replace(t, rules=(rule, *(r for r in t.rules if r.name != rule.name))) for t in tiers.tiers))


def beware(lake: Lake, recipe: Recipe) -> None:
    """Say so on stderr, quiet or not, when a rule reads what nobody measured, or a preset's threshold meets a score of another model."""
    for text in [*unmeasured(lake, recipe.tiers), *scale_warnings(lake, recipe.tiers)]:
        Reporter().say(f"Beware: {text}")


def unmeasured(lake: Lake, tiers: Tiers) -> list[str]:
    """A sentence for every rule on a column that ``wide`` always has, but that no operator of this lake fills."""
    missing = WIDE_ALWAYS.keys() - wide_columns(current_operators(lake.connection)).keys()
    adds = operator_by_column()
    return [
        f"Rule {tier.name}.{rule.name} reads {column}, which is unknown for every sample: add {adds[column]} to the operators."
        for tier in tiers.tiers
        for rule in tier.rules
        for column in sorted({c for sql, _ in expressions(rule) for c in used_columns(check_syntax(sql), WIDE_ALWAYS)} & missing)
    ]


def preview(lake: Lake, recipe: Recipe) -> list[Movement]:
    """What applying the rules would move, without writing."""
    beware(lake, recipe)
    return movement(lake.connection, compiled(lake, recipe.tiers), f"SELECT sample_id, tier FROM {narrow(lake.connection, 'tier')}")


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
