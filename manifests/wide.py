"""The view ``wide``: one row a sample, with every current signal under the name recipes use."""

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass

import duckdb

from manifests.connection import identifier, quote
from manifests.schema import WIDE_ALWAYS
from manifests.tables import signal_table

SAMPLE_COLUMNS = (
    *("sample_id", "key", "source", "modality", "uri", "byte_offset", "byte_length", "media_hash", "caption_hash", "pair_hash"),
    *("format", "width", "height", "duration_s", "fps", "parent_id", "span_start_s", "span_end_s", "caption", "captions"),
    *("metadata", "license", "author", "source_url", "ingested_at", "ref_hash"),
)
PLACE_COLUMNS = ("modality", "uri", "byte_offset", "byte_length", "span_start_s", "span_end_s")
"""Those of them that tell where a picture, a video or a clip is: what a reader of media needs."""
DUPLICATE_COLUMNS = ("is_duplicate", "duplicate_of", "duplicate_group", "duplicate_kind")
KEY_COLUMN = {"media": "media_hash", "caption": "caption_hash", "pair": "pair_hash", "sample": "sample_id"}
EXACT, NEAR = "exact_duplicates", "near_duplicates"
KINDS = {
    EXACT: ("exact", "exact"),
    "pixel_duplicates": ("pixels", "pixel"),
    NEAR: ("near", "near"),
    "semantic_duplicates": ("semantic", "semantic"),
    "clip_duplicates": ("clip", "clip"),
}
"""Operators that say what a copy is of: the ``duplicate_kind`` each stands for and the prefix of its columns; the surest first."""
EVIDENCE = {
    "near_distance": "bits of phash",
    "near_check": "bits of dhash",
    "near_points": "key points agree",
    "semantic_cosine": "cosine",
}
"""Columns that tell how near a copy is to the kept one, with their units."""
FOLLOWS = {NEAR: (EXACT,), "semantic_duplicates": (NEAR, EXACT)}
"""Copies of a kept copy: what an operator said of a kept picture holds for those that an earlier one dropped in its favour."""

LAST_RECIPE = "SELECT arg_max(recipe, applied_at) FROM tierings"
"""The recipe whose tiers ``wide`` shows."""


@dataclass(frozen=True)
class CurrentOperator:
    """Which fingerprint of an operator ``wide`` shows."""

    name: str
    fingerprint: str
    keyed_by: str
    columns: tuple[str, ...]


def current_operators(connection: duckdb.DuckDBPyConnection) -> list[CurrentOperator]:
    """The last recorded version of every operator, by name."""
    rows = connection.execute(
        "SELECT name, arg_max(fingerprint, recorded_at), arg_max(keyed_by, recorded_at), arg_max(columns, recorded_at) "
        "FROM operator_versions GROUP BY name ORDER BY name"
    ).fetchall()
    return [CurrentOperator(name, fingerprint, keyed_by, tuple(columns)) for name, fingerprint, keyed_by, columns in rows]


def wide_columns(operators: Sequence[CurrentOperator]) -> dict[str, tuple[str, str]]:
    """Operator and SQL of every operator column of ``wide`` by its name there.

    A column is shown under its own name. Where two operators, or an operator and a sample column, have the same name,
    the later operator's is shown as ``<operator>_<column>``.
    """
    taken = {*SAMPLE_COLUMNS, *DUPLICATE_COLUMNS, "aspect", "error", "tier", "failed_rules", "is_protected"}
    shown: dict[str, tuple[str, str]] = {}
    for operator in operators:
        for column in operator.columns:
            name = column if column not in taken else f"{operator.name}_{column}"
            taken.add(name)
            shown[name] = operator.name, f"{operator.name}.{identifier(column)}"
    return shown


def used_operators(operators: Sequence[CurrentOperator], words: Set[str] | None) -> set[str]:
    """Names of the operators whose tables ``wide`` needs for columns with these names (lower case); None: all columns."""
    names = {operator.name for operator in operators}
    if words is None:
        return names
    used = {operator for name, (operator, _) in wide_columns(operators).items() if name.lower() in words}
    if words & set(DUPLICATE_COLUMNS):
        used |= set(KINDS)
    for name in used & set(FOLLOWS):  # its key depends on the kept copies
        used |= set(FOLLOWS[name])
    return used & names


def wide_sql(
    operators: Sequence[CurrentOperator],
    words: Set[str] | None = None,
    samples: str = "samples",
    tables: str = "",
) -> str:
    """``SELECT`` of the view ``wide`` for these operators.

    ``words`` (lower case): leave out the tables none of whose columns is named here, with their columns: DuckDB must join
    them otherwise, because it cannot know that a key is there once. ``samples``: a table that has some rows of the view of this
    name; the result has no others. ``tables``: how the names of the signal tables and of ``tiers`` begin (see `manifests.few`).
    """
    columns = wide_columns(operators)
    names = used_operators(operators, words)
    joined = [operator for operator in operators if operator.name in names]
    select = [f"s.{column}" for column in SAMPLE_COLUMNS]
    select.append("CAST(s.width AS DOUBLE) / nullif(s.height, 0) AS aspect")
    select += [f"{sql} AS {identifier(name)}" for name, (operator, sql) in columns.items() if operator in names]
    select += [f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in WIDE_ALWAYS.items() if name not in columns]
    if words is None or words & set(DUPLICATE_COLUMNS):
        select += _duplicates(names)
    select += ['s."error" AS sample_error', "s.source IN (SELECT source FROM protected) AS is_protected"]
    joined.sort(key=lambda o: (list(FOLLOWS).index(o.name) if o.name in FOLLOWS else -1, o.name))  # those whose key needs others last
    joins = ""
    if words is None or words & {"tier", "failed_rules"}:
        select.append("t.tier, t.failed_rules")
        latest = f"SELECT sample_id, tier, failed_rules FROM {tables}tiers WHERE recipe = ({LAST_RECIPE})"
        # First, so that a query about one tier looks up the signals of its samples alone: DuckDB keeps the order of such joins.
        joins += f"\nLEFT JOIN ({latest}) t ON t.sample_id = s.sample_id"
    joins += "".join(_join(o, names, tables) for o in joined)
    if words is None or "error" in words:
        error, failures = _errors(operators, tables)
        select.append(error)
        joins += failures
    return "SELECT " + ",\n  ".join(select) + f"\nFROM {samples} s" + joins + "\nWHERE NOT s.vanished"


def narrow(connection: duckdb.DuckDBPyConnection, *texts: str, samples: str = "samples") -> str:
    """``wide`` as a subquery that has at least the columns named in pieces of SQL, joined from no more tables than these need."""
    return f"({wide_sql(current_operators(connection), words_of(*texts), samples=samples)})"


def words_of(*texts: str) -> Set[str] | None:
    """All words in pieces of SQL, lower case; None when columns are chosen by a pattern."""
    words = {word.lower() for text in texts for word in re.findall(r"\w+", text)}
    return None if "columns" in words else words


def create_wide(connection: duckdb.DuckDBPyConnection) -> None:
    """(Re)create the view after an operator became current."""
    connection.execute("CREATE OR REPLACE VIEW wide AS " + wide_sql(current_operators(connection)))


def _join(operator: CurrentOperator, names: Set[str], tables: str) -> str:
    columns = ", ".join(["key", *(identifier(c) for c in operator.columns)])
    key = f"s.{KEY_COLUMN[operator.keyed_by]}"
    followed = [name for name in FOLLOWS.get(operator.name, ()) if name in names]
    if followed:
        # A copy of the kept picture is one of each picture that was dropped in its favour.
        key = f"coalesce({', '.join(f'{name}.{KINDS[name][1]}_duplicate_of' for name in followed)}, s.sample_id)"
    return (
        f"\nLEFT JOIN (SELECT {columns} FROM {identifier(tables + signal_table(operator.name))} "
        f"WHERE fingerprint = {quote(operator.fingerprint)}) {operator.name} ON {operator.name}.key = {key}"
    )


def _errors(operators: Sequence[CurrentOperator], tables: str) -> tuple[str, str]:
    """The column ``error`` and its joins: failed results are few, so they are collected first and joined as small tables."""
    failed: dict[str, list[str]] = {}
    for position, operator in enumerate(operators):
        failed.setdefault(operator.keyed_by, []).append(
            f"""SELECT key, {position} AS position, {quote(operator.name + ": ")} || "error" AS "error"
            FROM {identifier(tables + signal_table(operator.name))}
            WHERE fingerprint = {quote(operator.fingerprint)} AND "error" IS NOT NULL"""
        )
    kinds = [kind for kind in KEY_COLUMN if kind in failed]
    joins = "".join(
        f"""\nLEFT JOIN (SELECT key, arg_min("error", position) AS "error" FROM ({" UNION ALL ".join(failed[kind])}) GROUP BY key)
        failed_{kind} ON failed_{kind}.key = s.{KEY_COLUMN[kind]}"""
        for kind in kinds
    )
    found = ['s."error"', *(f'failed_{kind}."error"' for kind in kinds)]
    return f'coalesce({", ".join(found)}) AS "error"', joins


def _duplicates(names: Set[str]) -> list[str]:
    """The four columns over all kinds; null where no corpus operator has seen the sample."""
    kinds = [(operator, kind, prefix) for operator, (kind, prefix) in KINDS.items() if operator in names]
    if not kinds:
        return [
            "CAST(NULL AS BOOLEAN) AS is_duplicate",
            "CAST(NULL AS UUID) AS duplicate_of",
            "CAST(NULL AS UUID) AS duplicate_group",
            "CAST(NULL AS VARCHAR) AS duplicate_kind",
        ]
    flags = [f"{table}.{prefix}_duplicate" for table, _, prefix in kinds]
    # "or" over known flags: true wins, false only when a flag is known.
    flag = f"(coalesce({', '.join(flags)}) IS NOT NULL AND ({' OR '.join(f'coalesce({f}, false)' for f in flags)}))"
    known = f"CASE WHEN coalesce({', '.join(flags)}) IS NOT NULL THEN {flag} END"
    of = [f"{table}.{prefix}_duplicate_of" for table, _, prefix in reversed(kinds)]
    groups = [f"{table}.{prefix}_group" for table, _, prefix in reversed(kinds)]
    kind_case = " ".join(f"WHEN {table}.{prefix}_duplicate THEN {quote(kind)}" for table, kind, prefix in kinds)
    return [
        f"{known} AS is_duplicate",
        f"coalesce({', '.join(of)}) AS duplicate_of",
        f"coalesce({', '.join(groups)}) AS duplicate_group",
        f"CASE {kind_case} END AS duplicate_kind",
    ]
