"""The grid that enlarging leaves: every second pixel was made up from its neighbours.

Interpolated pixels differ less from their neighbours than others do, so the mean difference of neighbours, taken separately for each
place along a row, has the period of the enlargement (Gallagher 2005; Popescu and Farid 2005). Transposed convolutions of generators leave
the same checkerboard (Odena et al. 2016). Only the period of two is asked for, which doubling and quadrupling have: pictures that
were reduced by ordinary factors show others.

Compression alone marks the places of JPEG's blocks of eight: differences on the border are left out, and those of the seven places inside,
which a few smooth cosines make larger in the middle than at the ends, are weighed so that a parabola over the block counts nothing.
Enlarging goes both ways, so the mean of rows and columns is the score: in one direction alone stripes of the world look the same.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.base import BatchFn, Gray, Reads, Row, Scope, field, per_row
from operators.tiles import cut

LUMA = Gray()
MOST = 40  # levels: strong edges, which are few, do not decide
LEAST = 0.5  # levels added to every difference, so that rounding in flat pictures does not decide
ALTERNATES = np.array([1, -3, 3, -2, 3, -3, 1, 0]) / 8
"""Even minus odd places of a block of eight, least squares beside any parabola; the last place is the border."""


@dataclass(frozen=True)
class UpsamplingGrid:
    """How unlike even and odd pixel places are: pictures enlarged two- or fourfold, checkerboards of generators.

    0: both alike. Photographs have less than 0.1; doubled by bilinear interpolation about 0.25, by repeating pixels more than 1. A
    picture that was enlarged by another factor, resized again, or compressed hard may show nothing. How often it is wrong: docs/aigc.md.
    """

    name, version = "upsampling_grid", "2"
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
    ways = [contrast(sum(phases(tile, across, MOST) for tile in tiles) / len(tiles)) for across in (False, True)]
    return {"upsampling_grid": sum(ways) / 2}


def contrast(means: npt.NDArray[np.float64]) -> float:
    """Log2 ratio between even and odd places; ``means``: (8,)."""
    return abs(float(np.log2(means + LEAST) @ ALTERNATES))
