"""Embeddings in cells: k-means, and who is near whom inside a cell. Exact arithmetic, so the answer never depends on blocks or threads.

A vector is scaled to length 2,048 and rounded to whole numbers. Products of such vectors stay below 2^24, so a float32
matrix product adds them without rounding, in whatever order the library likes. The cosine is typically off by 0.0002.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

SCALE = 2_048
ROUNDS, TRAINED_ON = 8, 64  # rounds of k-means; rows a cell it learns from
BLOCK = 2_048
NUMBERS = 1 << 24
"""Cosines in memory at a time."""
FEW = 16_384
"""So many rows are one cell."""

Float32 = npt.NDArray[np.float32]
Int16 = npt.NDArray[np.int16]
Index = npt.NDArray[np.int64]


def whole(vectors: Float32) -> Int16:
    """(n, d) whole numbers in the direction of each row, about ``SCALE`` long; a row of zeros, or with a NaN, becomes zeros."""
    made = np.zeros(vectors.shape, np.int16)
    for start in range(0, len(vectors), 65_536):
        part = vectors[start : start + 65_536].astype(np.float64)
        length = np.linalg.norm(part, axis=1, keepdims=True)
        good = np.isfinite(length) & (length > 0)
        made[start : start + 65_536] = np.rint(np.where(good, part / np.where(good, length, 1), 0) * SCALE)
    return made


def cosines(left: Int16 | Float32, right: Int16 | Float32) -> Float32:
    """(n, m) cosines of whole vectors, given as whole numbers or as the same numbers in float32."""
    product: Float32 = left.astype(np.float32, copy=False) @ right.astype(np.float32, copy=False).T
    return product / np.float32(SCALE * SCALE)


def centres(vectors: Int16, count: int) -> Int16:
    """``count`` centres by spherical k-means (Dhillon and Modha 2001) on evenly spaced rows; empty cells keep their old centre.

    Depends on the order of the rows, so give them in an order that depends on their content alone.
    """
    learnt = vectors[np.linspace(0, len(vectors) - 1, min(len(vectors), count * TRAINED_ON)).astype(np.int64)]
    found = learnt[np.linspace(0, len(learnt) - 1, count).astype(np.int64)]
    for _ in range(ROUNDS):
        cell = assigned(learnt, found, 1)[:, 0]
        order = np.argsort(cell, kind="stable")
        present, starts = np.unique(cell[order], return_index=True)
        sums = np.add.reduceat(learnt[order].astype(np.float64), starts, axis=0)
        found = found.copy()
        found[present] = whole(sums.astype(np.float32))
    return found


def assigned(vectors: Int16, found: Int16, probes: int) -> npt.NDArray[np.int32]:
    """(n, probes): the nearest centres of each row, nearest first; equally near ones by number."""
    cells = np.empty((len(vectors), probes), np.int32)
    for start in range(0, len(vectors), BLOCK):
        near = cosines(vectors[start : start + BLOCK], found)
        for probe in range(probes):
            best = near.argmax(axis=1)
            cells[start : start + BLOCK, probe] = best
            near[np.arange(len(near)), best] = -2
    return cells


def cell_count(n: int) -> int:
    """1 for few rows, then such that comparing with all centres costs about as much as inside the cells."""
    return 1 if n <= FEW else max(8, int(np.sqrt(n)))


def members(cells: npt.NDArray[np.int32], count: int) -> list[Index]:
    """The rows of each cell, ascending."""
    order = np.argsort(cells, kind="stable")
    return list(np.split(order, np.cumsum(np.bincount(cells, minlength=count))[:-1]))


def nearest_pairs(vectors: Float32, top: int, min_cosine: float, probes: int = 4) -> Iterator[tuple[npt.NDArray[np.int64], Float32]]:
    """Blocks of ((k, 2) rows, cosine): each row with its ``top`` nearest ones of its own cell, not below ``min_cosine``.

    A row lies in the cells of its ``probes`` nearest centres, and looks in the first of them. Exact for up to 16,384 rows.
    """
    if len(vectors) < 2:
        return
    rows = whole(vectors)
    count = cell_count(len(rows))
    cells = assigned(rows, centres(rows, count), min(probes, count)) if count > 1 else np.zeros((len(rows), 1), np.int32)
    homes = members(cells[:, 0], count)
    guests = members(cells.T.reshape(-1), count)
    for home, everyone in zip(homes, guests, strict=True):
        inside = np.sort(everyone % len(rows))
        if not len(inside):
            continue
        others = rows[inside]
        step = max(1, NUMBERS // len(inside))
        for start in range(0, len(home), step):
            mine = home[start : start + step]
            near = cosines(rows[mine], others)
            near[np.arange(len(mine)), np.searchsorted(inside, mine)] = -2
            k = min(top, near.shape[1] - 1)
            if k < 1:
                continue
            border = -np.partition(-near, k - 1, axis=1)[:, k - 1]  # ties at the border all come along: no order decides
            i, j = np.nonzero(near >= np.maximum(border, np.float32(min_cosine))[:, None])
            yield np.stack([mine[i], inside[j]], axis=1), near[i, j]
