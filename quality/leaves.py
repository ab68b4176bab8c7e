"""The thresholds inside rules: each comparison of something measured with a number, and what the rule says on either side of it.

A rule may join several comparisons by AND, OR and NOT. For each of them the rule is taken apart by replacing it in the
parsed tree by true, false and null: with these three a changed threshold needs no new query, and is exact.
"""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from manifests.errors import SqlError
from quality.sql_functions import sandbox
from quality.sql_guard import check_syntax
from quality.sql_tree import Tree, walk

OPERATORS = {
    "COMPARE_GREATERTHANOREQUALTO": ">=",
    "COMPARE_GREATERTHAN": ">",
    "COMPARE_LESSTHANOREQUALTO": "<=",
    "COMPARE_LESSTHAN": "<",
}
MIRRORED = {">=": "<=", ">": "<", "<=": ">=", "<": ">"}


@dataclass(frozen=True)
class Leaf:
    """``signal op value`` inside the rule ``tier.rule``.

    ``signal``: SQL of a number. ``exact``: the number is a DOUBLE, so a FLOAT is compared as DOUBLE; else it takes the
    signal's own precision. ``yes``, ``no``, ``unknown``: SQL of the rule when the comparison is true, false, null.
    ``pattern``: the rule with ``{}`` in place of the number.
    """

    tier: str
    rule: str
    signal: str
    op: str
    value: float
    exact: bool
    yes: str
    no: str
    unknown: str
    pattern: str

    @property
    def whole(self) -> bool:
        """The comparison is the whole rule."""
        return (self.yes, self.no) == ("true", "false")


def leaves(tier: str, rule: str, sql: str) -> list[Leaf]:
    """The comparisons with a number in a rule's SQL, in reading order; none for a rule over several samples."""
    try:
        tree = _without_between(check_syntax(sql))
    except SqlError:
        return []
    found = []
    for part in list(_ordered(tree)):
        if part.get("class") != "COMPARISON" or part.get("type") not in OPERATORS:
            continue
        op = OPERATORS[part["type"]]
        for side, other, direction in (("left", "right", op), ("right", "left", MIRRORED[op])):
            number = _number(part[other])
            if number is None or not _has_column(part[side]):
                continue
            value, exact = number
            texts = [_sql(_replaced(tree, part, constant)) for constant in ("true", "false", "CAST(NULL AS BOOLEAN)")]
            marked = copy.deepcopy(part)
            marked[other] = _node("'goldsieve mark'")
            pattern = _sql(_replaced(tree, part, marked)).replace("'goldsieve mark'", "{}")
            yes, no, unknown = ({"CAST('t' AS BOOLEAN)": "true", "CAST('f' AS BOOLEAN)": "false"}.get(t, t) for t in texts)
            found.append(Leaf(tier, rule, _sql(part[side]), direction, value, exact, yes, no, unknown, pattern))
            break
    return found


def _ordered(tree: Tree) -> Iterator[dict[str, Any]]:
    """Every dict, in the order of the text (`walk` goes from the end)."""
    return iter(sorted((part for part in walk(tree) if "query_location" in part), key=lambda part: part["query_location"] % (1 << 63)))


def _without_between(tree: Tree) -> Tree:
    """``a BETWEEN x AND y`` as two comparisons, so that each end has its own threshold."""
    if isinstance(tree, list):
        return [_without_between(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    tree = {key: _without_between(value) for key, value in tree.items()}
    if tree.get("type") != "COMPARE_BETWEEN":
        return tree
    common = {"class": "COMPARISON", "alias": "", "left": tree["input"]}
    low = {**common, "type": "COMPARE_GREATERTHANOREQUALTO", "query_location": tree["query_location"], "right": tree["lower"]}
    high = {**common, "type": "COMPARE_LESSTHANOREQUALTO", "query_location": tree["query_location"] + 1, "right": tree["upper"]}
    return {"class": "CONJUNCTION", "type": "CONJUNCTION_AND", "alias": "", "query_location": 0, "children": [low, high]}


def _replaced(tree: Tree, target: Tree, by: str | Tree) -> Tree:
    """A copy of the tree with one node (told by identity) replaced."""
    if tree is target:
        return _node(by) if isinstance(by, str) else by
    if isinstance(tree, list):
        return [_replaced(item, target, by) for item in tree]
    if isinstance(tree, dict):
        return {key: _replaced(value, target, by) for key, value in tree.items()}
    return tree


def _has_column(tree: Tree) -> bool:
    return any(part.get("class") == "COLUMN_REF" for part in walk(tree))


def _number(tree: Tree) -> tuple[float, bool] | None:
    """The value of a constant expression, and whether it is a DOUBLE; None for anything else."""
    if _has_column(tree):
        return None
    row = sandbox().execute(f"SELECT TRY_CAST(TRY({_sql(tree)}) AS DOUBLE), typeof({_sql(tree)})").fetchone()
    if row is None or row[0] is None or row[1] in ("VARCHAR", "BOOLEAN"):
        return None
    # 1e-3 is a DOUBLE, 0.001 a DECIMAL; written out again they look the same.
    return float(row[0]), any(part.get("class") == "CONSTANT" and part["value"]["type"]["id"] == "DOUBLE" for part in walk(tree))


def _statement(sql: str) -> dict[str, Any]:
    row = sandbox().execute("SELECT json_serialize_sql(?)", [f"SELECT {sql}"]).fetchone()
    assert row is not None
    statement: dict[str, Any] = json.loads(row[0])
    return statement


def _node(sql: str) -> Tree:
    return _statement(sql)["statements"][0]["node"]["select_list"][0]


def _sql(tree: Tree) -> str:
    statement = _statement("1")
    statement["statements"][0]["node"]["select_list"] = [tree]
    row = sandbox().execute("SELECT json_deserialize_sql(?)", [json.dumps(statement)]).fetchone()
    assert row is not None
    text = str(row[0]).removeprefix("SELECT ")
    return text[1:-1] if text.startswith("(") and _closes_last(text) else text


def _closes_last(text: str) -> bool:
    """Whether the first bracket closes at the last character. Brackets inside quotes do not occur at that level here."""
    level = 0
    for i, c in enumerate(text):
        level += (c == "(") - (c == ")")
        if level == 0:
            return i == len(text) - 1
    return False
