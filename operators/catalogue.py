"""The list of operators and their columns, written from the code so that it cannot be out of date."""

import dataclasses
import inspect
import typing
from collections.abc import Iterable
from typing import TypedDict

from operators import ALL, OPTIONAL
from operators.base import Operator


class CatalogueRow(TypedDict):
    """One column that an operator adds."""

    operator: str
    column: str
    type: str
    unit: str
    doc: str
    scope: str
    reads: str
    version: str


LISTED = (*ALL, *OPTIONAL)


def rows(operators: Iterable[Operator] = LISTED) -> list[CatalogueRow]:
    """One row a column, in the order of the operators and their schemas."""
    return [
        CatalogueRow(
            operator=operator.name,
            column=added.name,
            type=type_name(str(added.type)),
            unit=text(added.metadata, b"unit"),
            doc=text(added.metadata, b"doc"),
            scope=operator.scope,
            reads=reads(operator),
            version=operator.version,
        )
        for operator in operators
        for added in operator.adds
    ]


def markdown() -> str:
    """``docs/operators.md``: every operator with its docstring, settings and columns."""
    parts = [
        "# Operators",
        "This page is written by `operators/catalogue.py` from the code; `goldsieve operators` prints the same. "
        "Operators only add columns. What counts as good is decided by the rules of a recipe. "
        "Not in the default set, because they take longer; name them in a recipe or on the command line: "
        f"{', '.join(o.name for o in OPTIONAL)}.",
        "| operator | reads | looks at | what it tells |\n|---|---|---|---|\n" + "\n".join(map(summary_line, LISTED)),
    ]
    for operator in LISTED:
        parts += [f"## {operator.name}", inspect.cleandoc(type(operator).__doc__ or "").replace("``", "`")]
        fields = dataclasses.fields(operator)  # type: ignore[arg-type]
        if fields:
            hints = typing.get_type_hints(type(operator))
            lines = [
                f"| `{f.name}` | {getattr(hints[f.name], '__name__', hints[f.name])} | `{getattr(operator, f.name)}` |" for f in fields
            ]
            parts.append("| setting | type | default |\n|---|---|---|\n" + "\n".join(lines))
        lines = [f"| `{row['column']}` | {row['type']} | {row['unit']} | {row['doc']} |" for row in rows([operator])]
        parts.append("| column | type | unit or scale | meaning |\n|---|---|---|---|\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def summary_line(operator: Operator) -> str:
    looks_at = "one sample" if operator.scope == "batch" else "all samples together"
    summary = (type(operator).__doc__ or "").strip().split("\n\n")[0].replace("``", "`")
    return f"| [{operator.name}](#{operator.name}) | {reads(operator)} | {looks_at} | {' '.join(summary.split())} |"


def reads(operator: Operator) -> str:
    """``caption``, ``Gray(min_side=224)``, ...: columns, then views."""
    return ", ".join([*operator.reads.columns, *map(str, operator.reads.views)])


def type_name(name: str) -> str:
    return "uuid" if name == "extension<arrow.uuid>" else name


def text(metadata: dict[bytes, bytes] | None, key: bytes) -> str:
    return (metadata or {}).get(key, b"").decode()
