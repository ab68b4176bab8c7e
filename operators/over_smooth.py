"""Surfaces without grain: smoothed by a filter, a beauty mode, or a generator.

A sensor and the world leave grain on every surface that is not clipped; filters that keep edges and generators that paint
take it away while the shading stays. So a block of 8 x 8 pixels counts as too smooth when its neighbours differ in mean
luma (there is shading) while the Laplacian of at least 85 to 100 % of its pixels is at most 2 levels (there is no
grain). This is the noise estimate of Immerkaer (1996), turned round: asked of each block instead of the whole picture.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.base import BatchFn, Gray, Pixels, Reads, Row, Scope, field, per_row
from operators.tiles import cut

PIXELS, LUMA = Pixels(), Gray()
CALM = 2  # levels of the Laplacian that count as no grain
LEAST = 20  # blocks with shading, below which nothing is said
SKIN_SHARE = 0.02

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class OverSmooth:
    """Share of the shaded surface that has no grain: smoothing filters, beauty modes, waxy generated skin; also strong blur.

    0: grain everywhere; 1: none. Half of all photographs have 0; those with much out of focus have 0.1 to 0.4 and look the same to
    this measure. Measured on native tiles, on the whole and on skin-coloured regions (which sand and wood can be) alone.
    How often it is wrong: docs/aigc.md.
    """

    name, version = "over_smooth", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(PIXELS, LUMA))
    adds = pa.schema(
        [
            field("over_smooth", pa.float32(), "share of the shaded surface without grain; 0 where there is no shading", "0-1"),
            field(
                "over_smooth_skin", pa.float32(), "the same of skin-coloured regions; null: they are less than 2 % of the picture", "0-1"
            ),
        ]
    )

    def open(self) -> BatchFn:
        from operators import artifact_loops  # noqa: F401  (compiled before threads need it)

        return per_row(self.adds, measure)


def measure(row: Row) -> dict[str, Any]:
    from operators.artifact_loops import flatness, skin

    smooth, shaded, skins = [np.zeros(0, np.float32)], [np.zeros(0, bool)], [np.zeros(0, np.float32)]
    for gray, rgb in zip(cut(row.view(LUMA)), cut(row.view(PIXELS)), strict=True):
        means, flat = flatness(gray, CALM)
        smooth.append(np.clip((flat - 0.85) / 0.15, 0, 1).ravel())
        shaded.append(is_shaded(means).ravel())
        skins.append(skin(rgb).ravel())
    score, where, covered = np.concatenate(smooth), np.concatenate(shaded), np.concatenate(skins)
    on_skin = covered >= 0.5
    enough_skin = on_skin.sum() >= max(SKIN_SHARE * len(covered), LEAST)
    return {
        "over_smooth": share(score[where]),
        "over_smooth_skin": share(score[where & on_skin]) if enough_skin else None,
    }


def is_shaded(means: Float32) -> npt.NDArray[np.bool_]:
    """Blocks that are not clipped and differ from a neighbour by 1 to 6 levels."""
    step = np.zeros_like(means)
    for a, b in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        change = np.abs(means[a] - means[b])
        step[a], step[b] = np.maximum(step[a], change), np.maximum(step[b], change)
    found: npt.NDArray[np.bool_] = (step > 1) & (step < 6) & (means > 16) & (means < 240)
    return found


def share(values: Float32) -> float:
    return float(values.mean()) if len(values) >= LEAST else 0.0
