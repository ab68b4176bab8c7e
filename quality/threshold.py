"""Where to cut a signal: the threshold that reaches a goal, and the shortest rule that does the same to the lake."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

import numpy as np

from manifests import Lake
from manifests.errors import UsageError
from quality.curves import Curve, Floats


@dataclass(frozen=True)
class Goal:
    """What the threshold is for: at most one of three, each a share over 0 and at most 1. None of them: Youden's J.

    ``precision``: of what is kept, as much is good; the loosest such threshold. ``recall``: of the good, as much is kept;
    the strictest such. ``keep``: of the lake's samples with a known signal, as much is kept (never less; ties may keep more).
    """

    precision: float | None = None
    recall: float | None = None
    keep: float | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in vars(self).items() if value is not None}
        if len(given) > 1:
            raise UsageError(f"Only one of {', '.join(given)} can decide the threshold. Give one.")
        for name, value in given.items():
            if not 0 < value <= 1:
                raise UsageError(f"{name} is {value:g}; a share over 0 and at most 1 (or over 0% and at most 100%) is needed.")

    def __str__(self) -> str:
        named = [f"{name} {value:g}" for name, value in vars(self).items() if value is not None]
        return named[0] if named else "best balance (highest recall minus false alarms)"


def lake_values(lake: Lake, signal: str) -> Floats:
    """Every known value of the signal among readable samples of the lake."""
    table = lake.query(f'SELECT CAST(TRY(({signal}\n)) AS DOUBLE) AS "value" FROM wide WHERE "error" IS NULL')
    values = table.column("value").drop_null().to_numpy()
    return np.asarray(values[np.isfinite(values)], np.float64)


def choose(points: Curve, everywhere: Floats, goal: Goal) -> float:
    """The threshold that reaches the goal."""
    if goal.keep is not None:
        if not len(everywhere):
            raise UsageError("No readable sample of the lake has a value of this signal.")
        return float(np.sort(everywhere)[::-1][math.ceil(round(goal.keep * len(everywhere), 6)) - 1])
    if goal.precision is not None:
        enough = np.flatnonzero(points.precision >= goal.precision)
        if not len(enough):
            best = float(points.precision.max())
            raise UsageError(f"No threshold reaches a precision of {goal.precision:g} on these labels; the highest is {best:.3g}.")
        return float(points.threshold[enough[-1]])
    if goal.recall is not None:
        return float(points.threshold[np.flatnonzero(points.recall >= goal.recall)[0]])
    return float(points.threshold[np.argmax(points.recall - points.false_alarms)])


def rule_sql(lake: Lake, signal: str, everywhere: Floats, exact: float, sign: int) -> tuple[str, float]:
    """The rule with the shortest number that keeps what ``exact`` keeps of the lake, and that number (times ``sign``).

    Asked of the lake, because a number in SQL is a decimal and the comparison takes place in the column's own precision.
    """
    below = everywhere[everywhere < exact]
    margin = 0.01 * max(float(everywhere.max()) - exact, abs(exact), 1e-6)
    low = float(below.max()) if len(below) else exact - margin
    wanted = int((everywhere >= exact).sum())
    shown = signal if signal.isidentifier() else f"({signal})"
    for cut in numbers_between(low, exact):
        sql = f"{shown} {'>=' if sign > 0 else '<='} {text(sign * cut)}"
        if (
            lake.value(f'SELECT count(*) FROM wide WHERE "error" IS NULL AND isfinite(CAST(TRY({shown}) AS DOUBLE)) AND TRY({sql})')
            == wanted
        ):
            return sql, cut
    raise UsageError(f"No number between {low!r} and {exact!r} can be written in a rule for {signal}; round the signal first.")


def numbers_between(low: float, high: float) -> Iterator[float]:
    """Numbers above ``low`` and at most ``high`` with ever more digits."""
    for digits in range(1, 18):
        for rounding in (ROUND_CEILING, ROUND_FLOOR):
            found = float(Context(prec=digits, rounding=rounding).create_decimal_from_float(high))
            if low < found <= high:
                yield found


def text(value: float) -> str:
    """A number as SQL writes it, without exponent."""
    return format(Decimal(repr(value)).normalize(), "f")
