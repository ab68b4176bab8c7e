"""SQL text as a tree, by DuckDB's own parser, within bounds; and how errors speak of it."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import duckdb

from manifests.errors import SqlError, first_line
from quality.sql_functions import sandbox

MAX_LENGTH = 20_000
"""Characters of an expression or query."""
MAX_DEPTH = 200
"""Levels of nesting; far below what the parser, the binder or Python's JSON reader can bear."""
Tree = Any
"""A statement as `json_serialize_sql` gives it: nested dicts and lists."""


def bounded(sql: str, where: str) -> str:
    """The text, if it is short and plain enough to hand to a parser."""
    if len(sql) > MAX_LENGTH:
        raise SqlError(f"{where} has {len(sql):,} characters; {MAX_LENGTH:,} are allowed.")
    if bad := next((c for c in sql if (c < " " and c not in "\t\r\n") or "\ud800" <= c <= "\udfff"), None):
        raise SqlError(f"{where} contains the control character U+{ord(bad):04X}. Remove it.")
    return sql


def parse(statement: str, sql: str, where: str) -> dict[str, Any]:
    """The one statement's tree, at most `MAX_DEPTH` levels deep. ``sql`` is the user's part, for messages."""
    too_deep = SqlError(f"{where} is nested too deeply (more than {MAX_DEPTH} levels). Split it into several rules.")
    try:
        row = sandbox().execute("SELECT json_serialize_sql(?)", [statement]).fetchone()
        answer = json.loads(row[0]) if row else {}
    except RecursionError as error:
        raise too_deep from error
    except duckdb.Error as error:
        raise SqlError(f"{where} cannot be read: {plain_message(error)}") from error
    if answer["error"]:
        message = str(answer["error_message"])
        if "expression depth" in message:
            raise too_deep
        if "Only SELECT" in message:
            raise SqlError(f"{where} is not a SELECT. Only reading is possible: SELECT, FROM, WITH, DESCRIBE, SUMMARIZE, SHOW TABLES.")
        position = answer.get("position")
        offset = statement.find(sql) if sql in statement else 0
        near = ""
        if position is not None and 0 <= (start := int(position) - offset) < len(sql.encode()):
            near = f" at {sql.encode()[start : start + 20].decode(errors='replace')!r}"
        said = re.sub(r" at or near .*", "", message, flags=re.DOTALL)
        raise SqlError(f"{where}: {shown(sql)} is not valid SQL: {said}{near}.")
    if len(answer["statements"]) != 1:
        raise SqlError(f"{where}: exactly one statement is expected, there are {len(answer['statements'])}.")
    node: dict[str, Any] = answer["statements"][0]["node"]
    if depth(node) > MAX_DEPTH * 3:  # the JSON has up to three levels a level of SQL
        raise too_deep
    return node


def walk(tree: Tree) -> Iterator[dict[str, Any]]:
    """Every dict in the tree, without recursion."""
    todo = [tree]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            yield item
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)


def depth(tree: Tree) -> int:
    """Levels of dicts and lists, without recursion."""
    deepest, todo = 0, [(tree, 1)]
    while todo:
        item, level = todo.pop()
        deepest = max(deepest, level)
        children: Iterable[Any] = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        todo.extend((child, level + 1) for child in children)
    return deepest


def shown(sql: str) -> str:
    """The text as it stands in messages: one line, not too long."""
    text = " ".join(sql.split())
    return text if len(text) <= 120 else text[:117] + "..."


def plain_message(error: BaseException) -> str:
    """DuckDB's first sentence without its own classification."""
    return re.sub(r"^[A-Z][A-Za-z -]* Error: ", "", first_line(error)).rstrip(".!") + "."


def nearest(word: str, words: Iterable[str]) -> str:
    """``" Did you mean 'x'?"`` for the most similar word, or nothing."""
    close = difflib.get_close_matches(word.lower(), sorted({w.lower() for w in words}), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""
