"""Rule sets that others published, ready for a recipe: the YAML files in the folder ``presets`` beside this module.

A preset holds what can be measured here and says how it differs from its source; what cannot be measured is listed as
left out. A threshold on a model's score holds for one model: ``holds_for`` says which, and `scale_warnings` compares it
with what the lake was measured with.
"""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from manifests import Lake
from manifests.errors import UsageError
from quality.rules import Tiers
from quality.sql_tree import nearest

FOLDER = Path(__file__).parent / "presets"
EMBEDDERS = {"clip_score": ("image_embedding", "text_embedding"), "video_clip_score": ("frame_embeddings", "text_embedding")}
"""The operators whose encoder decides the scale of a cosine."""


@dataclass(frozen=True)
class Preset:
    """``rules``: name -> SQL, or a rule over the whole tier as a recipe has it. ``scales``: column that the rules read -> unit or
    scale. ``operators``: as in a recipe.

    ``notes``: rule -> how it differs from the source. ``left_out``: what the source also asks, and why it is not here.
    ``holds_for``: signal -> settings that its operator must have for the thresholds to mean what they say; a list of values
    where several mean the same.
    """

    name: str
    what: str
    source: str
    rules: Mapping[str, Any]
    scales: Mapping[str, str]
    operators: tuple[Any, ...]
    notes: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    holds_for: Mapping[str, Mapping[str, str | list[str]]] = field(default_factory=dict)


@functools.lru_cache(maxsize=1)
def presets() -> tuple[Preset, ...]:
    """All presets by name."""
    found = []
    for path in sorted(FOLDER.glob("*.yaml")):
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        values = {key.replace(" ", "_"): value for key, value in data.items()}
        found.append(Preset(path.stem, **{**values, "operators": tuple(values["operators"])}))
    return tuple(found)


def preset(name: str) -> Preset:
    """The preset of this name. Raises `UsageError` that names the nearest one."""
    by_name = {one.name: one for one in presets()}
    if name not in by_name:
        hint = nearest(name, by_name) or f" There are: {', '.join(by_name)}."
        raise UsageError(f"There is no preset {name!r}.{hint}")
    return by_name[name]


def as_yaml(chosen: Preset, tier: str = "silver") -> str:
    """The preset as a part of a recipe, with its source, scales, differences and what is left out as comments."""
    lines = [f"# {chosen.name}: {chosen.what}.", f"# Source: {chosen.source}."]
    lines += [f"# {signal} is {scale}." for signal, scale in chosen.scales.items()]
    for signal, needs in chosen.holds_for.items():
        lines.append(
            f"# The threshold on {signal} holds for {', '.join(f'{key} {accepted(value)[0]}' for key, value in needs.items())} only."
        )
    lines += [f"# Left out: {name}: {reason}." for name, reason in chosen.left_out.items()]
    lines.append(f"operators: {yaml.safe_dump(list(chosen.operators), default_flow_style=True, width=10_000).strip()}")
    lines += ["tiers:", f"  {tier}:", f"    # or, for all of these rules: preset: {chosen.name}"]
    for name, sql in chosen.rules.items():
        if name in chosen.notes:
            lines.append(f"    # {chosen.notes[name]}")
        flow = False if isinstance(sql, str) else None  # None: the rule's own keys on its line
        lines.append(
            "    " + yaml.safe_dump({name: sql}, width=10_000, allow_unicode=True, sort_keys=False, default_flow_style=flow).strip()
        )
    return "\n".join(lines) + "\n"


def with_presets(names: object, rules: Mapping[str, Any]) -> dict[str, Any]:
    """A tier's rules after those of the presets ``names`` (one or a list).

    A rule of the tier takes the place of a preset's of the same name; with the value null it removes it.
    Raises `UsageError` for what is no preset, and for two presets that differ about a rule of the same name.
    """
    wanted = [names] if isinstance(names, str) else names
    if not isinstance(wanted, list) or not wanted or not all(isinstance(name, str) for name in wanted):
        raise UsageError(f"preset is {names!r}; the name of a preset, or a list of names, is needed. `goldsieve presets` lists them.")
    given: dict[str, Any] = {}
    for one in map(preset, wanted):
        for name, sql in one.rules.items():
            if given.get(name, sql) != sql and name not in rules:
                raise UsageError(f"the presets {', '.join(wanted)} differ about the rule {name!r}. Write that rule yourself.")
            given[name] = sql
    return {name: value for name, value in {**given, **rules}.items() if not (name in given and value is None)}


def measured_with(lake: Lake, signal: str) -> dict[str, Any]:
    """What made a column of ``wide``: ``operator``, ``fingerprint`` and settings; empty when nothing did yet.

    A cosine has no encoder of its own and is shown with that of the embeddings it reads.
    """
    rows = lake.rows(
        """SELECT name, fingerprint, CAST(settings AS VARCHAR) AS settings, columns FROM operator_versions
        QUALIFY row_number() OVER (PARTITION BY name ORDER BY recorded_at DESC) = 1 ORDER BY name"""
    )
    maker = next((row for row in rows if signal in row["columns"]), None)
    if maker is None:
        return {}
    found = {"operator": maker["name"], "fingerprint": maker["fingerprint"], **json.loads(maker["settings"])}
    if maker["name"] in EMBEDDERS:
        encoders = {json.loads(row["settings"])["encoder"] for row in rows if row["name"] in EMBEDDERS[maker["name"]]}
        if encoders:
            found["encoder"] = " and ".join(sorted(encoders))
    return found


def scale_warnings(lake: Lake, tiers: Tiers) -> list[str]:
    """A sentence for every rule that is a preset's, on a signal that was not measured as the preset's threshold supposes."""
    found = []
    for tier, name, sql in tiers.rows():
        for one in presets():
            if one.rules.get(name) != sql:
                continue
            for signal, needs in one.holds_for.items():
                if signal not in sql:
                    continue
                made = measured_with(lake, signal)
                wrong = [key for key, value in needs.items() if key in made and plain(made[key]) not in accepted(value)]
                if wrong:
                    meant = ", ".join(f"{key} {accepted(needs[key])[0]}" for key in wrong)
                    measured = ", ".join(f"{key} {made[key]}" for key in wrong)
                    found.append(
                        f"Rule {tier}.{name} is that of the preset {one.name}, made for {meant}; this lake's {signal} was measured with "
                        f"{measured}, so the number means something else. Find your own: "
                        f"goldsieve calibrate {lake.address} --signal {signal} --labels FILE"
                    )
    return list(dict.fromkeys(found))


def accepted(value: str | list[str]) -> list[str]:
    """The values a setting may have, the usual one first."""
    return [value] if isinstance(value, str) else value


def plain(value: object) -> str:
    """A setting for comparison: open_clip knows OpenAI's weights by two model names that compute the same."""
    return str(value).replace("-quickgelu/", "/")
