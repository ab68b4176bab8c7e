import duckdb
import pytest

from quality.leaves import leaves


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("sharpness >= 20", [("sharpness", ">=", 20.0)]),
        ("0.5 > aesthetic", [("aesthetic", "<", 0.5)]),
        ("not (a < 3)", [("a", ">=", 3.0)]),
        ("least(width, height) >= 200 + 56", [("least(width, height)", ">=", 256.0)]),
        ("aspect between 0.5 and 2", [("aspect", ">=", 0.5), ("aspect", "<=", 2.0)]),
        ("style <> 'photo' or moire < -1.5", [("moire", "<", -1.5)]),
        ("not is_duplicate", []),
        ("style = 'photo'", []),
        ("caption > 'm'", []),
        ("top 30% by aesthetic", []),
        ("at most 5 for each concept", []),
        ("width >= height", []),
    ],
)
def test_comparisons_with_a_number(sql: str, found: list[tuple[str, str, float]]) -> None:
    assert [(leaf.signal, leaf.op, leaf.value) for leaf in leaves("gold", "rule", sql)] == found


@pytest.mark.parametrize(
    "sql",
    [
        "a >= 2",
        "a >= 2 and b",
        "a >= 2 or b",
        "not (a >= 2 and b)",
        "b or (c and not a < 2)",
        "a between 1 and 2 or c",
        "case when b then a > 1 else c end",
        "b = 'a(b' or a < 2",
    ],
)
def test_the_three_sides_say_what_the_rule_says(sql: str) -> None:
    with duckdb.connect() as con:
        kind = "VARCHAR" if "'" in sql else "BOOLEAN"
        values = "(VALUES (1), (2), (3), (NULL)) x(a), (VALUES (true), (false), (NULL)) y(b), (VALUES (true), (false)) z(c)"
        con.execute(f"CREATE TABLE t AS SELECT * FROM {values}")
        con.execute(f"CREATE VIEW wide AS SELECT a, CAST(b AS {kind}) AS b, c FROM t")
        for leaf in leaves("gold", "rule", sql):
            comparison = f"({leaf.signal} {leaf.op} {leaf.value})"
            pieced = f"CASE WHEN {comparison} IS NULL THEN ({leaf.unknown}) WHEN {comparison} THEN ({leaf.yes}) ELSE ({leaf.no}) END"
            assert con.execute(f"SELECT count(*) FROM wide WHERE ({pieced}) IS DISTINCT FROM ({sql})").fetchone() == (0,)
            again = leaf.pattern.format(leaf.value)
            assert con.execute(f"SELECT count(*) FROM wide WHERE ({again}) IS DISTINCT FROM ({sql})").fetchone() == (0,)
