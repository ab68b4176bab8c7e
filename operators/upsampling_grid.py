"""The grid that enlarging leaves: every second pixel was made up from its neighbours.

Interpolated pixels differ less from their neighbours than others do, so the mean difference of neighbours, taken separately for each
place along a row, has the period of the enlargement (Gallagher 2005; Popescu and Farid 2005). Transposed convolutions of generators leave
the same checkerboard (Odena et al. 2016). Only the period of two is asked for, which doubling and quadrupling have: pictures that
were reduced by ordinary factors show others. Places on the border of JPEG's blocks of eight are left out: compression alone marks them.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.base import BatchFn, Gray, Reads, Row, Scope, field, per_row
from operators.tiles import cut

LUMA = Gray()
MOST = 12  # levels: strong edges, which are few, do not decide
LENGTH = 24  # places that `artifact_loops.phases` tells apart: a multiple of two and of JPEG's block


@dataclass(frozen=True)
class UpsamplingGrid:
    """How unlike even and odd pixel places are: pictures enlarged two- or fourfold, checkerboards of generators.

    0: both alike. Photographs have less than 0.1; doubled by bilinear interpolation about 0.5, by repeating pixels more than 2. A
    picture that was enlarged by another factor, resized again, or compressed hard may show nothing. How often it is wrong: docs/aigc.md.
    """

    name, version = "upsampling_grid", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(LUMA,))
    adds = pa.schema(
        [field("upsampling_grid", pa.float32(), "contrast between even and odd pixel places; photographs below 0.1", "octaves")]
    )

    def open(self) -> BatchFn:
        from operators import artifact_loops  # noqa: F401  (compiled before threads need it)

        return per_row(self.adds, measure)


def measure(row: Row) -> dict[str, Any]:
    from operators.artifact_loops import phases

    tiles = cut(row.view(LUMA))
    if not tiles:
        return {"upsampling_grid": 0.0}
    return {"upsampling_grid": max(contrast(sum(phases(tile, across, MOST) for tile in tiles) / len(tiles)) for across in (False, True))}


def contrast(means: npt.NDArray[np.float64]) -> float:
    """Log2 ratio between even and odd places; ``means``: (24,)."""
    place = np.arange(LENGTH)
    even, odd = means[place % 2 == 0].mean() + 0.1, means[(place % 2 == 1) & (place % 8 != 7)].mean() + 0.1
    return abs(float(np.log2(even / odd)))
