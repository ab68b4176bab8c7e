"""Rewriting as a step of a recipe: where the cache is, waiting for the active hours, and what it would cost."""

import time
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from manifests import Lake
from manifests.connection import quote
from manifests.errors import UsageError
from pipelines.captions.attempt import BYTES_A_TOKEN
from pipelines.captions.connect import Connect, Inline, Outcome
from pipelines.captions.hours import Hours
from pipelines.captions.rewrite import rewrite
from pipelines.captions.samples import Step, make_plan, pending_sql
from pipelines.captions.settings import CLEAN, CaptionSettings
from pipelines.recipe import Recipe

CACHE_NAME = "caption_answers.sqlite"
TYPICAL_TOKENS = {"rephrase": 30, "recaption": 90, "structured": 180}
"""Of an answer, before any was seen: the length that the prompts ask for."""
KNOWN_AFTER = 20
"""Answers of a model and prompt after which their mean is taken instead."""
PIXELS_A_TOKEN = 28 * 28
"""Patches of the common vision-language models; a rough figure."""
LOOK_S = 60.0
"""How often the clock is looked at while the active hours are waited for."""
EngineName = Literal["ray", "inline"]


def caption_settings(recipe: Recipe) -> CaptionSettings:
    """The recipe's captions. Raises `UsageError` when it has none."""
    if recipe.captions is None:
        raise UsageError(f"The recipe {recipe.name} has no captions. Add for example: captions: {{routes: {{else: clean}}}}")
    return recipe.captions


def cache_file(recipe: Recipe, lake: Lake) -> Path:
    """Where answers are kept: the recipe's choice, or the lake's folder. Raises `UsageError` for a lake without one."""
    settings = caption_settings(recipe)
    if settings.cache:
        return Path(settings.cache)
    if lake.address.folder is None:
        raise UsageError("This lake has no folder of its own: say where answers are kept with captions: {cache: answers.sqlite}.")
    return lake.address.folder / CACHE_NAME


def rewrite_recipe(
    lake: Lake,
    recipe: Recipe,
    run_id: uuid.UUID,
    *,
    engine: EngineName = "inline",
    address: str | None = None,
    limit: int | None = None,
    retry_rejected: bool = False,
    say: Callable[[str], None] = lambda _text: None,
) -> Outcome:
    """Rewrite what is not done yet. Hold the lake's lease. Raises what `rewrite` raises."""
    settings = caption_settings(recipe)
    if not Hours.parse(settings.active_hours).open_at(datetime.now()) and settings.models:
        return Outcome(stopped=f"outside the active hours {settings.active_hours}")

    def connect() -> Connect:
        if engine == "inline":
            return Inline()
        from pipelines.captions.ray_actors import RayActors

        return RayActors(address)

    return rewrite(
        lake, settings, run_id, cache=cache_file(recipe, lake), connect=connect, limit=limit, retry_rejected=retry_rejected, say=say
    )


def wait_for_hours(recipe: Recipe, say: Callable[[str], None]) -> None:
    """Sleep until the recipe's active hours begin."""
    settings = caption_settings(recipe)
    hours = Hours.parse(settings.active_hours)
    if (seconds := hours.opens_in(datetime.now())) > 0:
        say(f"rewrite: outside the active hours {settings.active_hours}; going on in {seconds / 3600:.1f} hours. Ctrl-C ends it safely.")
    while (seconds := hours.opens_in(datetime.now())) > 0:
        time.sleep(min(seconds, LOOK_S))  # the clock may jump meanwhile: summer time, a machine that was suspended


def estimate(lake: Lake, recipe: Recipe) -> list[dict[str, Any]]:
    """What rewriting would ask for, route by route, if every first attempt were accepted: samples, tokens, cost."""
    settings = caption_settings(recipe)
    plan = make_plan(settings)
    rows = lake.rows(
        f"""SELECT route, count(*) AS samples, CAST(sum(strlen(caption)) AS BIGINT) AS bytes, count(*) FILTER (modality = 'video') AS videos
        FROM ({pending_sql(lake, settings, plan)}) GROUP BY route"""
    )
    found = []
    by_route = {row["route"]: row for row in rows}
    for route in plan.routes:
        row = by_route.get(route.name, {"samples": 0, "bytes": 0, "videos": 0})
        step = plan.steps[route.name][0]
        line: dict[str, Any] = {"route": route.name, "model": step.target, "mode": step.kind, "samples": row["samples"]}
        if step.target in settings.models:
            line |= _tokens(lake, settings, step, row)
        elif step.target == CLEAN:
            line |= {"tokens_in": 0, "tokens_out": 0, "cost": 0.0, "based_on": "rules"}
        else:
            line |= {"samples": None, "tokens_in": 0, "tokens_out": 0, "cost": 0.0, "based_on": "originals stay"}
        found.append(line)
    return found


def _tokens(lake: Lake, settings: CaptionSettings, step: Step, row: dict[str, Any]) -> dict[str, Any]:
    from operators.captions.prompts import READS_PICTURE, load_prompt

    spec, samples = settings.models[step.target], row["samples"]
    known = lake.rows(
        f"""SELECT count(*) AS n, avg(CAST(parameters->'$.usage.tokens_in' AS BIGINT)) AS tokens_in,
            avg(CAST(parameters->'$.usage.tokens_out' AS BIGINT)) AS tokens_out FROM captions
        WHERE model = {quote(spec.model)} AND prompt_version = {quote(step.prompt_version)} AND tokens > 0"""
    )[0]
    if known["n"] >= KNOWN_AFTER:
        tokens_in, tokens_out = known["tokens_in"] * samples, known["tokens_out"] * samples
        based_on = f"the mean of {known['n']:,} answers"
    else:
        prompt = load_prompt(step.kind, settings.prompts.get(step.kind))
        fixed = sum(len(m["content"].encode()) for m in prompt.prefix) / BYTES_A_TOKEN
        pictures = (samples + row["videos"] * (spec.frames - 1)) * spec.image_side**2 / PIXELS_A_TOKEN if step.kind in READS_PICTURE else 0
        tokens_in = fixed * samples + (row["bytes"] or 0) / BYTES_A_TOKEN + pictures
        tokens_out = min(TYPICAL_TOKENS[step.kind], spec.max_tokens) * samples
        based_on = "the length of prompts and captions"
    cost = spec.cost(round(tokens_in), round(tokens_out))
    return {"tokens_in": round(tokens_in), "tokens_out": round(tokens_out), "cost": round(cost, 4), "based_on": based_on}
