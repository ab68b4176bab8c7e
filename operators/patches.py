"""Which patches of 64 x 64 native pixels of a picture the network of `over_smooth` looks at."""

import numpy as np
import numpy.typing as npt

from operators.tiles import UInt8

Indices = npt.NDArray[np.intp]

SIDE = 64
CELL = 8
CONTRAST = 1.0  # levels: standard deviation of the means of cells of 8 x 8, from which a patch has shading or texture
OPEN = (16, 240)  # mean level of a patch: in darker and brighter ones grain is cut off


def patches(tile: UInt8) -> UInt8:
    """(n, 64, 64) of a tile (height, width): patches side by side; what does not fill one at its right and lower edge is left out."""
    rows, columns = tile.shape[0] // SIDE, tile.shape[1] // SIDE
    grid = tile[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE)
    return np.ascontiguousarray(grid.swapaxes(1, 2)).reshape(-1, SIDE, SIDE)


def chosen(found: UInt8, most: int) -> Indices:
    """Indices of at most ``most`` of the patches (n, 64, 64), evenly spread from little to much contrast, without blank and clipped ones.

    Contrast is that of the means of 8 x 8 pixels, which a smoothing filter hardly changes: so it does not change what is looked at.
    """
    import cv2

    if not len(found):
        return np.zeros(0, np.intp)
    side = SIDE // CELL
    cells = np.asarray(cv2.resize(found.reshape(-1, SIDE), (side, len(found) * side), interpolation=cv2.INTER_AREA), np.float32)
    cells = cells.reshape(len(found), -1)
    mean, contrast = cells.mean(axis=1), cells.std(axis=1)
    usable = np.flatnonzero((mean > OPEN[0]) & (mean < OPEN[1]) & (contrast > CONTRAST))
    ordered = usable[np.argsort(contrast[usable], kind="stable")]
    return ordered[np.unique(np.linspace(0, len(ordered) - 1, most).round().astype(np.intp))] if len(ordered) else ordered
