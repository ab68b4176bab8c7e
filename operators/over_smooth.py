"""Surfaces without grain: smoothed by a filter or a beauty mode.

A sensor and the world leave grain and texture on every surface; filters that keep edges take them away, while
shading and edges stay. How little grain is left does not tell a smoothed picture from one that never had any (out of focus, fog, strongly
compressed), so a small network learned what filters leave: see operators/smooth_network.py.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.base import BatchFn, Gray, Pixels, Reads, Row, Scope, field, per_row
from operators.patches import CELL, SIDE, chosen, patches
from operators.smooth_network import described, evidence, load
from operators.tiles import UInt8, cut

Float32 = npt.NDArray[np.float32]

PIXELS, LUMA = Pixels(), Gray()
MOST = 64  # patches looked at
SKIN_SHARE = 0.02
NONE, ALL = -6.0, 4.0  # the network's evidence at the scores 0 and 1


@dataclass(frozen=True)
class OverSmooth:
    """How strongly surfaces look smoothed by a filter that keeps edges, a beauty mode or strong denoising; generators leave no such trace.

    Most photographs have 0 to 0.5, clearly smoothed ones 0.7 and more, strongly smoothed ones 1. Measured on patches of native tiles, on
    the whole and on skin-coloured regions (which sand and wood can be) alone. 0 as well where all is blank or clipped. How often it is
    wrong: docs/aigc.md.
    """

    name, version = "over_smooth", "3"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(PIXELS, LUMA))
    adds = pa.schema(
        [
            field("over_smooth", pa.float32(), "how strongly surfaces look smoothed; 0 where there are none", "0-1"),
            field("over_smooth_skin", pa.float32(), "the same of skin-coloured patches; null: skin is less than 2 % of the picture", "0-1"),
        ]
    )

    def open(self) -> BatchFn:
        from operators import artifact_loops  # noqa: F401  (compiled before threads need it)

        load()
        return per_row(self.adds, measure)


def measure(row: Row) -> dict[str, Any]:
    luma = [patches(tile) for tile in cut(row.view(LUMA))]
    covered = [skin_shares(tile) for tile in cut(row.view(PIXELS))]
    found = np.concatenate([np.zeros((0, SIDE, SIDE), np.uint8), *luma])
    on_skin = np.concatenate([np.zeros(0, np.float32), *covered])
    enough_skin = len(on_skin) and on_skin.mean() >= SKIN_SHARE
    every = chosen(found, MOST)
    skin = np.flatnonzero(on_skin >= 0.5) if enough_skin else np.zeros(0, np.intp)
    skin = skin[chosen(found[skin], MOST)]
    looked = np.union1d(every, skin)  # each patch goes through the convolutions once
    seen = described(found[looked]) if len(looked) else np.zeros((0, 1), np.float32)
    whole, of_skin = (score(seen[np.searchsorted(looked, some)]) for some in (every, skin))
    return {"over_smooth": whole, "over_smooth_skin": of_skin if enough_skin else None}


def score(seen: Float32) -> float:
    """0-1 from what was seen in patches."""
    return min(max((evidence(seen) - NONE) / (ALL - NONE), 0.0), 1.0) if len(seen) else 0.0


def skin_shares(rgb: UInt8) -> Float32:
    """Share of skin of each of a tile's `patches`, by cells of 8 x 8. The last cell of a row or column may be seen by none; its neighbour
    stands for it."""
    from operators.artifact_loops import skin

    side, rows, columns = SIDE // CELL, rgb.shape[0] // SIDE, rgb.shape[1] // SIDE
    cells = np.pad(skin(rgb) >= 0.5, ((0, 1), (0, 1)), mode="edge")[: rows * side, : columns * side]
    shares: Float32 = cells.reshape(rows, side, columns, side).mean(axis=(1, 3), dtype=np.float32).ravel()
    return shares
