"""YAML as plain data that remembers the line of every key. Stricter than YAML: a key is text and stands once; no aliases."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from manifests.errors import RecipeError, first_line

MAX_BYTES = 200_000
MAX_DEPTH = 20
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """``lines``: path of keys and list positions -> line, counted from 1. ``problems``: (line, text)."""

    data: Any
    lines: Mapping[Path, int]
    problems: tuple[tuple[int, str], ...]


def load_yaml(data: bytes, name: str) -> Document:
    """The one document in ``data``. Raises `RecipeError` (``name:line: ...``) when it cannot be parsed at all."""
    if len(data) > MAX_BYTES:
        raise RecipeError(f"{name} has {len(data):,} bytes; a recipe has at most {MAX_BYTES:,}. Is this the right file?")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RecipeError(f"{name}:{line}: this is not UTF-8 text. Save the file as UTF-8.") from error
    loader = yaml.SafeLoader(text) if text.isprintable() or not _unprintable(text) else None
    if loader is None:
        raise RecipeError(f"{name}: the file contains control characters. Is this a recipe?")
    try:
        level = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            level += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if level > MAX_DEPTH:
                raise RecipeError(f"{name}:{_line(event)}: this is nested too deeply. A recipe has about five levels.")
            if isinstance(event, yaml.AliasEvent):
                raise RecipeError(f"{name}:{_line(event)}: *{event.anchor} is an alias of YAML. {_QUOTE}")
        node = loader.get_single_node()
        if node is None:
            return Document({}, {}, ())
        lines: dict[Path, int] = {}
        problems: list[tuple[int, str]] = []
        return Document(_plain(loader, node, (), lines, problems), lines, tuple(problems))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}" if mark else name
        raise RecipeError(f"{place}: {_explain(error)}") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{name}: this is not YAML: {first_line(error)}.") from error
    finally:
        loader.dispose()


_QUOTE = 'If it is the beginning of an SQL expression, put the whole expression in double quotes: "..."'


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _unprintable(text: str) -> bool:
    return yaml.reader.Reader.NON_PRINTABLE.search(text) is not None


def _explain(error: yaml.MarkedYAMLError) -> str:
    """What the parser tripped over, in words of somebody who writes a recipe."""
    problem = error.problem or "this is not YAML"
    if "\\t" in problem or "'\t'" in problem:
        return "a tab stands where YAML wants spaces. Indent with spaces."
    if "mapping values are not allowed" in problem:
        return "there is a second ': ' in this line. Put the value in double quotes, or check the indentation."
    if "cannot start any token" in problem:
        return f"{problem.replace('found character', 'the character').replace(' that', '')} here. {_QUOTE}"
    if "expected a single document" in (error.context or ""):
        return "there is more than one document (---) in this file. A recipe is one."
    if "tag" in problem or "tag" in (error.context or ""):
        return f"a word that begins with ! is a tag of YAML. {_QUOTE}"
    if "<block end>" in problem:
        return (
            f"{problem.replace('<block end>', 'the end of the value')}. Check the indentation. A value that begins with a quote is over at "
            "its second quote; put such an expression in double quotes: \"'photo' = style\""
        )
    if "could not find expected ':'" in problem:
        return "a key without ':' behind it, or a line that is indented too little."
    return f"{problem}. Check quotes, brackets and indentation."


def _plain(loader: yaml.SafeLoader, node: yaml.Node, path: Path, lines: dict[Path, int], problems: list[tuple[int, str]]) -> Any:
    line = node.start_mark.line + 1
    lines.setdefault(path, line)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(loader, item, (*path, i), lines, problems) for i, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return _scalar(loader, node, problems)
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            problems.append((line, "a key is a list or mapping here. Keys are plain words."))
            continue
        key = key_node.value
        if key_node.tag != "tag:yaml.org,2002:str":
            read = "" if key == "<<" else f" (YAML reads it as {_scalar(loader, key_node, problems)!r})"
            problems.append((line, f"the key {key} is not text{read}. Put it in quotes: '{key}'"))
        elif key in found:
            problems.append((line, f"the key {key!r} is given twice; the first is in line {lines[(*path, key)]}. Remove one."))
            continue
        if node.flow_style and isinstance(value_node, yaml.ScalarNode) and not value_node.value and value_node.style is None:
            problems.append((line, f"{key!r} has no value. Between {{ and }} a comma ends a value: put text with commas in quotes."))
        lines[(*path, key)] = line
        found[key] = _plain(loader, value_node, (*path, key), lines, problems)
    return found


def _scalar(loader: yaml.SafeLoader, node: yaml.Node, problems: list[tuple[int, str]]) -> Any:
    try:
        return loader.construct_object(node)
    except (yaml.constructor.ConstructorError, ValueError, OverflowError):
        problems.append((node.start_mark.line + 1, f"YAML cannot read {node.value!r} as {node.tag.rpartition(':')[2]}. Put it in quotes."))
        return node.value
