"""From labels to a threshold: how well a signal tells good from bad, and the rule that keeps what is wanted."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from manifests import Lake
from manifests.errors import UsageError
from quality.curves import Bin, Curve, Floats, auc, auc_interval, average_precision, curve, isotonic, reliability, wilson
from quality.labels import Labelled, Labels, given_labels, join
from quality.presets import measured_with
from quality.threshold import Goal, choose, lake_values, rule_sql

Direction = Literal["auto", "higher", "lower"]
RULE_NAMES = {"clip_score": "matches", "aesthetic": "pretty"}
CURVE_POINTS = 1000
"""A curve in the JSON has at most about this many points."""
NAMED = 20
"""So many keys of each kind of unusable label are named."""


@dataclass(frozen=True)
class Calibration:
    """How a signal did against labels, and the threshold. Shares are 0-1, intervals 95 %.

    ``sql``: the rule; it keeps the same samples of the lake as the exact threshold. ``precision``, ``recall`` and
    ``false_alarms`` are counted on the labelled samples at it; ``kept_share`` on the whole lake. ``measured_with``: operator,
    fingerprint and settings of the signal, for which alone the threshold holds. ``probability``: the chance of good at each
    threshold of ``points``, never falling with the score (isotonic). ``points`` and ``scores`` are of the signal times
    ``sign``, which is -1 where lower is better.
    """

    signal: str
    goal: Goal
    higher_is_better: bool
    direction_is_clear: bool
    labelled: Labelled
    points: Curve
    auc: float
    auc_interval: tuple[float, float]
    average_precision: float
    threshold: float
    sql: str
    kept_good: int
    kept_bad: int
    kept_share: float
    lake_samples: int
    bins: tuple[Bin, ...]
    probability: Floats
    measured_with: dict[str, Any]

    @property
    def sign(self) -> int:
        return 1 if self.higher_is_better else -1

    @property
    def precision(self) -> float:
        return self.kept_good / (self.kept_good + self.kept_bad)

    @property
    def precision_interval(self) -> tuple[float, float]:
        """Wilson's, for the kept labelled samples. It does not know that the threshold was chosen on the same labels."""
        return wilson(self.kept_good, self.kept_good + self.kept_bad)

    @property
    def recall(self) -> float:
        return self.kept_good / self.points.good

    @property
    def false_alarms(self) -> float:
        """Share of the bad that is kept."""
        return self.kept_bad / self.points.bad

    @property
    def rule(self) -> str:
        """The line for a recipe."""
        name = RULE_NAMES.get(self.signal, "good enough")
        return yaml.safe_dump({name: self.sql}, width=10_000, allow_unicode=True).strip()

    def warnings(self) -> list[str]:
        """What a reader should know before trusting the threshold."""
        found = []
        low, _ = self.precision_interval
        if not self.direction_is_clear:
            found.append("These labels do not tell whether higher or lower is better: the interval of the AUC contains 0.5.")
        if min(self.points.good, self.points.bad) < 30:
            found.append(f"There are only {self.points.good} good and {self.points.bad} bad labels: see how wide the intervals are.")
        if self.goal.precision is not None and low < self.goal.precision:
            found.append(
                f"The labels do not prove a precision of {self.goal.precision:g}: {low:.3g} is possible too. "
                "More labels would tell: `--next 100` names the best ones."
            )
        return found

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain JSON data."""
        use, sign = self.labelled, self.sign
        thin = np.unique(np.linspace(0, len(self.points.threshold) - 1, CURVE_POINTS).round().astype(int))
        columns = {
            "threshold": sign * self.points.threshold,
            "recall": self.points.recall,
            "false_alarms": self.points.false_alarms,
            "precision": self.points.precision,
            "probability": self.probability,
        }
        unusable = {name: getattr(use, name) for name in ("unmatched", "ambiguous", "contradictory", "unmeasured")}
        return {
            "signal": self.signal,
            "measured_with": self.measured_with,
            "higher_is_better": self.higher_is_better,
            "direction_is_clear": self.direction_is_clear,
            "labels": {
                "good": self.points.good,
                "bad": self.points.bad,
                "good_values": list(use.good_values),
                "bad_values": list(use.bad_values),
                "unused": use.unused,
                **{name: {"count": len(keys), "first": list(keys[:NAMED])} for name, keys in unusable.items()},
            },
            "auc": self.auc,
            "auc_interval": list(self.auc_interval),
            "average_precision": self.average_precision,
            "goal": str(self.goal),
            "threshold": self.threshold,
            "rule": self.rule,
            "precision": self.precision,
            "precision_interval": list(self.precision_interval),
            "recall": self.recall,
            "recall_interval": list(wilson(self.kept_good, self.points.good)),
            "false_alarms": self.false_alarms,
            "false_alarms_interval": list(wilson(self.kept_bad, self.points.bad)),
            "kept_share": self.kept_share,
            "lake_samples": self.lake_samples,
            "warnings": self.warnings(),
            "curve": [dict(zip(columns, map(float, row), strict=True)) for row in zip(*(c[thin] for c in columns.values()), strict=True)],
            "reliability": [vars(one) for one in self.bins],
        }


def calibrate(
    lake: Lake,
    signal: str,
    labels: Labels | Path | str,
    goal: Goal | None = None,
    *,
    direction: Direction = "auto",
    key_column: str | None = None,
    label_column: str | None = None,
    good: tuple[str, ...] = (),
    bad: tuple[str, ...] = (),
) -> Calibration:
    """Compare a signal (a column of ``wide`` or a numeric expression) with labels and choose a threshold.

    ``labels``: a table's path, ``"lake"`` for the lake's table ``labels``, or what `quality.labels.read_labels` gives.
    Raises `UsageError` when labels of one kind are missing, or nothing reaches the wanted precision; `SqlError` for a
    signal that is not there.
    """
    goal = goal or Goal()
    given = labels if isinstance(labels, Labels) else given_labels(lake, labels, key_column, label_column)
    use = join(lake, signal, given, good, bad)
    ups = int(use.good.sum())
    if ups in (0, len(use.good)):
        raise UsageError(no_use(use, ups))
    value = auc(curve(use.scores, use.good))
    low, high = auc_interval(value, ups, len(use.good) - ups)
    higher = value >= 0.5 if direction == "auto" else direction == "higher"
    sign = 1 if higher else -1
    everywhere = sign * lake_values(lake, signal)
    points = curve(sign * use.scores, use.good)
    exact = choose(points, everywhere, goal)
    sql, cut = rule_sql(lake, signal, everywhere, exact, sign)
    kept = points.threshold >= exact
    at = int(kept.sum()) - 1
    return Calibration(
        signal=signal,
        goal=goal,
        higher_is_better=higher,
        direction_is_clear=not low <= 0.5 <= high,
        labelled=use,
        points=points,
        auc=value if higher else 1 - value,
        auc_interval=(low, high) if higher else (1 - high, 1 - low),
        average_precision=average_precision(points),
        threshold=sign * cut,
        sql=sql,
        kept_good=int(points.kept_good[at]),
        kept_bad=int(points.kept_bad[at]),
        kept_share=float((everywhere >= exact).mean()),
        lake_samples=len(everywhere),
        bins=tuple(reliability(use.scores, use.good)),
        probability=isotonic(points),
        measured_with=measured_with(lake, signal),
    )


def no_use(use: Labelled, good: int) -> str:
    """Why nothing can be calibrated, and which labels were of no use."""
    counts = {
        "match no sample": use.unmatched,
        "match several samples": use.ambiguous,
        "contradict each other": use.contradictory,
        "belong to samples without a value of the signal": use.unmeasured,
    }
    causes = [f"{len(keys):,} {words} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})" for words, keys in counts.items() if keys]
    told = f" Of the others, {'; '.join(causes)}." if causes else ""
    return f"Both kinds of labels are needed; {good} good and {len(use.good) - good} bad ones can be used.{told}"
