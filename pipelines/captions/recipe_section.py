"""The section captions of a recipe: plain data becomes settings, and settings become what the recipe's digest covers."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

import pydantic

from manifests.errors import UsageError
from pipelines.captions.settings import CaptionSettings
from quality.sql_tree import nearest

Where = tuple[str | int, ...]


def read_captions(data: object) -> tuple[CaptionSettings | None, list[tuple[Where, str]]]:
    """Settings from a recipe's plain data, and what is wrong with it, each with its place."""
    if not isinstance(data, Mapping):
        return None, [((), f"captions is {data!r}; a set of keys is needed ({', '.join(f.name for f in fields(CaptionSettings))}).")]
    unknown = list(_unknown(data, CaptionSettings, ()))
    if unknown:
        return None, unknown
    try:
        return pydantic.TypeAdapter(CaptionSettings).validate_json(json.dumps(data, default=str), strict=True), []
    except pydantic.ValidationError as error:
        return None, [
            (tuple(one["loc"]), f"captions: {'.'.join(map(str, one['loc']))}: {one['msg']}.") for one in error.errors(include_url=False)
        ]
    except UsageError as error:
        return None, [((), f"captions: {error}")]


def _unknown(data: object, cls: Any, where: Where) -> Iterator[tuple[Where, str]]:
    """Keys that a dataclass, or one inside it, does not have."""
    if not isinstance(data, Mapping):
        return
    hints = get_type_hints(cls)
    names = [f.name for f in fields(cls)]
    for key, value in data.items():
        if key not in names:
            place = ".".join(["captions", *map(str, where)])
            yield (*where, key), f"unknown key {key!r} in {place}.{nearest(str(key), names)} Known are: {', '.join(names)}."
            continue
        inner = next((a for a in (hints[key], *get_args(hints[key])) if is_dataclass(a)), None)
        if inner is None:
            continue
        items: Iterable[tuple[Where, object]] = [((*where, key), value)]
        if hints[key] is not inner and isinstance(value, Mapping):
            items = [((*where, key, name), one) for name, one in value.items()]
        elif isinstance(value, list):
            items = [((*where, key, i), one) for i, one in enumerate(value)]
        for place_, one in items:
            yield from _unknown(one, inner, place_)


def as_data(settings: CaptionSettings) -> dict[str, Any]:
    """Everything that decides the captions, for a recipe's digest: not the addresses, limits and hours."""
    models = {name: {"model": spec.model, "mode": spec.mode, **spec.parameters()} for name, spec in settings.models.items()}
    return {
        "tiers": settings.tiers,
        "where": settings.where,
        "models": models,
        "routes": dict(settings.routes),
        "escalate": settings.escalate,
        "facts": settings.facts,
        "prompts": dict(settings.prompts),
        "checks": {f.name: getattr(settings.checks, f.name) for f in fields(settings.checks)},
    }
