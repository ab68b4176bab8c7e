"""Fine detail that is missing where edges promise it: enlarged, denoised, repainted or generated pictures.

In a picture at its native size an edge is sharp to the pixel, and what has strong gradients has fine detail as well: over
natural pictures energy falls by a fixed law from one octave to the next (Field 1987; Burton and Moorhead 1987). So blocks with strong
gradients at a scale of four pixels are asked how much diagonal detail they have at one pixel (Donoho and Johnstone's (1994) finest
Haar band); the best quarter of them speaks for the picture, so that what is out of focus does not count.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from operators.base import BatchFn, Gray, Reads, Row, Scope, field, per_row
from operators.tiles import cut

LUMA = Gray()
EDGE = 12.0  # levels between means of 4 x 4 pixels
LEAST = 20


@dataclass(frozen=True)
class TextureLoss:
    """How much weaker the finest detail is than the edges around it, in octaves (powers of two).

    Photographs have 0.5 to 2.5, most about 1.5; enlarged twofold, cleaned by a median filter of 5 pixels or repainted ones more than
    2.5. 0 where there are too few edges to tell. Strong blur of the whole picture is found as well. How often it is wrong: docs/aigc.md.
    """

    name, version = "texture_loss", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(LUMA,))
    adds = pa.schema(
        [
            field(
                "texture_loss",
                pa.float32(),
                "edges over finest detail beside them; photographs 0.5 to 2.5, more: detail is missing",
                "octaves",
            )
        ]
    )

    def open(self) -> BatchFn:
        from operators import artifact_loops  # noqa: F401  (compiled before threads need it)

        return per_row(self.adds, measure)


def measure(row: Row) -> dict[str, Any]:
    from operators.artifact_loops import fine_and_coarse

    ratios = [np.zeros(0, np.float32)]
    for gray in cut(row.view(LUMA)):
        means, fine, coarse = fine_and_coarse(gray)
        edge = (coarse > EDGE) & (means > 16) & (means < 240)
        ratios.append((fine[edge] + 0.1) / (coarse[edge] + 0.1))
    found = np.concatenate(ratios)
    return {"texture_loss": max(-float(np.log2(np.quantile(found, 0.75))), 0.0) if len(found) >= LEAST else 0.0}
