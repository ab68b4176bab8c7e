"""The style head of our encoders: a softmax over embeddings; used by train_starter.py and train_clip_b16.py."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.aigc_pictures import MATCHED
from benchmarks.starter_labels import held_out, style_of
from benchmarks.train_aigc_score import features
from operators.style import STYLES

DRAWINGS = {
    "openclipart-png": "illustration",
    "hedgewars-data": "illustration",
    "wesnoth-1.16-data": "painting",
    "renpy-thequestion": "anime",
}
"""What most drawings of a package are; wallpapers are too mixed."""


def more_styles(work: Path, encoder: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(features, styles, sources) of drawings by people, as train_aigc_score.py keeps them in ``work``, and of generated photographs:
    without these they would pass for drawings."""
    label = {f"art/{package}": style for package, style in DRAWINGS.items()} | dict.fromkeys(MATCHED, "photo")
    data = features(work, None, None, encoder)
    at = (data["copies"] < 0) & np.isin(data["groups"], list(label))
    return data["x"][at], np.array([STYLES.index(label[group]) for group in data["groups"][at]]), data["groups"][at]


def labelled(known: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(rows, styles) of those of ``known`` whose name says what they are, without what is tested on."""
    labels = {name: label for name in known if not name.startswith("val/") and not held_out(name) and (label := style_of(name)) is not None}
    return np.stack([known[name] for name in labels]), np.array(list(labels.values()))


def style_head(x: np.ndarray, kinds: np.ndarray) -> dict[str, np.ndarray]:
    """Every class weighted by its size to the power of -0.75."""
    model = LogisticRegression(C=30.0, max_iter=3000).fit(x, kinds, sample_weight=100 * np.bincount(kinds)[kinds] ** -0.75)
    weight, bias = np.zeros((x.shape[1], len(STYLES))), np.full(len(STYLES), -100.0)  # a kind without an example is never chosen
    weight[:, model.classes_], bias[model.classes_] = model.coef_.T, model.intercept_
    return {"style_weight": weight, "style_bias": bias}
