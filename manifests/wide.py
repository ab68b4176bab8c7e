"""The view ``wide``: one row a sample, with every current signal under the name recipes use."""

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
DUPLICATE_COLUMNS = ("is_duplicate", "duplicate_of", "duplicate_group", "duplicate_kind")
KEY_COLUMN = {"media": "media_hash", "caption": "caption_hash", "pair": "pair_hash", "sample": "sample_id"}
EXACT, NEAR = "exact_duplicates", "near_duplicates"


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


def wide_columns(operators: list[CurrentOperator]) -> dict[str, str]:
    """SQL of every operator column of ``wide`` by its name there.

    A column is shown under its own name. Where two operators, or an operator and a sample column, have the same name,
    the later operator's is shown as ``<operator>_<column>``.
    """
    taken = {*SAMPLE_COLUMNS, *DUPLICATE_COLUMNS, "aspect", "error", "tier", "failed_rules"}
    shown: dict[str, str] = {}
    for operator in operators:
        for column in operator.columns:
            name = column if column not in taken else f"{operator.name}_{column}"
            taken.add(name)
            shown[name] = f"{operator.name}.{identifier(column)}"
    return shown


def wide_sql(operators: list[CurrentOperator]) -> str:
    """``SELECT`` of the view ``wide`` for these operators."""
    names = {operator.name for operator in operators}
    select = [f"s.{column}" for column in SAMPLE_COLUMNS]
    select.append("CAST(s.width AS DOUBLE) / nullif(s.height, 0) AS aspect")
    columns = wide_columns(operators)
    select += [f"{sql} AS {identifier(name)}" for name, sql in columns.items()]
    select += [f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in WIDE_ALWAYS.items() if name not in columns]
    select += _duplicates(EXACT in names, NEAR in names)
    failures = [f'{quote(o.name + ": ")} || {o.name}."error"' for o in operators]
    select.append(f's."error" AS sample_error, coalesce({", ".join(["s." + identifier("error"), *failures])}) AS "error"')
    select.append("t.tier, t.failed_rules")
    joins = "".join(_join(o, EXACT in names) for o in sorted(operators, key=lambda o: (o.name == NEAR, o.name)))
    latest = "SELECT sample_id, tier, failed_rules FROM tiers WHERE recipe = (SELECT arg_max(recipe, applied_at) FROM tierings)"
    return (
        "SELECT " + ",\n  ".join(select) + "\nFROM samples s" + joins + f"\nLEFT JOIN ({latest}) t ON t.sample_id = s.sample_id"
        "\nWHERE NOT s.vanished"
    )


def create_wide(connection: duckdb.DuckDBPyConnection) -> None:
    """(Re)create the view after an operator became current."""
    connection.execute("CREATE OR REPLACE VIEW wide AS " + wide_sql(current_operators(connection)))


def _join(operator: CurrentOperator, has_exact: bool) -> str:
    columns = ", ".join(["key", *(identifier(c) for c in operator.columns), '"error"'])
    key = f"s.{KEY_COLUMN[operator.keyed_by]}"
    if operator.name == NEAR and has_exact:
        # A near duplicate of the kept copy is one of each exact copy of it.
        key = f"coalesce({EXACT}.exact_duplicate_of, s.sample_id)"
    return (
        f"\nLEFT JOIN (SELECT {columns} FROM {identifier(signal_table(operator.name))} WHERE fingerprint = {quote(operator.fingerprint)}) "
        f"{operator.name} ON {operator.name}.key = {key}"
    )


def _duplicates(exact: bool, near: bool) -> list[str]:
    """The four columns over both kinds; null where no corpus operator has seen the sample."""
    kinds = [(EXACT, "exact")] * exact + [(NEAR, "near")] * near
    if not kinds:
        return [
            "CAST(NULL AS BOOLEAN) AS is_duplicate",
            "CAST(NULL AS UUID) AS duplicate_of",
            "CAST(NULL AS UUID) AS duplicate_group",
            "CAST(NULL AS VARCHAR) AS duplicate_kind",
        ]
    flags = [f"{table}.{kind}_duplicate" for table, kind in kinds]
    # "or" over known flags: true wins, false only when a flag is known.
    flag = f"(coalesce({', '.join(flags)}) IS NOT NULL AND ({' OR '.join(f'coalesce({f}, false)' for f in flags)}))"
    known = f"CASE WHEN coalesce({', '.join(flags)}) IS NOT NULL THEN {flag} END"
    of = [f"{table}.{kind}_duplicate_of" for table, kind in reversed(kinds)]
    groups = [f"{table}.{kind}_group" for table, kind in reversed(kinds)]
    kind_case = " ".join(f"WHEN {table}.{kind}_duplicate THEN '{kind}'" for table, kind in kinds)
    return [
        f"{known} AS is_duplicate",
        f"coalesce({', '.join(of)}) AS duplicate_of",
        f"coalesce({', '.join(groups)}) AS duplicate_group",
        f"CASE {kind_case} END AS duplicate_kind",
    ]
