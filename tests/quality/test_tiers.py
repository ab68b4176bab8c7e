import math
import uuid

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import RecipeError, SqlError
from quality.funnel import funnel, movement
from quality.rule_reader import parse_tiers
from quality.rules import Balance, Mix, Rule, Shares, Top, describe
from quality.tiers import compile_tiers

COLUMNS = "sample_id UUID, error VARCHAR, width INTEGER, aesthetic FLOAT, aigc DOUBLE, concept VARCHAR, is_duplicate BOOLEAN"
NAN = float("nan")


def lake(rows):
    """A connection whose ``wide`` has these rows; sample ids are 0, 1, 2, ..."""
    con = duckdb.connect()
    con.execute(f"CREATE TABLE wide ({COLUMNS.replace('error', chr(34) + 'error' + chr(34))})")
    names = ("error", "width", "aesthetic", "aigc", "concept", "is_duplicate")
    if rows:
        con.executemany(
            "INSERT INTO wide VALUES (?, ?, ?, ?, ?, ?, ?)",
            [[uuid.UUID(int=i), *(row.get(n) for n in names)] for i, row in enumerate(rows)],
        )
    return con


def apply(con, tiers):
    """(tier, failed rules) of each sample, by its number."""
    compiled = compile_tiers(con, parse_tiers(tiers))
    relation = con.sql(compiled.select_sql)
    assert [str(t) for t in relation.types] == ["UUID", "VARCHAR", "VARCHAR[]"]
    return {row[0].int: (row[1], row[2]) for row in relation.fetchall()}


def tier_of(result):
    return [result[i][0] for i in sorted(result)]


def test_tiers_and_all_reasons():
    con = lake(
        [
            {"width": 300, "aesthetic": 6.0, "is_duplicate": False},
            {"width": 300, "aesthetic": 4.0, "is_duplicate": False},
            {"width": 100, "aesthetic": 4.0, "is_duplicate": True},
            {"width": 300, "aesthetic": None, "is_duplicate": False},
            {"error": "truncated", "width": 300, "aesthetic": 6.0, "is_duplicate": None},
        ]
    )
    rules = {"silver": {"big enough": "width >= 256", "unique": "not is_duplicate"}, "gold": {"from": "silver", "pretty": "aesthetic >= 5"}}
    assert apply(con, rules) == {
        0: ("gold", []),
        1: ("silver", ["gold.pretty"]),
        2: ("bronze", ["silver.big enough", "silver.unique", "gold.pretty"]),
        3: ("silver", ["gold.pretty (unknown)"]),
        4: ("rejected", ["bronze.readable", "silver.unique (unknown)"]),
    }


def test_nan_and_what_cannot_be_computed_are_unknown():
    con = lake([{"aesthetic": NAN, "concept": "7"}, {"aesthetic": 9.0, "concept": "x"}])
    result = apply(con, {"gold": {"pretty": "aesthetic >= 5", "number": "cast(concept as integer) > 3", "root": "sqrt(-aesthetic) > 0"}})
    assert result[0][1] == ["gold.pretty (unknown)", "gold.root (unknown)"]
    assert result[1][1] == ["gold.number (unknown)", "gold.root (unknown)"]


def test_nan_ranks_nowhere():
    con = lake([{"aesthetic": a} for a in (1.0, NAN, 3.0, 2.0)])
    result = apply(con, {"gold": {"top": "50% by aesthetic"}})
    assert tier_of(result) == ["bronze", "bronze", "gold", "gold"]
    assert result[1][1] == ["gold.top (unknown)"]


def test_from_must_be_passed_and_is_not_listed_again():
    con = lake([{"width": 1, "aesthetic": 9.0}])
    assert apply(con, {"silver": {"big": "width > 5"}, "gold": {"from": "silver", "pretty": "aesthetic > 5"}})[0] == (
        "bronze",
        ["silver.big"],
    )
    assert apply(con, {"silver": {"big": "width > 5"}, "gold": {"pretty": "aesthetic > 5"}})[0] == ("gold", ["silver.big"])


def test_user_named_tiers_in_order():
    con = lake([{"width": w} for w in (1, 10, 100)])
    result = apply(con, {"draft": {"a": "width > 5"}, "release-2": {"from": "draft", "b": "width > 50"}})
    assert tier_of(result) == ["bronze", "draft", "release-2"]


def test_no_tiers_and_an_empty_lake():
    assert tier_of(apply(lake([{"width": 1}, {"error": "x"}]), {})) == ["bronze", "rejected"]
    assert apply(lake([]), {"gold": {"top": "10% by aesthetic", "mix": {"where": "aigc > 0", "max_share": 0.5}}}) == {}


def test_set_rules_look_only_at_what_passed_the_plain_rules():
    con = lake([{"width": 1, "aesthetic": 9.0}, {"width": 9, "aesthetic": 5.0}, {"width": 9, "aesthetic": 4.0}])
    result = apply(con, {"gold": {"top": "50% by aesthetic", "big": "width > 5"}})
    assert result == {0: ("bronze", ["gold.big"]), 1: ("gold", []), 2: ("bronze", ["gold.top"])}


def test_order_is_top_then_balance_then_mix():
    rows = [{"aesthetic": float(9 - i), "concept": "cat", "aigc": float(i % 2)} for i in range(8)]
    rules = {
        "mix": {"where": "aigc >= 0.5", "max_share": 0.34, "prefer": "aesthetic"},
        "balance": {"by": "concept", "cap": 3, "prefer": "aesthetic"},
        "top": "50% by aesthetic",
    }
    result = apply(lake(rows), {"gold": rules})
    assert [result[i][1] for i in range(8)] == [[], [], [], ["gold.balance"], *[["gold.top"]] * 4]


def test_ties_go_by_sample_id_and_unknown_groups_fail():
    con = lake([{"concept": "a", "aesthetic": 1.0}] * 3 + [{"concept": None}])
    result = apply(con, {"gold": {"balance": {"by": "concept", "cap": 2, "prefer": "aesthetic"}}})
    assert [result[i][1] for i in range(4)] == [[], [], ["gold.balance"], ["gold.balance (unknown)"]]


values = st.one_of(st.none(), st.just(NAN), st.floats(-100, 100, width=32))
samples = st.lists(
    st.fixed_dictionaries(
        {
            "error": st.sampled_from([None, None, None, "broken"]),
            "width": st.integers(0, 10),
            "aesthetic": values,
            "aigc": st.one_of(st.none(), st.floats(0, 1)),
            "concept": st.sampled_from(["cat", "dog", "sky", None]),
        }
    ),
    max_size=40,
)


def known(value):
    return value is not None and not (isinstance(value, float) and math.isnan(value))


@settings(max_examples=30)
@given(rows=samples, percent=st.integers(1, 100), cap=st.integers(1, 5), share=st.sampled_from([0.0, 0.1, 0.25, 0.29, 0.5, 0.9, 1.0]))
def test_set_rules_agree_with_a_plain_reading_of_them(rows, percent, cap, share):
    result = apply(
        lake(rows),
        {
            "silver": {"big": "width >= 3"},
            "gold": {
                "from": "silver",
                "top": f"{percent}% by aesthetic",
                "balance": {"by": "concept", "cap": cap, "prefer": "aesthetic"},
                "mix": {"where": "aigc >= 0.5", "max_share": share, "prefer": "aigc"},
            },
        },
    )
    assert sorted(result) == list(range(len(rows)))
    pool = [i for i, row in enumerate(rows) if row["error"] is None and row["width"] >= 3]
    ranked = sorted((i for i in pool if known(rows[i]["aesthetic"])), key=lambda i: (-rows[i]["aesthetic"], i))
    top = ranked[: math.ceil(len(ranked) * percent / 100)]
    balanced = []
    for concept in ("cat", "dog", "sky"):
        balanced += [i for i in top if rows[i]["concept"] == concept][:cap]
    others = [i for i in balanced if known(rows[i]["aigc"]) and rows[i]["aigc"] < 0.5]
    matching = sorted((i for i in balanced if known(rows[i]["aigc"]) and rows[i]["aigc"] >= 0.5), key=lambda i: (-rows[i]["aigc"], i))
    room = max(m for m in range(len(matching) + 1) if m <= share * (m + len(others)) + 1e-9)
    gold = {*others, *matching[:room]}
    assert {i for i, (tier, _) in result.items() if tier == "gold"} == gold
    assert all((tier == "rejected") == (rows[i]["error"] is not None) for i, (tier, _) in result.items())
    assert all((not failed) == (i in gold) for i, (tier, failed) in result.items())


@settings(max_examples=30)
@given(rows=samples, cat=st.sampled_from([0.0, 0.1, 1 / 3, 0.5, 0.75]), rest=st.sampled_from([0.0, 0.1, 0.25]))
def test_shares_are_the_largest_set_with_these_proportions(rows, cat, rest):
    share = {"cat": cat, "dog": 1 - cat - rest, "sky": rest}
    rule = {"by": "concept", "shares": {"cat": cat, "dog": 1 - cat - rest}, "rest": rest, "prefer": "aesthetic"}
    result = apply(lake(rows), {"gold": {"shares": rule}})
    preferred = sorted(
        (i for i, row in enumerate(rows) if row["error"] is None),
        key=lambda i: (-(rows[i]["aesthetic"] if known(rows[i]["aesthetic"]) else -math.inf), i),
    )
    held = {concept: [i for i in preferred if rows[i]["concept"] == concept] for concept in share}
    total = min(math.floor(len(held[concept]) / part + 1e-6) for concept, part in share.items() if part)
    gold = {i for i, (tier, _) in result.items() if tier == "gold"}
    for concept, part in share.items():
        kept = [i for i in held[concept] if i in gold]
        assert abs(len(kept) - total * part) < 0.51
        assert kept == held[concept][: len(kept)]
    assert len(gold) == sum(i in gold for ids in held.values() for i in ids)


def test_a_share_that_no_decimal_is_leaves_nobody_out():
    rows = lake([{"concept": c} for c in ("cat", "cat", "cat", "dog", "dog")])
    result = apply(rows, {"gold": {"mine": {"by": "concept", "shares": {"cat": 1 / 3, "dog": 2 / 3}}}})
    assert [tier for tier, _ in result.values()] == ["gold", "bronze", "bronze", "gold", "gold"]


def test_a_value_without_its_share_and_one_that_no_share_names():
    con = lake([{"concept": c} for c in ("cat", "cat", "cat", "dog", "sky", None)])
    result = apply(con, {"gold": {"mine": {"by": "concept", "shares": {"cat": 0.5, "dog": 0.5}}}})
    assert [result[i][1] for i in range(6)] == [[], ["gold.mine"], ["gold.mine"], [], ["gold.mine"], ["gold.mine (unknown)"]]
    assert not [t for t, _ in apply(con, {"gold": {"m": {"by": "concept", "shares": {"cat": 0.5, "bird": 0.5}}}}).values() if t == "gold"]
    con.execute("UPDATE wide SET width = right(sample_id::VARCHAR, 1)::INTEGER")
    booleans = apply(con, {"gold": {"m": {"by": "width < 3", "shares": {True: 0.75, False: 0.25}, "prefer": "-width"}}})
    assert [tier for tier, _ in booleans.values()].count("gold") == 4


def test_funnel_counts_alone_in_order_and_unknown():
    con = lake(
        [{"width": 9, "aesthetic": 1.0}, {"width": 9, "aesthetic": None}, {"width": 1, "aesthetic": 9.0}, {"error": "x", "width": 9}]
    )
    rules = {"silver": {"big": "width > 5"}, "gold": {"from": "silver", "top": "10% by aesthetic"}}
    compiled = compile_tiers(con, parse_tiers(rules))
    assert [tuple(row.values()) for row in funnel(con, compiled)] == [
        ("bronze", "readable", 3, 3, 0),
        ("silver", "big", 3, 2, 0),
        ("gold", "top", 1, 1, 1),
    ]


def test_funnel_of_a_rule_that_is_unknown_for_all():
    con = lake([{"width": 9, "aesthetic": None}, {"width": 9, "aesthetic": None}])
    compiled = compile_tiers(con, parse_tiers({"gold": {"pretty": "aesthetic > 5"}}))
    assert [tuple(row.values()) for row in funnel(con, compiled)] == [("bronze", "readable", 2, 2, 0), ("gold", "pretty", 0, 0, 2)]


def test_movement_names_examples_and_leaves_out_what_stays():
    con = lake([{"width": w} for w in (1, 5, 9)])
    compiled = compile_tiers(con, parse_tiers({"gold": {"big": "width > 3"}}))
    now = f"SELECT '{uuid.UUID(int=1)}'::UUID AS sample_id, 'bronze' AS tier UNION ALL SELECT '{uuid.UUID(int=2)}', 'gold'"
    moves = [(m.from_tier, m.to_tier, m.count, m.examples) for m in movement(con, compiled, now)]
    assert sorted(moves, key=str) == [
        ("bronze", "gold", 1, (str(uuid.UUID(int=1)),)),
        (None, "bronze", 1, (str(uuid.UUID(int=0)),)),
    ]
    assert movement(con, compiled, f"SELECT sample_id, tier FROM ({compiled.select_sql})") == []


def test_wide_may_be_a_view_and_only_named_columns_are_read():
    con = lake([{"width": 9}])
    con.execute("CREATE VIEW \"other view\" AS SELECT *, CAST(error('read') AS INTEGER) AS trap FROM wide")
    compiled = compile_tiers(con, parse_tiers({"gold": {"big": "width > 3"}}), wide='"other view"')
    assert compiled.columns == ("error", "sample_id", "width")
    assert con.execute(compiled.select_sql).fetchone()[1] == "gold"


def test_wrong_rules_are_reported_together_with_their_lines():
    con = lake([])
    rules = {"silver": {"a": "aestetic > 5", "b": "width"}, "gold": {"top": "10% by concept", "mix": {"where": "aigc", "max_share": 0.1}}}
    tiers = parse_tiers(rules, {("silver", "a"): 7, ("silver", "b"): 8, ("gold", "top"): 10})
    with pytest.raises(SqlError) as caught:
        compile_tiers(con, tiers)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "rule silver.a, line 7",
        "rule silver.b, line 8",
        "rule gold.top, line 10",
        "rule gold.mix",
    ]
    assert "'aesthetic'" in lines[0]


def test_forms_of_rules():
    tier, release = parse_tiers(
        {
            "gold": {
                "plain": "width > 1",
                "top": "30% by aesthetic",
                "sharpest": "TOP 12.5 % BY width * 2",
                "even": {"by": "concept", "cap": 5},
                "real": {"where": "aigc > 0.5", "max_share": 0.1, "prefer": "aesthetic"},
            },
            "release": {"styles": {"by": "style", "shares": {"photo": 0.333, 3: 0.333}, "rest": 0.333, "prefer": "aesthetic"}},
        }
    ).tiers
    assert tier.rules == (
        Rule("plain", "width > 1"),
        Top("top", 30.0, "aesthetic"),
        Top("sharpest", 12.5, "width * 2"),
        Balance("even", "concept", 5),
        Mix("real", "aigc > 0.5", 0.1, "aesthetic"),
    )
    assert release.rules == (Shares("styles", "style", (("photo", 1 / 3), ("3", 1 / 3)), 1 / 3, "aesthetic"),)
    assert describe(release.rules[0]) == "33.33% 'photo', 33.33% '3', 33.33% others by style, by highest aesthetic"


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"gold": {"top": "many"}}, "30% by aesthetic"),
        ({"gold": {"best": "top 0% by width"}}, "more than 0%"),
        ({"gold": {"best": "top 101% by width"}}, "at most 100%"),
        ({"gold": {"best": "top 10% by (select 1)"}}, "query of its own"),
        ({"gold": {"x": True}}, "true or false"),
        ({"gold": {"x": 3}}, "not an SQL expression"),
        ({"gold": {"x": None}}, "not an SQL expression"),
        ({"gold": {"x": {"by": "concept"}}}, "lacks 'cap'"),
        ({"gold": {"x": {"by": "concept", "cap": 0}}}, "1 or more"),
        ({"gold": {"x": {"by": "concept", "cap": True}}}, "1 or more"),
        ({"gold": {"x": {"by": 3, "cap": 1}}}, "an SQL expression is needed"),
        ({"gold": {"x": {"where": "a > 1", "max_share": 10}}}, "0 to 1"),
        ({"gold": {"x": {"where": "a > 1", "max_shar": 0.1}}}, "'max_share'"),
        ({"gold": {"x": {"where": "a > 1", "max_share": 0.1}, "y": {"where": "b > 1", "max_share": 0.1}}}, "tier of its own"),
        ({"gold": {"x": {"where": "a > 1", "max_share": 0.1}, "y": {"by": "b", "shares": {"c": 1}}}}, "tier of its own"),
        ({"gold": {"x": {"by": "b", "shares": {"c": 0.5}}}}, "add up to 0.5"),
        ({"gold": {"x": {"by": "b", "shares": {"c": 1.5, "d": -0.5}}}}, "0 to 1"),
        ({"gold": {"x": {"by": "b", "shares": {1: 0.5, "1": 0.5}}}}, "twice"),
        ({"gold": {"x": {"by": "b", "shares": {None: 1}}}}, "coalesce"),
        ({"gold": {"x": {"by": "b", "shares": []}}}, "the share of each value"),
        ({"gold": {"x": {"by": "b", "rest": 0.5}}}, "lacks 'shares'"),
        ({"gold": {"from": "silver"}}, "no earlier tier"),
        ({"silver": {}, "gold": {"from": "silvr"}}, "Did you mean 'silver'"),
        ({"bronze": {"x": "a > 1"}}, "always there"),
        ({"my tier": {}}, "letters, digits"),
        ({"gold": ["a > 1"]}, "'name: SQL'"),
        ({"gold": {"a=b": "a > 1"}}, "without '='"),
    ],
)
def test_rules_that_cannot_be_meant(rules, words):
    with pytest.raises(RecipeError) as caught:
        parse_tiers(rules)
    assert words in str(caught.value)
