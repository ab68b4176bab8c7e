"""Compares what the pipeline decided with what was planted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.demo_defects import COPIES, SHARES

CHECKS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(COPIES, ("gold.unique",)),
    **dict.fromkeys(("truncated file", "empty file", "decompression bomb"), ("bronze.readable",)),
    "blurred": ("silver.sharp",),
    "too dark": ("silver.lit",),
    "tiny": ("silver.big enough",),
    "blank": ("silver.not blank",),
    "animated": ("silver.still",),
    "junk caption": ("gold.described", "gold.no contacts"),
    "empty caption": ("gold.described",),
    "wrong caption": ("gold.matches", "gold.agrees"),
}
"""The rules that are there to catch each planted defect. A defect whose rules are not in the recipe is not measured."""


@dataclass(frozen=True)
class Score:
    """One line of the table. ``caught`` and ``false_alarms`` are None where the recipe measures nothing of the kind.

    ``gold``: how many of the planted samples ended in gold; of copies that are kept instead of their original, rightly so.
    """

    defect: str
    rules: tuple[str, ...]
    planted: int
    gold: int
    caught: int | None
    false_alarms: int | None

    @property
    def missed(self) -> int | None:
        return None if self.caught is None else self.planted - self.caught


def score(labels: Iterable[Mapping[str, str]], wide: Iterable[Mapping[str, Any]], rules: Iterable[str]) -> list[Score]:
    """Compares labels (``key, defect, of``) with outcomes (``key, tier, failed_rules, is_duplicate, duplicate_group``).

    ``rules``: all the recipe has, as 'tier.rule'. A defect is caught when its sample is not gold and failed a rule that is there for it.
    Of a copy and its original either may be kept: it is caught when both are in one group and one of them is marked as the duplicate.
    A false alarm is a clean sample that failed such a rule, except an original whose own copy was kept in its place.
    """
    labels, outcome, known = list(labels), {row["key"]: row for row in wide}, set(rules)
    copies: dict[str, list[str]] = {}
    for label in labels:
        if label["of"]:
            copies.setdefault(label["of"], []).append(label["key"])

    def failed(key: str, wanted: Iterable[str]) -> bool:
        row = outcome.get(key)
        # "silver.sharp (not measured)" is the rule silver.sharp with a note
        names = {rule.partition(" (")[0] for rule in row["failed_rules"] or ()} if row else set()
        return row is not None and row["tier"] != "gold" and not names.isdisjoint(wanted)

    def paired(one: str, other: str) -> bool:
        a, b = outcome.get(one), outcome.get(other)
        return bool(a and b and a["duplicate_group"] is not None and a["duplicate_group"] == b["duplicate_group"])

    table = []
    for defect in SHARES:
        ours = [label for label in labels if label["defect"] == defect]
        wanted = tuple(rule for rule in CHECKS[defect] if rule in known)
        caught = alarms = None
        if wanted and defect in COPIES:
            caught = sum(paired(c["key"], c["of"]) and (failed(c["key"], wanted) or failed(c["of"], wanted)) for c in ours)
        elif wanted:
            caught = sum(failed(label["key"], wanted) for label in ours)
        if wanted:
            clean = [label["key"] for label in labels if not label["defect"] and failed(label["key"], wanted)]
            alarms = sum(defect not in COPIES or not any(paired(key, copy) for copy in copies.get(key, ())) for key in clean)
        gold = sum(outcome[label["key"]]["tier"] == "gold" for label in ours if label["key"] in outcome)
        table.append(Score(defect, wanted or CHECKS[defect], len(ours), gold, caught, alarms))
    return table


def clean_in_gold(labels: Iterable[Mapping[str, str]], wide: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
    """How many clean samples are gold themselves, and how many others have a planted copy of theirs there in their place."""
    labels, gold = list(labels), {row["key"] for row in wide if row["tier"] == "gold"}
    clean = {label["key"] for label in labels if not label["defect"]}
    replaced = {label["of"] for label in labels if label["key"] in gold and label["of"]}
    return len(clean & gold), len(clean & replaced - gold)
