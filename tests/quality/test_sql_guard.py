import threading

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manifests.errors import SqlError
from quality.sql_functions import REFUSED, query_functions, rule_functions
from quality.sql_guard import canonical, check_expression, check_order, check_query
from quality.sql_tree import MAX_LENGTH


@pytest.fixture(scope="module")
def con():
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE wide AS SELECT uuid() AS sample_id, 1.0::FLOAT AS aesthetic, 'photo' AS style, 3 AS width, 4 AS height, "
        "true AS is_duplicate, NULL::VARCHAR AS \"error\", [1, 2] AS sizes, '{}'::JSON AS metadata, DATE '2020-01-01' AS taken, "
        "[{'kind': 'c2pa', 'strength': 'proof'}] AS aigc_evidence"
    )
    connection.execute("CREATE SEQUENCE serial")
    yield connection
    connection.close()


GOOD = [
    "error is null",
    "least(width, height) >= 256",
    "not is_duplicate",
    "style <> 'photo' or aesthetic < 0.5     -- strict on photographs, lenient on drawings",
    "wide.aesthetic > 1 /* a note */",
    "style in ('photo', 'it''s') and width between 1 and 2",
    "case when style = 'photo' then aesthetic > 5 else true end",
    "len(list_filter(aigc_evidence, e -> e.strength = 'proof')) = 0",
    "len(list_filter(aigc_evidence, lambda e: e.strength = 'proof')) = 0",
    "metadata->>'$.licence' = 'CC0'",
    "style like '%;--%' or style ilike 'x%' or style similar to 'a|b'",
    "try_cast(style as int) = 1",
    "taken > DATE '2019-12-31'",
    "coalesce(aesthetic, 0) > nullif(width, 1)",
    '"error" is null and "width" > 3',
    "sizes[1] = 1",
    "regexp_matches(style, '^p.*o$')",
    "style = '写真' or style = '🖼'",
]
HOSTILE = [
    "",
    "   ",
    "-- only a comment",
    "true; drop table wide",
    "true); drop table wide; --",
    "true) from wide; attach 'x.db' as x; --",
    "true) and (true",
    "1, 2",
    "true as answer",
    "true answer",
    "true from other",
    "true limit 1",
    "true union select true",
    "true where true",
    "true order by 1",
    "(select true)",
    "exists (from wide)",
    "width in (select 1)",
    "width > all (select 1)",
    "array(select 1) = [1]",
    "(with x as (select true) from x)",
    "(from read_csv('/etc/passwd')) is null",
    "read_text('/etc/passwd') is null",
    "read_blob('/etc/passwd') is null",
    "glob('/*') is null",
    "getenv('HOME') = 'x'",
    "current_setting('home_directory') = 'x'",
    "getvariable('x') = 1",
    "nextval('serial') > 0",
    "random() < 0.5",
    "uuid() is null",
    "now() > taken",
    "current_timestamp > taken",
    "current_date > taken",
    "today() > taken",
    "age(taken) > interval 1 day",
    "current_user = 'me'",
    "user = 'me'",
    "rowid > 1",
    "#1 is null",
    "? > 1",
    "$x > 1",
    "* is null",
    "columns(*) is null",
    "count(*) > 1",
    "sum(width) > 1",
    "row_number() over () > 1",
    "sum(width) over () > 1",
    "unnest(sizes) > 1",
    "len(repeat('a', 1000000000)) > 1",
    "len(range(1000000000000)) > 1",
    "lpad(style, 1000000000, 'x') = ''",
    "format('{:1000000000}', 1) = ''",
    "write_log('x') is null",
    "sleep_ms(10000) is null",
    "pg_sleep(10) is null",
    "error('stop')",
    "json_execute_serialized_sql('x') is null",
    "query('select 1') is null",
    "system.main.len(style) > 1",
    "other.len(style) > 1",
    "grouping(width) = 1",
    "default",
    "x -> 1",
    "copy wide to 'x.csv'",
    "pragma version",
    "set threads = 1",
    "insert into wide values (1)",
    "aesthetic = 1 /* open",
    "style = 'open",
    'style = "open',
    "style = $$open",
    "true\x00",
    "true\x1b[2J",
    "\udc80 = 1",
    "a" * (MAX_LENGTH + 1),
    "(" * 9000 + "true" + ")" * 900,
    "not " * 4000 + "true",
    "abs(" * 3000 + "1" + ")" * 3000,
    "[" * 9000,
    "1" + "+1" * 5000 + " > 0",
    "case when true then " * 800 + "true" + " end" * 800,
]


@pytest.mark.parametrize("sql", GOOD)
def test_ordinary_rules_pass_and_can_be_computed(con, sql):
    check_expression(con, sql, "wide")
    assert con.execute(f"SELECT ({sql}\n) FROM wide").fetchone()[0] in (True, False, None)


@pytest.mark.parametrize("sql", HOSTILE, ids=lambda sql: ascii(sql)[:40])
def test_everything_else_is_refused_with_a_sentence(con, sql):
    with pytest.raises(SqlError) as caught:
        check_expression(con, sql, "wide", where="rule gold.x, line 3")
    message = str(caught.value)
    assert message.startswith("rule gold.x, line 3")
    assert "\n" not in message
    assert len(message) < 600


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("aestetic >= 5", ["no column 'aestetic'", "'aesthetic'"]),
        ("lenn(style) > 1", ["no function lenn", "'len'"]),
        ("aesthetic", ["type FLOAT", "aesthetic >= 0.5"]),
        ("style", ["type VARCHAR", "style = 'photo'"]),
        ("sizes", ["INTEGER[]", "len(sizes) > 0"]),
        ('style <> "drawing"', ["no column 'drawing'", "single quotes: 'drawing'"]),
        ("random() > 0.5", ["random", "not the same every time"]),
        ("count(*) > 2", ["several samples", "balance"]),
        ("abs(sizes) > 1", ["abs(INTEGER[])"]),
        ("style = 3 and", ["not valid SQL"]),
    ],
)
def test_messages_say_what_to_write_instead(con, sql, words):
    with pytest.raises(SqlError) as caught:
        check_expression(con, sql, "wide")
    assert all(word in str(caught.value) for word in words), caught.value


def test_expected_types(con):
    check_expression(con, "aesthetic * 2", "wide", expected="NUMBER")
    check_expression(con, "style", "wide", expected="ANY")
    with pytest.raises(SqlError, match="a number is needed"):
        check_expression(con, "style", "wide", expected="NUMBER")


def test_a_function_of_the_lake_does_not_become_usable(con):
    con.execute("CREATE OR REPLACE MACRO spy(x) AS (SELECT count(*) FROM wide)")
    with pytest.raises(SqlError, match="no function spy"):
        check_expression(con, "spy(1) > 0", "wide")


def test_order_lists(con):
    check_order(con, "width * height desc, aesthetic desc nulls last", "wide")
    for sql in ("", "1", "all", "random()", "width limit 1", "width desc; select 1", "width) from wide --", "(select 1)", "nope desc"):
        with pytest.raises(SqlError):
            check_order(con, sql, "wide")


@pytest.mark.parametrize(
    "sql",
    [
        "from wide",
        "select style, count(*) from wide group by all order by 2 desc limit 3",
        "with x as (select max(aesthetic) as best from wide) select * from wide, x where aesthetic = best",
        "select *, row_number() over (partition by style order by aesthetic) from wide",
        "describe wide",
        "summarize wide",
        "show tables",
        "select unnest(sizes) from wide using sample 3 rows",
        "select * from memory.main.wide, range(3)",
        "values (1)",
        "select now(), random()",
    ],
)
def test_queries_that_read_the_lake_pass(con, sql):
    check_query(con, sql)
    con.execute(sql).fetchall()


@pytest.mark.parametrize(
    "sql",
    [
        *(
            "",
            "select 1; select 2",
            "drop table wide",
            "insert into wide select * from wide",
            "update wide set width = 1",
            "delete from wide",
        ),
        *(
            "copy wide to 'x.csv'",
            "attach 'x.db'",
            "pragma version",
            "set threads = 1",
            "call pragma_version()",
            "install httpfs",
            "load x",
        ),
        *(
            "from 'x.parquet'",
            "from read_csv('x')",
            "from glob('*')",
            "from duckdb_secrets()",
            "from duckdb_settings()",
            "from query('from wide')",
        ),
        *("from information_schema.tables", "from duckdb_tables", "from pragma_database_size()", "describe 'x.csv'", "show all tables"),
        *("select current_setting('x')", "select getenv('x')", "select nextval('serial')", "select pg_sleep(9)", "select write_log('x')"),
        *(
            "select (from 'x.csv')",
            "with \"x.csv\" as (select 1) select * from (select 1), 'x.csv'",
            "with duckdb_tables as (select 1) from wide",
        ),
        "with duckdb_tables as (select 1) from wide",
        *("select ?", "explain analyze select 1", "from sqlite_master", "from system.main.duckdb_tables", "select * from other.main.wide"),
    ],
)
def test_queries_that_reach_further_are_refused(con, sql):
    with pytest.raises(SqlError):
        check_query(con, sql)


def test_lists_of_functions_do_not_overlap():
    assert not rule_functions() & set(REFUSED)
    assert rule_functions() < query_functions()
    assert {"least", "len", "list_filter", "regexp_matches", "+", "~~"} <= rule_functions()


def test_canonical_form_ignores_comments_and_layout():
    assert canonical("aesthetic>=5.0 -- pretty") == canonical("( aesthetic  >=\n 5.0 )")
    assert canonical("aesthetic >= 5.0") != canonical("aesthetic >= 5.5")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.sampled_from("aw()[]{}'\";-/*,.:=<>1 $?#\n\\é") | st.characters(), max_size=40))
def test_any_text_is_a_rule_or_an_sql_error(con, text):
    try:
        check_expression(con, text, "wide")
    except SqlError:
        return
    assert con.execute(f"SELECT typeof(any_value(({text}\n))) FROM wide").fetchone() == ("BOOLEAN",)


def test_many_threads_may_check_at_once(con):
    problems: list[BaseException] = []

    def work(cursor: duckdb.DuckDBPyConnection) -> None:
        try:
            for _ in range(20):
                check_expression(cursor, "least(width, height) >= 256", "wide")
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(con.cursor(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
