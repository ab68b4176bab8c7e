"""Bright and dark seams along edges: the overshoot that sharpening leaves.

Unsharp masking adds to each side of an edge what it takes from the other, so a profile across the edge swings beyond both its sides
(Mach bands made real). The swing is measured within four pixels of each strong edge against the level six to eight pixels away,
as a share of the edge's step, along rows and columns; the median over all sides of edges is no matter of single lines and textures.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from operators.base import BatchFn, Gray, Reads, Row, Scope, field, per_row
from operators.tiles import cut

LUMA = Gray()
STEP = 60  # levels of an edge
LEAST = 20  # sides of edges


@dataclass(frozen=True)
class OversharpenHalo:
    """Median overshoot beside strong edges, as a share of the edge's step.

    Photographs have 0 to 0.3, as cameras sharpen too and textures have lines; visible halos begin about 0.35. 0 where there are too few
    strong edges. How often it is wrong: docs/aigc.md.
    """

    name, version = "oversharpen_halo", "2"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(LUMA,))
    adds = pa.schema(
        [field("oversharpen_halo", pa.float32(), "overshoot beside strong edges over their step; photographs below 0.3", "0-1")]
    )

    def open(self) -> BatchFn:
        from operators import artifact_loops  # noqa: F401  (compiled before threads need it)

        return per_row(self.adds, measure)


def measure(row: Row) -> dict[str, Any]:
    from operators.artifact_loops import overshoot

    swings = [np.zeros(0, np.float32)]
    for tile in cut(row.view(LUMA)):
        for plane in (tile, np.ascontiguousarray(tile.T)):
            plane.flags.writeable = False
            swings.append(overshoot(plane, STEP))
    found = np.concatenate(swings)
    return {"oversharpen_halo": min(float(np.median(found)), 1.0) if len(found) >= LEAST else 0.0}
