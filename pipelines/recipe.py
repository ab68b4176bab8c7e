"""Recipes: a YAML file that says what to read, measure, keep and export (docs/recipes.md is the reference)."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from manifests.address import LakeAddress
from manifests.errors import RecipeError
from pipelines.captions.recipe_section import as_data
from pipelines.captions.settings import CaptionSettings
from pipelines.export_plan import ExportSettings
from pipelines.passes import OperatorUse
from pipelines.recipe_overrides import override
from pipelines.recipe_reading import KEYS, Reading, unknown_key
from pipelines.recipe_sections import (
    captions_of,
    export_of,
    insert_presets,
    lake_of,
    operators_of,
    sources_of,
    text_of,
    tiers_of,
)
from pipelines.sources import SourceSpec
from pipelines.sources.spec import deciding
from pipelines.yaml_lines import load_yaml
from quality.rules import Tiers
from quality.sql_guard import canonical


@dataclass(frozen=True)
class Recipe:
    """A checked recipe; paths are absolute.

    ``digest``: SHA-256 over what decides the result: sources as written, operators with their fingerprints and
    conditions, tier rules, caption settings, export settings. Comments, layout, name, lake, the export's folder and how URLs
    are fetched are not in it.
    ``text``: the file as it was read, passwords blanked, with the changes of ``--set`` as comments at its end.
    """

    name: str
    lake: LakeAddress
    sources: tuple[SourceSpec, ...]
    operators: tuple[OperatorUse, ...]
    tiers: Tiers
    export: ExportSettings | None
    digest: str
    captions: CaptionSettings | None = None
    text: str = field(default="", repr=False)


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe; ``overrides`` are ``KEY=VALUE`` (``gold.pretty=aesthetic >= 5.5``, ``export.seed=3``).

    Raises `RecipeError` that lists every problem with its line. SQL is checked here as far as it goes without
    columns; `quality.tiers.compile_tiers` checks the rest.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise RecipeError(f"The recipe {path} cannot be read: {error.strerror}. Give the path of a YAML file.") from error
    document = load_yaml(raw, str(path))
    if not isinstance(document.data, dict):
        raise RecipeError(f"{path}:1: a recipe is made of keys ({', '.join(KEYS)}), each followed by ':'.")
    reading = Reading(str(path), path.absolute().parent, document.data, dict(document.lines), list(document.problems))
    insert_presets(reading)
    for text in overrides:
        override(reading, text)
    for key in reading.data:
        if key not in KEYS:
            reading.wrong((key,), unknown_key(key, "the recipe", KEYS))
    name = text_of(reading, "name") or path.stem
    lake = lake_of(reading)
    sources = sources_of(reading)
    operators = operators_of(reading)
    tiers = tiers_of(reading)
    captions = captions_of(reading, tiers)
    export = export_of(reading, tiers)
    if reading.problems or lake is None:
        found = dict.fromkeys(f"{path}:{line}: {text}" if line else f"{path}: {text}" for line, text in sorted(reading.problems))
        raise RecipeError("\n".join(found))
    digest = _digest(sources, operators, tiers, captions, export)
    sources = tuple(_with_paths(spec, reading) for spec in sources)
    if export:
        export = dataclasses.replace(export, to=reading.path(export.to))
    text = re.sub(r"(://[^\s:/@]+):[^\s@]+@", r"\1:***@", raw.decode("utf-8-sig"))
    text += "".join(f"\n# --set {change}" for change in overrides)
    return Recipe(name, lake, sources, operators, tiers, export, digest, captions, text)


def _digest(
    sources: Sequence[SourceSpec],
    operators: Sequence[OperatorUse],
    tiers: Tiers,
    captions: CaptionSettings | None,
    export: ExportSettings | None,
) -> str:
    """See `Recipe.digest`. A recipe without captions has no key for them, as before there were any."""
    content = {
        "sources": [deciding(spec) for spec in sources],
        "operators": [[use.name, use.fingerprint, canonical(use.when) if use.when else ""] for use in operators],
        "tiers": tiers.canonical(),
        "export": dataclasses.asdict(dataclasses.replace(export, to="")) if export else None,
    } | ({"captions": as_data(captions)} if captions else {})
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


def _with_paths(spec: SourceSpec, reading: Reading) -> SourceSpec:
    """The source with absolute paths: those in a recipe are relative to its folder."""
    return dataclasses.replace(
        spec,
        path=reading.path(spec.path),
        media_root=spec.media_root and reading.path(spec.media_root),
        download=spec.download and dataclasses.replace(spec.download, to=spec.download.to and reading.path(spec.download.to)),
    )
