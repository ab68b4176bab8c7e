"""``--set KEY=VALUE``: changes to a recipe for one run."""

from typing import Any

import yaml

from manifests.errors import RecipeError
from pipelines.recipe_reading import KEYS, Reading
from quality.sql_tree import nearest


def override(reading: Reading, text: str) -> None:
    """Apply one ``KEY=VALUE``. The first part of the key is a key of the recipe or the name of a tier."""
    key, equals, value = text.partition("=")
    key = key.strip()
    first, dot, rest = key.partition(".")
    tiers = reading.data.get("tiers")
    if not equals:
        raise RecipeError(f"--set {text}: write KEY=VALUE, for example --set gold.pretty='aesthetic >= 5.5'")
    if first == "tiers":
        first, dot, rest = rest.partition(".")
    if isinstance(tiers, dict) and first in tiers and isinstance(tiers[first], dict):
        _override_rule(reading, tiers[first], first, rest, value, text)
        return
    if first not in KEYS:
        known = [*KEYS, *(tiers if isinstance(tiers, dict) else ())]
        raise RecipeError(f"--set {text}: there is no key or tier {first!r} in {reading.name}.{nearest(first, known)}")
    try:
        parsed = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError) as error:
        raise RecipeError(f"--set {text}: the value cannot be read. Put it in double quotes inside the single ones.") from error
    if not dot:
        reading.data[first] = parsed
    elif first in ("export", "captions"):
        settings = reading.data[first] = reading.data.get(first) or {}
        *above, last = rest.split(".")
        for part in above:
            settings = settings.setdefault(part, {}) if isinstance(settings, dict) else None
        if isinstance(settings, dict):
            settings[last] = parsed
    elif first == "operators":
        _override_operator(reading, rest, parsed, text)
    else:
        raise RecipeError(
            f"--set {text}: {key} cannot be set this way. Set rules (gold.pretty), export.NAME, captions.NAME or operators.NAME.SETTING."
        )


def _override_rule(reading: Reading, rules: dict[str, Any], tier: str, rule: str, value: str, text: str) -> None:
    """Change a rule; an empty value removes it. Only rules that are there: a typing mistake must not add one unseen."""
    if rule not in rules:
        raise RecipeError(
            f"--set {text}: the tier {tier} has no rule {rule!r}.{nearest(rule, rules)} New rules are added in {reading.name}."
        )
    reading.lines.pop(("tiers", tier, rule), None)
    if not value.strip():
        del rules[rule]
    elif value.lstrip().startswith("{"):
        try:
            rules[rule] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError) as error:
            raise RecipeError(f"--set {text}: the value is not a mapping such as {{by: concept, cap: 100}}.") from error
    else:
        rules[rule] = value


def _override_operator(reading: Reading, key: str, value: Any, text: str) -> None:
    """Change ``NAME.SETTING`` of an operator in the list."""
    name, dot, setting = key.partition(".")
    items = reading.data.get("operators")
    for i, item in enumerate(items if isinstance(items, list) else ()):
        if item == name or (isinstance(item, dict) and list(item) == [name]):
            settings = item[name] if isinstance(item, dict) else {}
            if dot and isinstance(items, list) and isinstance(settings, dict | None):
                items[i] = {name: {**(settings or {}), setting: value}}
                return
    raise RecipeError(f"--set {text}: name an operator of the recipe and its setting: operators.NAME.SETTING=VALUE")
