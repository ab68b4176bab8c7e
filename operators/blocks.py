"""What `over_smooth` and `texture_loss` ask of every block of 8 x 8 pixels of a tile."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from operators.tiles import UInt8

Float32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


class Blocks(NamedTuple):
    """Numbers in levels of luma, each (rows, columns).

    ``contrast``: standard deviation. ``span``: brightest minus darkest pixel. ``shading``: the same of the four means of 4 x 4.
    ``grain``: mean absolute Laplacian, the noise estimate of Immerkaer (1996). ``bend``: the largest absolute Laplacian.
    """

    mean: Float32
    contrast: Float32
    span: Float32
    shading: Float32
    grain: Float32
    bend: Float32

    @property
    def open(self) -> Bools:
        """Neither black nor white, where grain and detail are cut off."""
        found: Bools = (self.mean > 16) & (self.mean < 240)
        return found


def blocks_of(gray: UInt8) -> Blocks:
    """The blocks of a tile (height, width), inside a margin of one pixel."""
    from operators.artifact_loops import block_numbers

    return Blocks(*np.moveaxis(block_numbers(gray), -1, 0))
