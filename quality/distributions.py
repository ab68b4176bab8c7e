"""How the values of a signal are spread, and exact counts at every position of its slider.

A slider stands at one of at most `CUTS` numbers, each short enough to be written in a rule. For each of them the page holds
how many samples lie above it and how many at or above it, counted here: what the page shows is what SQL says.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quality.curves import Floats

CUTS = 240
"""Positions of a slider; with those of the rules always below 255, so that a position fits a byte."""
BINS = 44
SKEWED, SQUEEZED, DECADES = 12.0, 0.03, 5
"""A signal that is never negative is drawn on a logarithmic axis of at most `DECADES` decades when its high end is so many times
its median, or a threshold lies in so small a part of the axis."""


@dataclass(frozen=True, eq=False)
class Distribution:
    """One signal over the readable samples.

    ``cuts``: rising numbers; ``at_least`` and ``above``: samples with ``signal >= cut`` and ``signal > cut``. ``edges``: of the
    bars (one more than bars); what lies outside is in the first or last bar. ``bars``: tier -> counts. ``quantiles``: at 1, 5,
    25, 50, 75, 95, 99 %. ``known`` and ``unknown``: samples with and without a value.
    """

    signal: str
    cuts: Floats
    at_least: tuple[int, ...]
    above: tuple[int, ...]
    edges: Floats
    log: bool
    bars: Mapping[str, tuple[int, ...]]
    quantiles: tuple[float, ...]
    low: float
    high: float
    known: int
    unknown: int

    @property
    def tallest(self) -> int:
        """Samples in the highest bar, all tiers together."""
        return max((sum(counts) for counts in zip(*self.bars.values(), strict=True)), default=0)


def distribution(
    signal: str, values: Floats, tiers: Mapping[str, np.ndarray], kind: str, thresholds: Sequence[float] = (), exact: bool = False
) -> Distribution | None:
    """The distribution of ``values`` (NaN: unknown), or None when fewer than two different values are known.

    ``tiers``: name -> which samples are in it. ``kind``: DuckDB's type of the signal, in whose precision a rule compares unless
    ``exact``. ``thresholds``: numbers in rules, which are cuts as well.
    """
    known = values[np.isfinite(values)]
    if not len(known) or known.min() == known.max():
        return None
    whole = bool(np.all(known == np.round(known)))
    quantiles = tuple(float(q) for q in np.quantile(known, [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]))
    edges, log = _axis(known, thresholds, whole)
    cuts = _cuts(edges[0], edges[-1], log, whole, thresholds)
    in_kind = cuts.astype(np.float32).astype(np.float64) if kind == "FLOAT" and not exact else cuts
    ordered = np.sort(known)
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    return Distribution(
        signal=signal,
        cuts=cuts,
        at_least=tuple((len(known) - np.searchsorted(ordered, in_kind, side="left")).tolist()),
        above=tuple((len(known) - np.searchsorted(ordered, in_kind, side="right")).tolist()),
        edges=edges,
        log=log,
        bars={
            name: tuple(np.bincount(place[inside & np.isfinite(values)], minlength=len(edges) - 1).tolist())
            for name, inside in tiers.items()
        },
        quantiles=quantiles,
        low=float(ordered[0]),
        high=float(ordered[-1]),
        known=len(known),
        unknown=len(values) - len(known),
    )


def positions(one: Distribution, values: Floats, op: str, kind: str, exact: bool = False) -> np.ndarray:
    """For every sample the number of cuts it has passed, as a byte; 255 where its value is unknown.

    With n that number, a sample satisfies ``signal >= cuts[k]`` (or ``>``) if n > k, and ``<`` (or ``<=``) if n <= k.
    """
    in_kind = one.cuts.astype(np.float32).astype(np.float64) if kind == "FLOAT" and not exact else one.cuts
    passed = np.searchsorted(in_kind, values, side="right" if op in (">=", "<") else "left").astype(np.uint8)
    passed[~np.isfinite(values)] = 255
    return passed


def _axis(known: Floats, thresholds: Sequence[float], whole: bool) -> tuple[Floats, bool]:
    """Edges of the bars: from the 0.5th to the 99.5th percentile and every threshold, with some room."""
    low, middle, high = (float(q) for q in np.quantile(known, [0.005, 0.5, 0.995]))
    low, high = min([low, *thresholds]), max([high, *thresholds])
    squeezed = any(0 < value < high * SQUEEZED for value in thresholds)
    if known.min() >= 0 and middle > 0 and (high / middle > SKEWED or squeezed) and not (whole and high <= BINS):
        positive = min([float(np.quantile(known[known > 0], 0.005)), *(value for value in thresholds if value > 0)])
        return np.geomspace(max(positive, high / 10**DECADES) * 0.97, high * 1.03, BINS + 1), True
    if whole and high - low <= BINS:
        return np.arange(math.floor(low), math.floor(high) + 2, dtype=np.float64), False
    if high == low:  # nearly all values are one
        low, high = float(known.min()), float(known.max())
    room = (high - low) * 0.01
    start = low if low in (0.0, 1.0) else low - room
    return np.linspace(start, high + room, BINS + 1), False


def _cuts(start: float, end: float, log: bool, whole: bool, thresholds: Sequence[float]) -> Floats:
    """Short numbers, nearly even along the axis, and the thresholds themselves."""
    if whole and end - start <= CUTS:
        even = np.arange(math.floor(start), math.ceil(end) + 1, dtype=np.float64)
    else:
        even = np.geomspace(start, end, CUTS - len(thresholds)) if log else np.linspace(start, end, CUTS - len(thresholds))
        steps = np.diff(even, append=2 * even[-1] - even[-2])
        even = np.array([shortest(value, step) for value, step in zip(even.tolist(), steps.tolist(), strict=True)])
        even = np.round(even) if whole else even
    return np.unique(np.concatenate([even, np.asarray(thresholds, np.float64)])) + 0.0


def shortest(value: float, step: float) -> float:
    """``value`` with no more decimals than tell it from its neighbours ``step`` away."""
    decimals = max(0, min(12, -math.floor(math.log10(step / 2)))) if step > 0 else 6
    return round(value, decimals)
