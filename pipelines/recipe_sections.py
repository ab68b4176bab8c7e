"""The sections of a recipe, each read from plain YAML data; what is wrong is noted with its line, and reading goes on."""

import dataclasses
import typing
from typing import Any

from manifests.address import LakeAddress, lake_address
from manifests.errors import GoldsieveError, UsageError
from operators.plugins import available, make
from pipelines.captions.recipe_section import read_captions
from pipelines.captions.settings import CaptionSettings
from pipelines.download.settings import DownloadSettings
from pipelines.export_plan import ExportSettings
from pipelines.passes import OperatorUse
from pipelines.recipe_reading import Reading, Where, read_dataclass, unknown_key
from pipelines.sources import SourceSpec
from quality.presets import with_presets
from quality.rule_reader import read_tiers
from quality.rules import Tiers
from quality.sql_guard import check_syntax
from quality.sql_tree import nearest

DOWNLOADING = tuple(f.name for f in dataclasses.fields(DownloadSettings))


def insert_presets(reading: Reading) -> None:
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


def text_of(reading: Reading, key: str) -> str | None:
    value = reading.data.get(key)
    if value is not None and not (isinstance(value, str) and value.strip()):
        reading.wrong((key,), f"{key} is {value!r}; text is needed. Put it in quotes.")
        return None
    return value


def lake_of(reading: Reading) -> LakeAddress | None:
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


def sources_of(reading: Reading) -> tuple[SourceSpec, ...]:
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


def operators_of(reading: Reading) -> tuple[OperatorUse, ...]:
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
            reading.wrong(where, f"the operator {name} is given twice. Remove one.")
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


def tiers_of(reading: Reading) -> Tiers:
    data = reading.data.get("tiers") or {}
    if not isinstance(data, dict):
        reading.wrong(("tiers",), "tiers holds the names of tiers (silver, gold), each with its rules below.")
        return Tiers()
    lines = {typing.cast(tuple[str, ...], where[1:]): line for where, line in reading.lines.items() if where[:1] == ("tiers",)}
    tiers, problems = read_tiers(data, lines)
    for where, text in problems:
        reading.wrong(("tiers", *where), text)
    return tiers


def captions_of(reading: Reading, tiers: Tiers) -> CaptionSettings | None:
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


def export_of(reading: Reading, tiers: Tiers) -> ExportSettings | None:
    values = reading.data.get("export")
    if values is None:
        return None
    settings = read_dataclass(reading, ExportSettings, values, ("export",), "export")
    tier = values.get("tier", "gold") if isinstance(values, dict) else "gold"
    if isinstance(tier, str) and tier not in tiers.names:
        known = ", ".join(tiers.names)
        reading.wrong(("export", "tier"), f"export: there is no tier {tier!r} here ({known}).{nearest(tier, tiers.names)}")
    return settings
