"""Recipes: a YAML file that says what to read, measure, keep and export (docs/recipes.md is the reference)."""

import dataclasses
import hashlib
import json
import re
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manifests.address import LakeAddress, lake_address
from manifests.errors import GoldsieveError, RecipeError, UsageError
from operators.plugins import available, make
from pipelines.captions.settings import CaptionSettings, as_data, read_captions
from pipelines.download.settings import DownloadSettings
from pipelines.export_plan import ExportSettings
from pipelines.passes import OperatorUse
from pipelines.recipe_overrides import override
from pipelines.recipe_reading import KEYS, Reading, Where, read_dataclass, unknown_key
from pipelines.sources import SourceSpec
from pipelines.sources.spec import deciding
from pipelines.yaml_lines import load_yaml
from quality.presets import with_presets
from quality.rule_reader import read_tiers
from quality.rules import Tiers
from quality.sql_guard import canonical, check_syntax
from quality.sql_tree import nearest

DOWNLOADING = tuple(f.name for f in dataclasses.fields(DownloadSettings))


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
        raise RecipeError(f"{path}:1: a recipe is made of keys ({', '.join(KEYS)}), each with ':' behind it.")
    reading = Reading(str(path), path.absolute().parent, document.data, dict(document.lines), list(document.problems))
    _presets(reading)
    for text in overrides:
        override(reading, text)
    for key in reading.data:
        if key not in KEYS:
            reading.wrong((key,), unknown_key(key, "the recipe", KEYS))
    name = _text(reading, "name") or path.stem
    lake = _lake(reading)
    sources = _sources(reading)
    operators = _operators(reading)
    tiers = _tiers(reading)
    captions = _captions(reading, tiers)
    export = _export(reading, tiers)
    if reading.problems or lake is None:
        found = dict.fromkeys(f"{path}:{line}: {text}" if line else f"{path}: {text}" for line, text in sorted(reading.problems))
        raise RecipeError("\n".join(found))
    content = {
        "sources": [deciding(spec) for spec in sources],
        "operators": [[use.name, use.fingerprint, canonical(use.when) if use.when else ""] for use in operators],
        "tiers": tiers.canonical(),
        "export": dataclasses.asdict(dataclasses.replace(export, to="")) if export else None,
    } | ({"captions": as_data(captions)} if captions else {})
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()
    here = tuple(
        dataclasses.replace(
            spec,
            path=reading.path(spec.path),
            media_root=spec.media_root and reading.path(spec.media_root),
            download=spec.download and dataclasses.replace(spec.download, to=spec.download.to and reading.path(spec.download.to)),
        )
        for spec in sources
    )
    if export:
        export = dataclasses.replace(export, to=reading.path(export.to))
    text = re.sub(r"(://[^\s:/@]+):[^\s@]+@", r"\1:***@", raw.decode("utf-8-sig"))
    text += "".join(f"\n# --set {change}" for change in overrides)
    return Recipe(name, lake, here, operators, tiers, export, digest, captions, text)


def _presets(reading: Reading) -> None:
    """Put the rules of presets in the place of the key ``preset`` of a tier."""
    tiers = reading.data.get("tiers")
    if not isinstance(tiers, dict):
        return
    for tier, rules in tiers.items():
        if not isinstance(rules, dict) or "preset" not in rules:
            continue
        where: Where = ("tiers", tier, "preset")
        names = rules.pop("preset")
        try:
            tiers[tier] = with_presets(names, rules)
        except UsageError as error:
            reading.wrong(where, f"tier {tier}: {error}")
        for rule in tiers[tier]:
            reading.lines.setdefault(("tiers", tier, rule), reading.lines.get(where, 0))


def _text(reading: Reading, key: str) -> str | None:
    value = reading.data.get(key)
    if value is not None and not (isinstance(value, str) and value.strip()):
        reading.wrong((key,), f"{key} is {value!r}; text is needed. Put it in quotes.")
        return None
    return value


def _lake(reading: Reading) -> LakeAddress | None:
    value = reading.data.get("lake")
    where: Where = ("lake",)
    if value is None:
        reading.wrong(where, "the key 'lake' is missing. It says where everything is kept, for example: lake: ./lake")
    elif isinstance(value, str) and value.strip():
        return _address(reading, value, None)
    elif isinstance(value, dict):
        for key in value:
            if key not in ("catalog", "data"):
                reading.wrong((*where, key), unknown_key(key, "lake", ("catalog", "data")))
        catalog, data = value.get("catalog"), value.get("data")
        if isinstance(catalog, str) and (data is None or isinstance(data, str)):
            return _address(reading, catalog, data and reading.path(data))
        reading.wrong(where, "lake takes catalog (postgresql://... or a folder) and data (a folder or s3://...), both as text.")
    else:
        reading.wrong(where, f"lake is {value!r}; a folder, or {{catalog: postgresql://..., data: s3://...}}, is needed.")
    return None


def _address(reading: Reading, catalog: str, data: str | None) -> LakeAddress | None:
    remote = catalog.startswith(("postgres:", "postgresql:")) or "://" in catalog
    try:
        return lake_address(catalog if remote else reading.path(catalog), data)
    except GoldsieveError as error:
        reading.wrong(("lake",), str(error))
        return None


def _sources(reading: Reading) -> tuple[SourceSpec, ...]:
    items = reading.data.get("sources") or []
    if not isinstance(items, list):
        reading.wrong(("sources",), "sources is a list: begin each source with '- path: ...'")
        return ()
    found: list[SourceSpec] = []
    for i, item in enumerate(items):
        values = {"path": item} if isinstance(item, str) else item
        for name in [name for name in values if name in DOWNLOADING] if isinstance(values, dict) else ():
            reading.wrong(("sources", i, name), f"sources: {name} is about downloading; write download: {{{name}: ...}}.")
            values = {key: value for key, value in values.items() if key != name}
        if isinstance(values, dict) and values.get("download") is not None:
            download = read_dataclass(reading, DownloadSettings, values["download"], ("sources", i, "download"), "download")
            values = {**values, "download": dataclasses.asdict(download) if download else None}
        spec = read_dataclass(reading, SourceSpec, values, ("sources", i), "sources")
        if spec is not None and not spec.path.strip():
            reading.wrong(("sources", i, "path"), "sources: path is empty. Name a folder or file; . is the recipe's own folder.")
        elif spec is not None:
            found.append(spec)
    return tuple(found)


def _operators(reading: Reading) -> tuple[OperatorUse, ...]:
    items = reading.data.get("operators") or []
    if not isinstance(items, list):
        reading.wrong(("operators",), "operators is a list: [media_facts, phash, ...]")
        return ()
    classes = available()
    uses: dict[str, OperatorUse] = {}
    for i, item in enumerate(items):
        where: Where = ("operators", i)
        if isinstance(item, dict) and len(item) == 1:
            ((name, settings),) = item.items()
            where = (*where, name)
        else:
            name, settings = item, {}
        if not isinstance(name, str):
            reading.wrong(where, f"{name!r} is no operator. Write its name, or {{name: {{setting: value}}}}.")
        elif name not in classes:
            reading.wrong(where, unknown_key(name, "operators", classes) + " `goldsieve operators` lists them.")
        elif not isinstance(settings, dict | None):
            reading.wrong(where, f"the settings of {name} are {settings!r}; write {{{name}: {{setting: value}}}}.")
        elif name in uses:
            reading.wrong(where, f"the operator {name} is there twice. Remove one.")
        elif (use := _operator(reading, name, dict(settings or {}), where, classes[name])) is not None:
            uses[name] = use
    return tuple(uses.values())


def _operator(reading: Reading, name: str, settings: dict[str, Any], where: Where, cls: type[Any]) -> OperatorUse | None:
    when = settings.pop("when", "")
    known = [f.name for f in dataclasses.fields(cls) if f.init]
    unknown = [key for key in settings if key not in known]
    for key in unknown:
        reading.wrong((*where, key), unknown_key(key, f"the operator {name}", [*known, "when"]))
    try:
        if not isinstance(when, str):
            raise UsageError(f"when of the operator {name} is {when!r}; an SQL condition is needed.")
        if when:
            check_syntax(when, f"when of {name}")
    except UsageError as error:
        reading.wrong((*where, "when"), str(error))
    try:
        return None if unknown else OperatorUse(make(name, settings), str(when))
    except UsageError as error:
        reading.wrong(where, str(error))
        return None


def _tiers(reading: Reading) -> Tiers:
    data = reading.data.get("tiers") or {}
    if not isinstance(data, dict):
        reading.wrong(("tiers",), "tiers holds the names of tiers (silver, gold), each with its rules below.")
        return Tiers()
    lines = {typing.cast(tuple[str, ...], where[1:]): line for where, line in reading.lines.items() if where[:1] == ("tiers",)}
    tiers, problems = read_tiers(data, lines)
    for where, text in problems:
        reading.wrong(("tiers", *where), text)
    return tiers


def _captions(reading: Reading, tiers: Tiers) -> CaptionSettings | None:
    if "captions" not in reading.data:
        return None
    settings, problems = read_captions(reading.data["captions"] or {})
    for where, text in problems:
        reading.wrong(("captions", *where), text)
    if settings is None:
        return None
    for name in settings.tiers:
        if name not in tiers.names:
            reading.wrong(("captions", "tiers"), f"captions: there is no tier {name!r} here ({', '.join(tiers.names)}).")
    prompts = {mode: reading.path(path) for mode, path in settings.prompts.items()}
    return dataclasses.replace(settings, prompts=prompts, cache=settings.cache and reading.path(settings.cache))


def _export(reading: Reading, tiers: Tiers) -> ExportSettings | None:
    values = reading.data.get("export")
    if values is None:
        return None
    settings = read_dataclass(reading, ExportSettings, values, ("export",), "export")
    tier = values.get("tier", "gold") if isinstance(values, dict) else "gold"
    if isinstance(tier, str) and tier not in tiers.names:
        known = ", ".join(tiers.names)
        reading.wrong(("export", "tier"), f"export: there is no tier {tier!r} here ({known}).{nearest(tier, tiers.names)}")
    return settings
