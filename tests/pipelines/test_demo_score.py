from typing import Any

from pipelines.demo_defects import SHARES
from pipelines.demo_score import CHECKS, Score, clean_in_gold, score

RULES = {rule for rules in CHECKS.values() for rule in rules} - {"gold.matches", "gold.agrees"}


def label(key: str, defect: str = "", of: str = "") -> dict[str, str]:
    return {"key": key, "defect": defect, "of": of}


def row(key: str, *failed: str, group: str | None = None) -> dict[str, Any]:
    return {"key": key, "tier": "silver" if failed else "gold", "failed_rules": list(failed), "duplicate_group": group}


def line(defect: str, labels: list[dict[str, str]], wide: list[dict[str, Any]]) -> Score:
    return next(s for s in score(labels, wide, RULES) if s.defect == defect)


def test_every_defect_has_a_line_and_a_check() -> None:
    assert [s.defect for s in score([], [], RULES)] == list(SHARES)
    assert set(CHECKS) == set(SHARES)


def test_caught_missed_and_false_alarms() -> None:
    labels = [label("a", "blurred"), label("b", "blurred"), label("c"), label("d"), label("e", "too dark")]
    wide = [row("a", "silver.sharp"), row("b"), row("c", "silver.sharp"), row("d"), row("e", "silver.sharp")]
    found = line("blurred", labels, wide)
    assert (found.planted, found.caught, found.missed, found.false_alarms) == (2, 1, 1, 1)
    assert line("too dark", labels, wide).caught == 0  # failing another rule does not count


def test_a_sample_that_never_arrived_is_missed() -> None:
    assert line("truncated file", [label("a", "truncated file")], []).missed == 1


def test_what_the_recipe_does_not_measure_is_not_called_missed() -> None:
    found = line("wrong caption", [label("a", "wrong caption")], [row("a")])
    assert (found.planted, found.gold, found.caught, found.missed, found.false_alarms) == (1, 1, None, None, None)


def test_of_a_copy_and_its_original_either_may_be_kept() -> None:
    labels = [label("o"), label("c", "resized copy", "o")]
    for wide in (
        [row("o", group="g"), row("c", "gold.unique", group="g")],
        [row("o", "gold.unique", group="g"), row("c", group="g")],
    ):
        found = line("resized copy", labels, wide)
        assert (found.caught, found.false_alarms) == (1, 0)


def test_copies_in_different_groups_or_both_kept_are_missed() -> None:
    labels = [label("o"), label("c", "resized copy", "o"), label("x")]
    assert line("resized copy", labels, [row("o", group="g"), row("c", group="g"), row("x")]).caught == 0
    apart = [row("o", "gold.unique", group="g"), row("c", "gold.unique", group="h"), row("x", "gold.unique", group="g")]
    found = line("resized copy", labels, apart)
    assert (found.caught, found.false_alarms) == (0, 2)


def test_an_original_may_be_in_gold_through_its_copy() -> None:
    labels = [label("a"), label("o"), label("c", "exact copy", "o"), label("x"), label("y", "exact copy", "x"), label("w", "blurred")]
    wide = [row("a"), row("o", "gold.unique"), row("c"), row("x", "gold.described"), row("y", "gold.described"), row("w")]
    assert clean_in_gold(labels, wide) == (1, 1)
