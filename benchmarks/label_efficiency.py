"""How many labels a threshold needs: samples that `goldsieve calibrate --next` names, beside as many random ones.

    python -m benchmarks.label_efficiency [--trials 200]

Scores of samples whose truth is known: CLIP scores of Flickr8k's test pictures with their own captions and with others' (where
../shared/data exists), and two made-up signals. In each trial samples are labelled, and a threshold is chosen as `calibrate`
does. What counts is how far it misses its goal on all samples: root mean square error of precision or recall at a goal of 0.95 or
0.9; for the best balance, how much less of Youden's J it reaches than the best threshold. ``near``: half of the labels lie
nearest to the threshold that the first half gives, as an earlier version chose them.
"""

import argparse
from collections.abc import Callable

import numpy as np

from benchmarks.common import DATA
from quality.curves import Bools, Floats, curve
from quality.label_next import widest_gaps
from quality.threshold import Goal, choose

GOALS = {"precision 0.95": Goal(precision=0.95), "recall 0.9": Goal(recall=0.9), "best balance": Goal()}
Rows = np.ndarray
Picker = Callable[[Floats, Bools, int, Goal, np.random.Generator], Rows]


def random_ones(scores: Floats, good: Bools, count: int, goal: Goal, random: np.random.Generator) -> Rows:
    return random.choice(len(scores), count, replace=False)


def grid(scores: Floats, good: Bools, count: int, goal: Goal, random: np.random.Generator) -> Rows:
    """In two rounds, as people do: half, then the gaps that are left."""
    labelled = np.zeros(len(scores), np.bool_)
    for part in (count // 2, count - count // 2):
        labelled[widest_gaps(labelled, part)] = True
    return np.flatnonzero(labelled)


def near(scores: Floats, good: Bools, count: int, goal: Goal, random: np.random.Generator) -> Rows:
    labelled = np.zeros(len(scores), np.bool_)
    labelled[widest_gaps(labelled, count // 2)] = True
    cut = threshold(scores[labelled], good[labelled], goal)
    if cut is None:
        cut = float(np.median(scores))
    free = np.flatnonzero(~labelled)
    labelled[free[np.argsort(np.abs(np.searchsorted(scores, cut) - free), kind="stable")[: count - count // 2]]] = True
    return np.flatnonzero(labelled)


PICKERS: dict[str, Picker] = {"random": random_ones, "near": near, "--next": grid}


def threshold(scores: Floats, good: Bools, goal: Goal) -> float | None:
    """None: only one kind of label, or nothing reaches the goal."""
    if good.all() or not good.any():
        return None
    points = curve(scores, good)
    if goal.precision and points.precision.max() < goal.precision:
        return None
    return choose(points, scores, goal)


def miss(scores: Floats, good: Bools, cut: float, goal: Goal) -> float:
    kept = scores >= cut
    recall = (kept & good).sum() / good.sum()
    if goal.precision:
        return float((kept & good).sum() / kept.sum() - goal.precision)
    if goal.recall:
        return float(recall - goal.recall)
    points = curve(scores, good)
    return float((points.recall - points.false_alarms).max() - (recall - (kept & ~good).sum() / (~good).sum()))


def flickr_scores() -> tuple[Floats, Bools]:
    """CLIP scores by ``starter``: each picture's own captions, and a quarter as many of other pictures."""
    import io

    from PIL import Image

    from benchmarks.starter_data import flickr
    from operators.encoders.starter import Starter

    starter, samples = Starter(), list(flickr("test"))
    images = starter.encode_images([np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for _, data, _ in samples])
    owner = np.repeat(np.arange(len(samples)), [len(captions) for _, _, captions in samples])
    texts = starter.encode_texts([caption for _, _, captions in samples for caption in captions])
    true = (texts * images[owner]).sum(axis=1)
    shifted = np.random.default_rng(0).integers(1, len(samples), len(owner))
    wrong = (texts * images[(owner + shifted) % len(samples)]).sum(axis=1)[::4]
    return np.concatenate([true, wrong]).astype(np.float64), np.repeat([True, False], [len(true), len(wrong)])


def made_up(distance: float, bad: float, count: int = 20_000) -> tuple[Floats, Bools]:
    """Two bell curves of width 1."""
    random = np.random.default_rng(0)
    good = random.random(count) > bad
    return random.normal(np.where(good, distance, 0.0), 1.0), good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    trials = parser.parse_args().trials
    signals = {"made up, 10 % bad, AUC 0.97": made_up(2.7, 0.1), "made up, 30 % bad, AUC 0.86": made_up(1.5, 0.3)}
    if DATA.exists():
        signals = {"clip_score, 20 % bad": flickr_scores()} | signals
    print(f"| signal | goal | labels | {' | '.join(PICKERS)} |\n|---|---|---|{'---|' * len(PICKERS)}")
    for signal, (scores, good) in signals.items():
        for name, goal in GOALS.items():
            for count in (50, 100, 200):
                cells = [error(scores, good, count, goal, picker, trials) for picker in PICKERS.values()]
                print(f"| {signal} | {name} | {count} | {' | '.join(f'{cell:.3f}' for cell in cells)} |", flush=True)


def error(scores: Floats, good: Bools, count: int, goal: Goal, picker: Picker, trials: int) -> float:
    """Each trial has half of the samples, drawn anew: the lake for which the threshold is chosen."""
    found = []
    for trial in range(trials):
        random = np.random.default_rng(trial)
        drawn = random.choice(len(scores), len(scores) // 2, replace=False)
        drawn = drawn[np.argsort(scores[drawn])]
        lake, truth = scores[drawn], good[drawn]
        rows = picker(lake, truth, count, goal, random)
        cut = threshold(lake[rows], truth[rows], goal)
        if cut is not None:
            found.append(miss(lake, truth, cut, goal))
    return float(np.mean(found) if goal == Goal() else np.sqrt(np.mean(np.square(found))))


if __name__ == "__main__":
    main()
