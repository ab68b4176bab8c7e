"""Native-resolution tiles of a picture: what operators look at whose subject is lost when a picture is resized.

At most nine tiles of 256 x 256 pixels, spread evenly over the picture, so that one megapixel and fifty cost the same to measure. Which
ones depends on the size of the picture alone. Smaller pictures are covered whole, by tiles that may overlap.
"""

import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]

SIDE, ACROSS = 256, 3
SMALLEST = 64
"""Pictures with a shorter side below this have no tiles: too little to tell anything."""


def places(length: int, side: int) -> list[int]:
    """Where tiles of ``side`` begin along a side of ``length`` pixels: enough to cover it, at most `ACROSS`, evenly spread.

    Even offsets, so that a tile begins on the same phase of any pattern of two pixels.
    """
    count = min(ACROSS, -(-length // side))
    return [0] if count == 1 else [round(i * (length - side) / (count - 1)) // 24 * 24 for i in range(count)]


def boxes(height: int, width: int) -> list[tuple[int, int, int, int]]:
    """(top, left, height, width) of the tiles of a picture; none for one below `SMALLEST`."""
    if min(height, width) < SMALLEST:
        return []
    tall, wide = min(SIDE, height), min(SIDE, width)
    return [(top, left, tall, wide) for top in places(height, tall) for left in places(width, wide)]


def cut(pixels: UInt8) -> list[UInt8]:
    """The tiles of a plane (height, width) or picture (height, width, 3), contiguous and read-only."""
    found = []
    for top, left, height, width in boxes(*pixels.shape[:2]):
        tile = np.ascontiguousarray(pixels[top : top + height, left : left + width])
        tile.flags.writeable = False
        found.append(tile)
    return found
