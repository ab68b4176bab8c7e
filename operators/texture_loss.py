"""Fine detail that is missing where contrast promises it: enlarged, denoised, repainted or generated pictures.

In a picture at its native size what has contrast has detail down to the pixel as well: over natural pictures energy falls by a
fixed law from one octave to the next (Field 1987; Burton and Moorhead 1987). So every block of 8 x 8 pixels with contrast is asked how
large its mean absolute Laplacian (detail at one pixel) is beside its standard deviation (contrast at all scales). The block that only a
tenth surpass speaks for the picture, so that what is out of focus does not count.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from operators.base import BatchFn, Gray, Reads, Row, Scope, field, per_row
from operators.tiles import cut

LUMA = Gray()
OPEN = (16, 240)  # mean level of a block: in darker and brighter ones detail is cut off
CONTRAST = (5.0, 60.0)  # standard deviation of a block, in levels
NOISE = math.log2(math.sqrt(20) * math.sqrt(2 / math.pi))
"""log2 of mean absolute Laplacian over standard deviation of white noise: the most detail for a contrast."""
SPEAKS = 0.9
LEAST = 20


@dataclass(frozen=True)
class TextureLoss:
    """How much weaker the finest detail is than white noise of the same contrast has it, in octaves (powers of two), at the best places.

    Photographs have 0 to 1.5, most about 0.6; enlarged twofold, cleaned by a median filter of 5 pixels or repainted ones more.
    0 where there is too little contrast to tell. Strong blur of the whole picture is found as well. How often it is wrong: docs/aigc.md.
    """

    name, version = "texture_loss", "2"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(LUMA,))
    adds = pa.schema(
        [
            field(
                "texture_loss",
                pa.float32(),
                "how much weaker the finest detail is than in white noise; photographs 0 to 1.5, more: detail is missing",
                "octaves",
            )
        ]
    )

    def open(self) -> BatchFn:
        from operators import artifact_loops  # noqa: F401  (compiled before threads need it)

        return per_row(self.adds, measure)


def measure(row: Row) -> dict[str, Any]:
    from operators.artifact_loops import block_numbers

    ratios = [np.zeros(0, np.float32)]
    for gray in cut(row.view(LUMA)):
        mean, contrast, grain = np.moveaxis(block_numbers(gray), -1, 0)
        asked = (mean > OPEN[0]) & (mean < OPEN[1]) & (contrast > CONTRAST[0]) & (contrast < CONTRAST[1])
        ratios.append((grain[asked] + 0.3) / (contrast[asked] + 0.3))
    found = np.concatenate(ratios)
    return {"texture_loss": max(NOISE - float(np.log2(np.quantile(found, SPEAKS))), 0.0) if len(found) >= LEAST else 0.0}
