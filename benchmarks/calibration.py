"""Scores turned into probabilities, and how far off these are; used by train_aigc_score.py. Both sides count alike, whatever their size."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold


def platt(scores: np.ndarray, generated: np.ndarray) -> tuple[float, float]:
    """Slope and offset that turn scores into probabilities, both sides counted alike (Platt 1999).

    The penalty on the slope is the one under which five folds find the rest likeliest: of few pictures that scores hardly tell apart
    comes a slope near nothing, not a steep one by chance.
    """
    middle, spread = scores.mean(), scores.std() + 1e-9
    x, folds = ((scores - middle) / spread)[:, None], StratifiedKFold(5, shuffle=True, random_state=0)

    def model(strength: float) -> Any:
        return LogisticRegression(C=strength, class_weight="balanced")

    def surprise(strength: float) -> float:
        shares = np.empty(len(x))
        for train, rest in folds.split(x, generated):
            shares[rest] = model(strength).fit(x[train], generated[train]).predict_proba(x[rest])[:, 1]
        return float(log_loss(generated, shares, sample_weight=np.where(generated, 1 / generated.mean(), 1 / (1 - generated.mean()))))

    chosen = model(min((10.0**k for k in range(-5, 2)), key=surprise)).fit(x, generated)
    slope = chosen.coef_[0, 0] / spread
    return float(slope), float(chosen.intercept_[0] - slope * middle)


def probabilities(scores: np.ndarray, generated: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Of all pictures, calibrated on the ``known`` ones."""
    slope, offset = platt(scores[known], generated[known])
    return sigmoid(slope * scores + offset)


def calibration_error(shares: np.ndarray, generated: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error (Guo et al. 2017), both sides counted alike."""
    weight = np.where(generated, 0.5 / max(generated.sum(), 1), 0.5 / max((~generated).sum(), 1))
    place = np.minimum((shares * bins).astype(int), bins - 1)
    inside = [place == b for b in range(bins)]
    return float(sum(abs((weight * (shares - generated))[i].sum()) for i in inside))


def halves(generated: np.ndarray, pairs: int = 10) -> Iterator[np.ndarray]:
    """Masks of random halves, both sides halved alike, each followed by its other half."""
    random = np.random.default_rng(0)
    for _ in range(pairs):
        half = np.zeros(len(generated), bool)
        for side in (np.flatnonzero(generated), np.flatnonzero(~generated)):
            half[random.permutation(side)[: len(side) // 2]] = True
        yield half
        yield ~half


def perfect_error(shares: np.ndarray, generated: np.ndarray, part: int = 1) -> float:
    """What `calibration_error` would be of so few pictures, or a ``part``-th of them, if they came out as ``shares`` says: mean of 200
    draws."""
    random, count = np.random.default_rng(0), len(shares)
    weight = np.where(generated, 0.5 / generated.sum(), 0.5 / (~generated).sum())

    def draw(chances: np.ndarray, size: int) -> np.ndarray:
        return shares[random.choice(count, size, p=weight * chances / (weight * chances).sum())]

    made = int(generated.sum()) // part
    real = count // part - made
    side = np.arange(made + real) < made
    return float(np.mean([calibration_error(np.r_[draw(shares, made), draw(1 - shares, real)], side) for _ in range(200)]))


def how_far_off(scores: np.ndarray, generated: np.ndarray) -> dict[str, Any]:
    """Calibration errors, mean and deviation, where pictures are judged by a calibration they were not in: over random halves, one by the
    other, and over ten folds, all pictures measured together."""
    half = [calibration_error(probabilities(scores, generated, ~one)[one], generated[one]) for one in halves(generated)]
    together, shares = [], np.empty(len(scores))
    for seed in range(5):
        for known, rest in StratifiedKFold(10, shuffle=True, random_state=seed).split(scores, generated):
            shares[rest] = probabilities(scores, generated, known)[rest]
        together.append(calibration_error(shares, generated))
    return {
        "generated": int(generated.sum()),
        "real": int((~generated).sum()),
        "auc": round(auc(scores[~generated], scores[generated]), 3),
        "ece_halves": [round(float(value), 3) for value in (np.mean(half), np.std(half))],
        "ece_halves_if_perfect": round(perfect_error(shares, generated, 2), 3),
        "ece_ten_folds": [round(float(value), 3) for value in (np.mean(together), np.std(together))],
        "ece_if_perfect": round(perfect_error(shares, generated), 3),
    }


def auc(real: np.ndarray, found: np.ndarray) -> float:
    ordered = np.sort(real)
    return float(np.searchsorted(ordered, found).mean() / len(ordered))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))
