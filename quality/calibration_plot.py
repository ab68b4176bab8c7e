"""The picture of a calibration: where the classes lie, ROC, precision and recall, reliability."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from manifests.errors import MissingDependencyError
from quality.calibrate import Calibration

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GOOD, BAD, MARK = "#0072b2", "#d55e00", "#333333"  # told apart by colour-blind readers too (Okabe and Ito 2008)


def plot(calibration: Calibration, path: Path) -> None:
    """Write the picture; PNG or SVG by the suffix of ``path``. Raises `MissingDependencyError` without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError("Pictures need matplotlib. Install it with: pip install 'goldsieve[plots]'") from error
    figure = Figure(figsize=(10, 8), layout="constrained")
    axes = figure.subplots(2, 2)
    histogram(axes[0, 0], calibration)
    roc(axes[0, 1], calibration)
    precision_recall(axes[1, 0], calibration)
    bins(axes[1, 1], calibration)
    figure.suptitle(f"{plain(calibration.rule)}    ({calibration.points.good} good, {calibration.points.bad} bad labels)")
    figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)


def histogram(axes: "Axes", found: Calibration) -> None:
    scores, good = found.labelled.scores, found.labelled.good
    edges = np.histogram_bin_edges(scores, bins=min(40, max(5, len(scores) // 5)))
    axes.hist(
        [scores[good], scores[~good]], bins=edges.tolist(), color=[GOOD, BAD], label=["good", "bad"], histtype="stepfilled", alpha=0.6
    )
    axes.axvline(found.threshold, color=MARK, linestyle="--")
    axes.set(xlabel=plain(found.signal), ylabel="labelled samples", title="where good and bad lie")
    axes.legend()


def roc(axes: "Axes", found: Calibration) -> None:
    low, high = found.auc_interval
    axes.plot(np.append(0, found.points.false_alarms), np.append(0, found.points.recall), color=GOOD)
    axes.plot([0, 1], [0, 1], color=MARK, linewidth=0.5)
    axes.plot([found.false_alarms], [found.recall], "o", color=MARK)
    axes.set(xlabel="share of the bad that is kept", ylabel="share of the good that is kept")
    axes.set_title(f"ROC, AUC {found.auc:.3f} ({low:.3f} to {high:.3f})")


def precision_recall(axes: "Axes", found: Calibration) -> None:
    low, high = found.precision_interval
    axes.step(np.append(0, found.points.recall), np.append(found.points.precision[0], found.points.precision), where="pre", color=GOOD)
    axes.errorbar([found.recall], [found.precision], [[found.precision - low], [high - found.precision]], fmt="o", color=MARK, capsize=3)
    axes.axhline(found.points.good / (found.points.good + found.points.bad), color=MARK, linewidth=0.5)
    axes.set(
        xlabel="recall", ylabel="precision", ylim=(0, 1.02), title=f"precision and recall, average precision {found.average_precision:.3f}"
    )


def bins(axes: "Axes", found: Calibration) -> None:
    x = np.array([one.mean for one in found.bins])
    y = np.array([one.share for one in found.bins])
    spread = np.array([[one.share - one.share_low for one in found.bins], [one.share_high - one.share for one in found.bins]])
    axes.errorbar(x, y, spread.clip(min=0), fmt="o", color=GOOD, capsize=3, label="share of good, 95 %")
    axes.plot((found.sign * found.points.threshold)[::-1], found.probability[::-1], color=BAD, drawstyle="steps-post", label="isotonic")
    for one in found.bins:
        axes.annotate(str(one.count), (one.mean, one.share), textcoords="offset points", xytext=(3, 4), fontsize=7, rotation=60)
    axes.axvline(found.threshold, color=MARK, linestyle="--")
    axes.set(xlabel=plain(found.signal), ylabel="share of good", ylim=(-0.02, 1.1), title="reliability, with the number of labels")
    axes.legend(loc="best")


def plain(text: str) -> str:
    """Text that matplotlib takes as it is: a dollar sign would begin a formula."""
    return text.replace("$", r"\$")
