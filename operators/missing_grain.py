"""Surfaces without grain: painted by a generator, smoothed by a filter or a beauty mode, or strongly denoised.

A sensor and the world leave grain on every surface that is not clipped; filters that keep edges and generators that paint take
it away, while shading and edges stay. So the grain is measured where there is shading (means of 4 x 4 pixels differ by 1.5 to 8
levels), and only in regions of 64 x 64 pixels that are in focus: somewhere in them an edge is as sharp as pixels allow, the Laplacian
reaching six tenths of the step. What is out of focus has no grain either, but no sharp edges. The grain of a block of 8 x 8 is its mean
absolute Laplacian (Immerkaer 1996), which a plane shading does not change; the calmest fifth of the blocks speaks for the picture.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.base import BatchFn, Gray, Pixels, Reads, Row, Scope, field, per_row
from operators.tiles import UInt8, cut

Float32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

PIXELS, LUMA = Pixels(), Gray()
REGION = 8  # blocks along a side of a region
FACE = 32  # the same for skin: a cheek has no edges of its own, but eyes and hair beside it
SHARP = 0.6  # most of the Laplacian over the range, in a block with an edge that is sharp to the pixel
EDGE = 20  # levels of range from which a block tells how sharp edges are
GRAINY, WAXY = 3.5, 1.1  # levels of grain at the scores 0 and 1
CALMEST = 0.2
LEAST = 20  # blocks with shading, below which nothing is said
SKIN_SHARE = 0.02


@dataclass(frozen=True)
class MissingGrain:
    """How little grain the calmest shaded surfaces in focus have: waxy generated skin, beauty modes, strong denoising.

    0: grain of 3.5 levels or more; 1: of 1.1 levels or less. Measured on native tiles, on the whole and on skin-coloured regions
    (which sand and wood can be) alone. 0 as well where nothing is in focus or shaded. It finds generated photographs, which `over_smooth`
    does not, and calls more photographs waxy that were only out of focus or denoised. How often it is wrong: docs/aigc.md.
    """

    name, version = "missing_grain", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(PIXELS, LUMA))
    adds = pa.schema(
        [
            field("missing_grain", pa.float32(), "lack of grain on shaded surfaces in focus; 0 where there are none", "0-1"),
            field(
                "missing_grain_skin", pa.float32(), "the same of skin-coloured regions; null: they are less than 2 % of the picture", "0-1"
            ),
        ]
    )

    def open(self) -> BatchFn:
        from operators import artifact_loops  # noqa: F401  (compiled before threads need it)

        return per_row(self.adds, measure)


def measure(row: Row) -> dict[str, Any]:
    from operators.artifact_loops import skin

    calm, asked, skins = [np.zeros(0, np.float32)], [np.zeros(0, bool)], [np.zeros(0, bool)]
    faces = [np.zeros(0, bool)]
    for gray, rgb in zip(cut(row.view(LUMA)), cut(row.view(PIXELS)), strict=True):
        blocks = blocks_of(gray)
        shaded, covered = is_shaded(blocks), skin(rgb) >= 0.5
        calm.append(blocks.grain.ravel())
        asked.append((shaded & in_focus(blocks, REGION)).ravel())
        skins.append(covered.ravel())
        faces.append((shaded & covered & in_focus(blocks, FACE)).ravel())
    level, on_skin = np.concatenate(calm), np.concatenate(skins)
    enough_skin = on_skin.sum() >= max(SKIN_SHARE * len(on_skin), LEAST)
    return {
        "missing_grain": score(level[np.concatenate(asked)]),
        "missing_grain_skin": score(level[np.concatenate(faces)]) if enough_skin else None,
    }


class Blocks(NamedTuple):
    """Numbers in levels of luma, each (rows, columns), of blocks of 8 x 8 pixels.

    ``span``: brightest minus darkest pixel. ``shading``: the same of the four means of 4 x 4. ``grain``: mean absolute Laplacian.
    ``bend``: the largest absolute Laplacian.
    """

    mean: Float32
    span: Float32
    shading: Float32
    grain: Float32
    bend: Float32

    @property
    def open(self) -> Bools:
        """Neither black nor white, where grain is cut off."""
        found: Bools = (self.mean > 16) & (self.mean < 240)
        return found


def blocks_of(gray: UInt8) -> Blocks:
    """The blocks of a tile (height, width), inside a margin of one pixel."""
    from operators.artifact_loops import block_shades

    return Blocks(*np.moveaxis(block_shades(gray), -1, 0))


def is_shaded(blocks: Blocks) -> Bools:
    """Blocks that are not clipped and have shading inside."""
    return blocks.open & (blocks.shading > 1.5) & (blocks.shading < 8)


def in_focus(blocks: Blocks, side: int) -> Bools:
    """Blocks of regions of ``side`` x ``side`` blocks that have sharp edges: the edge that a tenth surpass decides, of at least three."""
    edge = blocks.open & (blocks.span > EDGE)
    rows, columns = edge.shape[0], edge.shape[1]
    down, across = -(-rows // side), -(-columns // side)
    sharpness = np.full((down * side, across * side), np.inf, np.float32)  # infinite: no edge
    sharpness[:rows, :columns][edge] = blocks.bend[edge] / blocks.span[edge]
    regions = np.sort(sharpness.reshape(down, side, across, side).swapaxes(1, 2).reshape(down, across, -1), axis=-1)
    edges = np.isfinite(regions).sum(axis=-1)
    decides = np.take_along_axis(regions, np.round(0.9 * np.maximum(edges - 1, 0)).astype(int)[..., None], axis=-1)[..., 0]
    focused = (edges >= 3) & (decides >= SHARP)
    return np.repeat(np.repeat(focused, side, axis=0), side, axis=1)[:rows, :columns]


def score(levels: Float32) -> float:
    if len(levels) < LEAST:
        return 0.0
    level = min(max(float(np.quantile(levels, CALMEST)), WAXY), GRAINY)
    return math.log(GRAINY / level) / math.log(GRAINY / WAXY)
