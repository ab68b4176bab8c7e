"""Checks SQL that people write: in tier rules, ``when:`` conditions, orderings and queries by hand.

The text is parsed by DuckDB's own parser and every node of the tree must be on a list of what is allowed; then it is
bound against stand-ins for the columns in an empty database without file access, which tells its type. Nothing of it
runs on a lake before that.
"""

import re
from collections.abc import Mapping
from typing import Any

import duckdb

from manifests.connection import identifier
from manifests.errors import SqlError
from quality.sql_functions import REFUSED, query_functions, rule_functions, sandbox
from quality.sql_tree import Tree, bounded, nearest, parse, plain_message, shown, walk

EXPRESSIONS = frozenset(
    ["CONJUNCTION", "COMPARISON", "COLUMN_REF", "CONSTANT", "OPERATOR", "FUNCTION", "LAMBDA", "CASE", "CAST", "BETWEEN", "COLLATE"]
)
REFUSED_NODES = {
    "SUBQUERY": "contains a query of its own; a rule sees one sample and its columns only",
    "WINDOW": "looks at other samples (OVER); use a rule such as 'top 30% by ...', {by, cap} or {where, max_share} for that",
    "STAR": "contains *, which stands for all columns; name the columns",
    "PARAMETER": "contains a placeholder (? or $); write the value itself",
    "POSITIONAL_REFERENCE": "names a column by its position (#1); write its name",
    "DEFAULT": "contains the word DEFAULT, which only makes sense in an INSERT; put a column of that name in double quotes",
}
ORDERABLE = re.compile(r"(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT|UTINYINT|USMALLINT|UINTEGER|UBIGINT|UHUGEINT|FLOAT|DOUBLE|DECIMAL.*)$")


def relation_columns(con: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """Column names of a table or view and their DuckDB types. ``relation`` comes from code, never from a user."""
    rows = con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    return {str(row[0]): str(row[1]) for row in rows}


def check_expression(con: duckdb.DuckDBPyConnection, sql: str, relation: str, expected: str = "BOOLEAN", where: str = "expression") -> None:
    """An expression over the columns of ``relation`` that may be computed for every sample.

    ``expected``: ``BOOLEAN``, ``NUMBER`` or ``ANY``. ``where`` begins the message ("rule gold.pretty, line 12").
    Raises `SqlError` when it is no single expression, could do more than compute, names an unknown column or function
    (with the nearest right one), or is of another type.
    """
    check_bound(sql, relation_columns(con, relation), expected, where)


def check_bound(sql: str, columns: Mapping[str, str], expected: str = "BOOLEAN", where: str = "expression") -> None:
    """`check_expression` for columns given with their types."""
    tree = check_syntax(sql, where)
    check_columns(tree, columns, sql, where)
    kind = bind(f"SELECT ({sql}\n) AS answer FROM {stand_in(columns)} LIMIT 0", where)
    if expected == "BOOLEAN" and kind != "BOOLEAN":
        raise SqlError(f"{where}: {shown(sql)} is of type {kind}, not true or false. Compare it, for example: {hint(sql, kind)}")
    if expected == "NUMBER" and not ORDERABLE.match(kind):
        raise SqlError(f"{where}: {shown(sql)} is of type {kind}; a number is needed here.")


def check_order(con: duckdb.DuckDBPyConnection, sql: str, relation: str, where: str = "ordering") -> None:
    """An ORDER BY list over the columns of ``relation``: ``width * height desc, aesthetic desc nulls last``.

    Raises `SqlError` like `check_expression`.
    """
    columns = relation_columns(con, relation)
    node = parse(f"SELECT 1 FROM wide ORDER BY {bounded(sql, where)}\n", sql, where)
    parse(f"SELECT row_number() OVER (ORDER BY {sql}\n) FROM wide", sql, where)
    if [m["type"] for m in node["modifiers"]] != ["ORDER_MODIFIER"]:
        raise SqlError(f"{where}: {shown(sql)} is not just an ordering. Write expressions with ASC or DESC, separated by commas.")
    orders = [order["expression"] for order in node["modifiers"][0]["orders"]]
    for tree in orders:
        if tree["class"] == "CONSTANT":
            raise SqlError(f"{where}: {shown(sql)} orders by a constant, which orders nothing. Name a column.")
        check_tree(tree, sql, where)
    check_columns(orders, columns, sql, where)
    bind(f"SELECT 1 AS answer FROM {stand_in(columns)} ORDER BY {sql}\nLIMIT 0", where)


def check_syntax(sql: str, where: str = "expression") -> Tree:
    """What can be checked of an expression without knowing the columns. Returns its tree."""
    if not sql.strip():
        raise SqlError(f"{where} is empty. Write an SQL expression such as: aesthetic >= 5.0")
    bare = parse(f"SELECT {bounded(sql, where)}\nFROM wide", sql, where)
    # Both ways: without brackets nothing can hide behind a bracket of its own, with them no alias or second column.
    inner = parse(f"SELECT ({sql}\n) FROM wide", sql, where)
    plain = {**bare, "select_list": [], "from_table": None} == {**inner, "select_list": [], "from_table": None}
    if not plain or len(bare["select_list"]) != 1 or bare["modifiers"] or bare["where_clause"] or bare["sample"] or bare["qualify"]:
        raise SqlError(f"{where}: {shown(sql)} is not one expression. Write what would stand after WHERE, joined by AND and OR.")
    tree = bare["select_list"][0]
    if tree["alias"]:
        raise SqlError(f"{where}: {shown(sql)} names its result with AS. Leave the name away.")
    check_tree(tree, sql, where)
    return tree


def canonical(sql: str) -> str:
    """The expression without comments, in one spelling of spaces, brackets and keywords. It must have passed `check_syntax`."""
    row = sandbox().execute("SELECT json_deserialize_sql(json_serialize_sql(?))", [f"SELECT ({sql}\n)"]).fetchone()
    assert row is not None
    return str(row[0]).removeprefix("SELECT ")


def check_query(con: duckdb.DuckDBPyConnection, sql: str, where: str = "query") -> None:
    """A query that only reads the tables and views of ``con``'s current database.

    Raises `SqlError` for anything but one SELECT-like statement (SELECT, FROM, WITH, VALUES, DESCRIBE, SUMMARIZE,
    SHOW TABLES), for other tables and files, and for functions that could do more than compute.
    """
    node = parse(bounded(sql, where), sql, where)
    rows = con.execute(
        "SELECT table_name FROM duckdb_tables() WHERE NOT internal AND database_name IN (current_database(), 'temp') UNION "
        "SELECT view_name FROM duckdb_views() WHERE NOT internal AND database_name IN (current_database(), 'temp')"
    ).fetchall()
    tables = {str(row[0]).lower() for row in rows}
    current = con.execute("SELECT current_database()").fetchone()
    databases = {"", "temp", str(current[0]).lower() if current else ""}
    hidden = {str(r[0]).lower() for r in con.execute("SELECT view_name FROM duckdb_views() WHERE internal").fetchall()}
    named = {str(entry["key"]).lower() for part in walk(node) if "cte_map" in part for entry in part["cte_map"]["map"]}
    # A WITH name used outside its own query would be looked up as a file or a system view.
    if bad := next((name for name in named if not re.fullmatch(r"\w+", name) or name in hidden), None):
        raise SqlError(f"{where}: WITH cannot name a query {bad!r}. Use a plain name of letters, digits and underscores.")
    allowed = query_functions()
    for part in walk(node):
        kind = part.get("type")
        if kind == "BASE_TABLE":
            name, schema, database = (str(part[key]) for key in ("table_name", "schema_name", "catalog_name"))
            own = schema.lower() in {"", "main"} | databases and database.lower() in databases
            if name.lower() not in tables | named or not own:
                full = ".".join(filter(None, (database, schema, name)))
                raise SqlError(
                    f"{where}: there is no table {full!r} in this lake.{nearest(name, tables)} Files and other databases are out of reach."
                )
        elif kind == "TABLE_FUNCTION" and str(part["function"].get("function_name")).lower() not in {"range", "generate_series", "unnest"}:
            raise SqlError(f"{where}: the table function {part['function'].get('function_name')} is not allowed; read the lake's tables.")
        elif kind == "SHOW_REF" and part["query"] is None and part["table_name"].strip('"').lower() not in {"tables", "databases"} | tables:
            raise SqlError(f"{where}: SHOW {part['table_name']} is not allowed. SHOW TABLES lists the lake's tables.")
        elif part.get("class") in ("FUNCTION", "WINDOW"):
            check_function(part, allowed, where)
        elif part.get("class") == "PARAMETER":
            raise SqlError(f"{where} {REFUSED_NODES['PARAMETER']}.")


def check_tree(tree: Tree, sql: str, where: str) -> None:
    """Every node is of an allowed class, every function on the list."""
    for part in walk(tree):
        kind = part.get("class")
        if kind in REFUSED_NODES:
            raise SqlError(f"{where}: {shown(sql)} {REFUSED_NODES[kind]}.")
        if kind is not None and kind not in EXPRESSIONS:
            raise SqlError(f"{where}: {shown(sql)} contains {str(kind).lower().replace('_', ' ')}, which is not allowed here.")
        if part.get("type") == "GROUPING_FUNCTION":
            raise SqlError(f"{where}: grouping() only makes sense in a query with GROUP BY.")
        if kind == "FUNCTION":
            check_function(part, rule_functions(), where)


def check_function(part: Mapping[str, Any], allowed: frozenset[str], where: str) -> None:
    """One function call: on the list, DuckDB's own, and without the clauses of aggregates."""
    name = str(part["function_name"]).lower()
    if part.get("catalog") or str(part.get("schema") or "main").lower() != "main":
        raise SqlError(f"{where}: the function {name} is called with a database or schema in front. Leave that away.")
    if name in allowed:
        return
    if part.get("class") == "WINDOW" and str(part["type"]) != "WINDOW_AGGREGATE":
        return  # row_number, lag, ...: the parser knows them all
    if name in REFUSED:
        raise SqlError(f"{where}: the function {name} is not allowed: {REFUSED[name]}.")
    if allowed is rule_functions() and name in query_functions():
        raise SqlError(f"{where}: the function {name} looks at several samples; a rule sees one. Use top, balance or mix.")
    raise SqlError(f"{where}: there is no function {name} to use here.{nearest(name, allowed)}")


def check_columns(tree: Tree, columns: Mapping[str, str], sql: str, where: str) -> None:
    """Every name is a column (or the parameter of a lambda); ``rowid``, ``current_user`` and the like are neither."""
    known = {column.lower() for column in columns}
    inside = {name for part in walk(tree) if part.get("class") == "LAMBDA" for name in lambda_names(part["lhs"])}
    for part in walk(tree):
        if part.get("class") != "COLUMN_REF":
            continue
        names = [str(name) for name in part["column_names"]]
        first = names[1] if names[0].lower() == "wide" and len(names) > 1 and "wide" not in known else names[0]
        if first.lower() in known or first in inside:
            continue
        if first.lower() in REFUSED:
            raise SqlError(f"{where}: {first} is not allowed: {REFUSED[first.lower()]}.")
        text = nearest(first, columns)
        if not text and f'"{first}"' in sql:
            text = f" If it is meant as text, write it in single quotes: '{first}'."
        raise SqlError(f"{where}: there is no column {first!r}.{text}", [first])


def used_columns(tree: Tree, columns: Mapping[str, str]) -> set[str]:
    """The columns (as spelt in ``columns``) that an expression reads."""
    spelt = {column.lower(): column for column in columns}
    names = {str(n).lower() for part in walk(tree) if part.get("class") == "COLUMN_REF" for n in part["column_names"][:2]}
    return {spelt[name] for name in names if name in spelt}


def lambda_names(lhs: Tree) -> set[str]:
    """Parameter names of a lambda: ``x -> ...`` or ``(x, i) -> ...``."""
    return {str(part["column_names"][0]) for part in walk(lhs) if part.get("class") == "COLUMN_REF"}


def bind(query: str, where: str) -> str:
    """The type of the query's first column. Raises `SqlError` in plain words when it does not bind."""
    try:
        row = sandbox().execute(f"DESCRIBE {query}").fetchone()
    except duckdb.Error as error:
        raise SqlError(f"{where}: {plain_message(error)}") from error
    assert row is not None
    return str(row[1])


def stand_in(columns: Mapping[str, str]) -> str:
    """A relation ``wide`` with these columns, for binding only."""
    nulls = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in columns.items())
    return f"(SELECT {nulls}) AS wide"


def hint(sql: str, kind: str) -> str:
    """A comparison that would make an expression of this type a rule."""
    text = shown(sql)
    if kind.endswith("[]"):
        return f"len({text}) > 0"
    if kind == "VARCHAR":
        return f"{text} = 'photo'"
    return f"{text} >= 0.5" if ORDERABLE.match(kind) else f"{text} IS NOT NULL"
