"""Which SQL functions an expression may use, and a DuckDB of its own to parse and bind it in."""

import functools
import threading

import duckdb

RULE_MACROS = frozenset(
    [
        "array_append",
        "array_pop_back",
        "array_pop_front",
        "array_prepend",
        "array_push_back",
        "array_push_front",
        "array_reverse",
        "array_to_string",
        "date_add",
        "days_in_month",
        "fdiv",
        "fmod",
        "json",
        "list_any_value",
        "list_append",
        "list_avg",
        "list_bit_and",
        "list_bit_or",
        "list_bit_xor",
        "list_bool_and",
        "list_bool_or",
        "list_count",
        "list_entropy",
        "list_first",
        "list_histogram",
        "list_kurtosis",
        "list_kurtosis_pop",
        "list_last",
        "list_mad",
        "list_max",
        "list_median",
        "list_min",
        "list_mode",
        "list_prepend",
        "list_product",
        "list_reverse",
        "list_sem",
        "list_skewness",
        "list_stddev_pop",
        "list_stddev_samp",
        "list_sum",
        "list_var_pop",
        "list_var_samp",
        "map_contains_entry",
        "map_contains_value",
        "nullif",
        "round_even",
        "roundbankers",
        "split_part",
    ]
)
"""DuckDB's own macros that are plain functions of their arguments."""

SAME_ANSWER = "its answer is not the same every time, so a decision could not be repeated"
MEMORY = "it can build values of any size"
OUTSIDE = "it reads files or the environment"
INSIDE = "it reads or changes the database's own state"
REFUSED: dict[str, str] = {
    **dict.fromkeys(("random", "setseed", "uuid", "uuidv4", "uuidv7", "gen_random_uuid"), SAME_ANSWER),
    **dict.fromkeys(("now", "today", "current_date", "current_time", "current_timestamp", "get_current_time"), SAME_ANSWER),
    **dict.fromkeys(("get_current_timestamp", "transaction_timestamp", "localtime", "localtimestamp", "ago", "age"), SAME_ANSWER),
    **dict.fromkeys(("current_localtime", "current_localtimestamp"), SAME_ANSWER),
    **dict.fromkeys(("repeat", "range", "generate_series", "lpad", "rpad", "list_resize", "array_resize", "bar"), MEMORY),
    **dict.fromkeys(("format", "printf", "bitstring", "enum_range", "enum_range_boundary"), MEMORY),
    **dict.fromkeys(("current_setting", "getvariable", "version", "vector_type", "stats", "alias", "typeof_alias"), INSIDE),
    **dict.fromkeys(("json_serialize_plan", "json_serialize_sql", "json_deserialize_sql", "parse_duckdb_log_message"), INSIDE),
    **dict.fromkeys(("write_log", "sleep_ms", "pg_sleep", "nextval", "currval", "error", "in_search_path"), INSIDE),
    **dict.fromkeys(
        ("getenv", "read_text", "read_blob", "glob", "read_csv", "read_parquet", "read_json"), "it reads files or the environment"
    ),
    "unnest": "it makes several rows of one sample; list functions such as list_contains, list_max or len do not",
}
"""Functions that a rule may not use, and why."""

QUERY_ONLY = frozenset(
    [
        "random",
        "uuid",
        "now",
        "today",
        "current_date",
        "current_timestamp",
        "get_current_timestamp",
        "ago",
        "age",
        "repeat",
        "lpad",
        "rpad",
        "format",
        "printf",
        "bar",
        "range",
        "generate_series",
        "unnest",
        "version",
        "error",
        "format_bytes",
        "bitstring",
        "list_string_agg",
        "wavg",
        "weighted_avg",
        "enum_range",
        "current_localtimestamp",
        "json_group_array",
        "json_group_object",
        "json_group_structure",
        "geomean",
        "geometric_mean",
    ]
)
"""What a query by hand may use beyond what a rule may: it is not stored, and need not be repeatable."""

_lock = threading.Lock()


@functools.lru_cache(maxsize=1)
def _sandbox() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    connection.execute("SET threads = 1")
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def sandbox() -> duckdb.DuckDBPyConnection:
    """A cursor on an empty in-memory database without access to files, network or Python variables."""
    with _lock:
        return _sandbox().cursor()


@functools.lru_cache(maxsize=1)
def rule_functions() -> frozenset[str]:
    """Lower-case names of the scalar functions a rule may use.

    Taken from a fresh DuckDB, so that extensions loaded elsewhere never widen the list.
    """
    rows = (
        sandbox()
        .execute(
            "SELECT function_name FROM duckdb_functions() WHERE function_type = 'scalar' GROUP BY function_name "
            "HAVING bool_and(internal AND stability = 'CONSISTENT' AND NOT coalesce(has_side_effects, false))"
        )
        .fetchall()
    )
    names = {str(name).lower() for (name,) in rows if not name.startswith("__internal")}
    return frozenset(names - set(REFUSED)) | RULE_MACROS


@functools.lru_cache(maxsize=1)
def query_functions() -> frozenset[str]:
    """Lower-case names of the functions a query may use: those of rules, aggregates, and harmless changing ones."""
    rows = sandbox().execute("SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'").fetchall()
    return rule_functions() | {str(name).lower() for (name,) in rows} | QUERY_ONLY
