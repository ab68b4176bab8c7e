"""Bright and dark seams along edges: the overshoot that sharpening leaves.

Unsharp masking adds to each side of an edge what it takes from the other, so a profile across the edge swings beyond both its sides
(Mach bands made real). The swing is measured within four pixels of each strong edge against the level six to eight pixels away,
as a share of the edge's step, along rows and columns. Lines and textures swing at some edges, a sharpening filter at every edge: so
the side of an edge that a fifth stay below speaks for the picture.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from operators.base import BatchFn, Gray, Reads, Row, Scope, field, per_row
from operators.tiles import UInt8, cut

LUMA = Gray()
WEAKEST, STRONG = 30, 60  # levels of an edge: below the first none is asked, from the second on all are
SHARE = 0.6  # between the two: of the edge that a twentieth surpass, so that dark and faint pictures have strong edges too
LEAST = 20  # sides of edges
SPEAKS = 0.2


@dataclass(frozen=True)
class OversharpenHalo:
    """Overshoot beside strong edges that a fifth of their sides stay below, as a share of the edge's step.

    Photographs have 0 to 0.12, as cameras sharpen too; visible halos begin about there. 0 where there are too few strong edges. How often
    it is wrong: docs/aigc.md.
    """

    name, version = "oversharpen_halo", "3"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(LUMA,))
    adds = pa.schema(
        [field("oversharpen_halo", pa.float32(), "overshoot beside strong edges over their step; photographs below 0.12", "0-1")]
    )

    def open(self) -> BatchFn:
        from operators import artifact_loops  # noqa: F401  (compiled before threads need it)

        return per_row(self.adds, measure)


def measure(row: Row) -> dict[str, Any]:
    from operators.artifact_loops import overshoot

    sides = [np.zeros((0, 2), np.float32)]
    for tile in cut(row.view(LUMA)):
        sides += [overshoot(plane, WEAKEST) for plane in (tile, turned(tile))]
    swing, step = np.concatenate(sides).T
    if len(step):
        swing = swing[step > min(SHARE * float(np.quantile(step, 0.95)), STRONG)]
    return {"oversharpen_halo": min(max(float(np.quantile(swing, SPEAKS)), 0.0), 1.0) if len(swing) >= LEAST else 0.0}


def turned(tile: UInt8) -> UInt8:
    plane = np.ascontiguousarray(tile.T)
    plane.flags.writeable = False
    return plane
