"""Operators by name: those that come with Goldsieve and those that installed packages add."""

import dataclasses
import difflib
import json
import typing
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pyarrow as pa
import pydantic

from manifests.errors import UsageError
from operators import ALL, OPTIONAL
from operators.base import Operator

GROUP = "goldsieve.operators"
"""Entry point group under which a package offers operators: ``name = "package.module:OperatorClass"``."""

MEMBERS = ("name", "version", "reads", "adds", "scope", "gpus", "open")


def available() -> dict[str, type[Operator]]:
    """Every operator class by name: the built-in ones, then those of installed packages in alphabetical order.

    Raises `UsageError` for a package whose operator cannot be loaded, is no operator, or takes a name that is taken.
    """
    classes: dict[str, type[Operator]] = {operator.name: type(operator) for operator in (*ALL, *OPTIONAL)}
    owner = dict.fromkeys(classes, "goldsieve")
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        package = entry.dist.name if entry.dist else entry.module
        if entry.name in classes:
            raise UsageError(
                f"The packages {owner[entry.name]!r} and {package!r} both offer an operator named {entry.name!r}. "
                f"Uninstall one, or ask its author for another name."
            )
        classes[entry.name], owner[entry.name] = load(entry, package), package
    return classes


def load(entry: EntryPoint, package: str) -> type[Operator]:
    """The operator class an entry point names. Raises `UsageError` naming the package."""
    problem = f"The operator {entry.name!r} of the installed package {package!r} cannot be used: "
    advice = f" Repair the package, or remove it with: pip uninstall {package}"
    try:
        found = entry.load()
    except Exception as error:  # anything may happen while foreign code is imported
        raise UsageError(f"{problem}{type(error).__name__}: {error}.{advice}") from error
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        raise UsageError(f"{problem}{entry.value} is not a dataclass.{advice}")
    if not found.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise UsageError(f"{problem}{entry.value} is not frozen; write @dataclass(frozen=True).{advice}")
    missing = [member for member in MEMBERS if not hasattr(found, member)]
    if missing:
        raise UsageError(f"{problem}{entry.value} lacks {', '.join(missing)}.{advice}")
    name = getattr(found, "name", None)
    if name != entry.name:
        raise UsageError(f"{problem}its entry point is called {entry.name!r} but the class is named {name!r}.{advice}")
    return typing.cast(type[Operator], found)


def make(name: str, settings: Mapping[str, Any] | None = None) -> Operator:
    """The operator ``name`` with ``settings`` (plain YAML or JSON data), checked strictly against its dataclass.

    A list becomes a tuple and a whole number a float where the field asks for it; nothing else is converted.
    Raises `UsageError` for an unknown name or setting (with the nearest right one), a wrong type, or a value the
    operator refuses.
    """
    classes = available()
    if name not in classes:
        adding = [other for other, cls in classes.items() if isinstance(cls.adds, pa.Schema) and name in cls.adds.names]
        hint = nearest(name, classes) or (f" It is a column that {adding[0]} adds." if adding else "")
        raise UsageError(f"There is no operator named {name!r}.{hint} `goldsieve operators` lists them.")
    return configure(classes[name], settings or {})


def configure(cls: type[Operator], settings: Mapping[str, Any]) -> Operator:
    """``cls(**settings)`` after the checks `make` describes."""
    name = typing.cast(str, cls.name)  # on the class it is plain text, whatever the protocol says of instances
    hints = typing.get_type_hints(cls)
    fields = {f.name: hints[f.name] for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    for key in settings:
        if key not in fields:
            known = f" It has: {', '.join(fields)}." if fields else " It has no settings."
            raise UsageError(f"Operator {name!r} has no setting {key!r}.{nearest(key, fields)}{known}")
    values = {key: checked(name, key, fields[key], value) for key, value in settings.items()}
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        raise UsageError(f"Operator {name!r} cannot be made with {json.dumps(dict(settings), default=str)}: {error}") from error


def checked(operator: str, key: str, kind: Any, value: Any) -> Any:
    """``value`` as ``kind``. Read as JSON, in which a tuple is a list, so that strict types and YAML agree."""
    try:
        return pydantic.TypeAdapter(kind).validate_json(json.dumps(value), strict=True)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "".join(f"[{part!r}]" for part in first["loc"])
        raise UsageError(f"Setting {key!r}{where} of operator {operator!r} is {value!r}: {first['msg']}.") from error
    except (TypeError, ValueError) as error:
        raise UsageError(f"Setting {key!r} of operator {operator!r} is {value!r}, which is not plain data: {error}.") from error


def nearest(word: object, words: Iterable[str]) -> str:
    """``" Did you mean 'x'?"`` for the most similar word, or nothing."""
    close = difflib.get_close_matches(str(word), list(words), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
