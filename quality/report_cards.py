"""The cards of the report: every signal with its histogram, its threshold and what stands on both sides of it."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from manifests import Lake
from manifests.connection import identifier
from quality import report_data as data
from quality.distributions import Distribution, distribution
from quality.flat import FLAT, measures
from quality.leaves import Leaf
from quality.sql_guard import relation_columns

AROUND, MOST_AROUND = 4, 12
"""Pictures in a strip beside a threshold, and thresholds that get one."""


@dataclass(frozen=True, eq=False)
class Card:
    """A signal with its histogram; ``leaf`` is the threshold of a rule on it, ``number`` its place in the simulation."""

    one: Distribution
    leaf: Leaf | None
    number: int | None
    unit: str
    doc: str
    strips: Sequence[tuple[str, Sequence[str]]] = ()


def cards_of(
    lake: Lake, kinds: Mapping[str, str], found: Sequence[Leaf], tiers: Sequence[str], documented: Mapping[str, tuple[str, str]]
) -> tuple[list[Card], list[tuple[Leaf, Distribution, str]]]:
    """A card for every threshold, then one for every signal without one; and what the simulation moves."""
    names = lake.query(f"SELECT coalesce(tier, 'no tier') AS tier FROM {FLAT} WHERE \"error\" IS NULL").column("tier").to_numpy()
    inside = {tier: names == tier for tier in tiers}
    cards: list[Card] = []
    moved: list[tuple[Leaf, Distribution, str]] = []

    def one_of(signal: str, thresholds: Sequence[float], exact: bool = False) -> tuple[Distribution | None, str]:
        kind = relation_columns(lake.connection, f"(SELECT TRY(({signal})) AS v FROM {FLAT} AS wide)")["v"]
        values = lake.query(f'SELECT CAST(TRY(({signal})) AS DOUBLE) AS v FROM {FLAT} AS wide WHERE "error" IS NULL').column("v")
        return distribution(signal, values.to_numpy(), inside, kind, thresholds, exact), kind

    for n, leaf in enumerate(found):
        same = [other.value for other in found if other.signal == leaf.signal]
        one, kind = one_of(leaf.signal, sorted(set(same)), leaf.exact)
        if one is None:
            continue
        strips = data.around(lake, leaf, AROUND) if n < MOST_AROUND else []
        doc, unit = documented.get(leaf.signal, ("", ""))
        cards.append(Card(one, leaf, len(moved), unit, doc, strips))
        moved.append((leaf, one, kind))
    for name in measures(kinds):
        if name not in {leaf.signal for leaf in found}:
            one, _ = one_of(identifier(name), ())
            if one is not None:
                doc, unit = documented.get(name, ("", ""))
                cards.append(Card(dataclasses.replace(one, signal=name), None, None, unit, doc))
    return cards, moved


def slider(card: Card) -> dict[str, Any]:
    """What the page's script needs to move the threshold of a card and count."""
    one, leaf = card.one, card.leaf
    return {
        "signal": one.signal,
        "cuts": [float(c) for c in one.cuts],
        "atLeast": one.at_least,
        "above": one.above,
        "low": float(one.edges[0]),
        "high": float(one.edges[-1]),
        "log": one.log,
        "known": one.known,
        "unknown": one.unknown,
        "op": leaf.op if leaf else ">=",
        "at": int(np.flatnonzero(one.cuts == leaf.value)[0]) if leaf else int(np.searchsorted(one.cuts, one.quantiles[3])),
        "leaf": card.number,
    }
