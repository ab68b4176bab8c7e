"""A recipe while it is read: where each key stands, what is wrong so far, and plain data as settings."""

import dataclasses
import json
import os
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic

from manifests.errors import GoldsieveError
from quality.sql_tree import nearest

KEYS = ("name", "lake", "sources", "operators", "tiers", "captions", "export")
Where = tuple[str | int, ...]
"""The keys and places in lists that lead to a value."""
T = typing.TypeVar("T")


@dataclass
class Reading:
    """A recipe while it is read: its data, where each key stands, and what is wrong so far."""

    name: str
    folder: Path
    data: dict[str, Any]
    lines: dict[Where, int]
    problems: list[tuple[int, str]]

    def wrong(self, where: Where, text: str) -> None:
        """Note a problem at the nearest known line."""
        while where and where not in self.lines:
            where = where[:-1]
        self.problems.append((self.lines.get(where, 0), text))

    def path(self, text: str) -> str:
        """A path as seen from the recipe's folder; addresses with :// stay as they are."""
        return text if "://" in text else os.path.normpath(self.folder / Path(text).expanduser())


def read_dataclass(reading: Reading, cls: type[T], values: object, where: Where, what: str) -> T | None:
    """``cls`` from plain data, with problems noted at their lines. JSON, in which a tuple is a list, so that types are strict."""
    if not isinstance(values, Mapping):
        reading.wrong(where, f"{what}: {values!r} is not a set of keys ('key: value').")
        return None
    names = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in values:
        if key not in names:
            reading.wrong((*where, key), unknown_key(str(key), what, names))
    try:
        known = json.dumps({key: value for key, value in values.items() if key in names}, default=str)
        return pydantic.TypeAdapter(cls).validate_json(known, strict=True)
    except pydantic.ValidationError as error:
        for one in error.errors(include_url=False):
            at = tuple(part for part in one["loc"] if isinstance(part, str | int))
            key = str(at[0]) if at else ""
            reading.wrong((*where, *at), f"{what}: {key} {_words(one['type'], one['msg'], values.get(key), one.get('ctx'))}")
    except GoldsieveError as error:
        reading.wrong(where, str(error))
    return None


def _words(kind: str, message: str, value: object, context: Mapping[str, Any] | None) -> str:
    """A type problem in plain words."""
    if kind == "missing":
        return "is missing."
    needed = {
        "string_type": "text is needed; put it in quotes",
        "int_type": "a whole number is needed",
        "int_from_float": "a whole number is needed",
        "float_type": "a number is needed",
        "bool_type": "true or false is needed",
        "tuple_type": "a list is needed",
        "list_type": "a list is needed",
    }.get(kind)
    if kind == "literal_error" and context:
        expected = str(context["expected"])
        close = nearest(str(value), re.findall(r"[\w-]+", expected)).rstrip("?")
        needed = f"one of {expected} is needed.{close}"
    return f"is {value!r}; {needed or message[:1].lower() + message[1:]}{'?' if needed and 'Did you' in needed else '.'}"


def unknown_key(key: str, place: str, known: typing.Iterable[str]) -> str:
    close = nearest(key, known).strip()
    return f"unknown key {key!r} in {place}; " + (close[:1].lower() + close[1:] if close else f"known are: {', '.join(known)}.")
