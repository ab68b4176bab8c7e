"""How alike two thumbnails of a `FrameTrack` are."""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

UNIFORM_STD = 5.0
"""Spread of luma (0-255) below which a thumbnail shows nothing."""


def alike(a: Floats, b: Floats) -> bool:
    """Whether two thumbnails show the same shot."""
    return float(np.abs(a - b).mean()) < 14 and correlation(a, b) > 0.9


def correlation(a: Floats, b: Floats) -> float:
    """Pearson's; 0 where one is uniform."""
    return float(correlations(a[None], b[None])[0])


def correlations(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Floats:
    """`correlation` of each row of ``a`` with that row of ``b``."""
    x, y = (rows - rows.mean(axis=1, keepdims=True, dtype=np.float32) for rows in (a, b))
    spread = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    return np.asarray(np.where(spread > 1e-3, (x * y).sum(axis=1) / np.maximum(spread, 1e-3), 0.0), np.float32)


def moved(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> bool:
    """Whether the middle of one thumbnail is somewhere in the other: a camera that pans blends smooth pictures much as a dissolve does."""
    import cv2

    height, width = a.shape
    core = a[height // 4 : height - height // 4, width // 4 : width - width // 4]
    return cv2.meanStdDev(core)[1].item() >= UNIFORM_STD and float(cv2.matchTemplate(b, core, cv2.TM_CCOEFF_NORMED).max()) >= 0.9
