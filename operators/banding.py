"""Too few levels: steps where a gradient should be smooth.

A channel that was quantised has a comb for a histogram, whatever the picture shows; a line at the frequency 1 / step in the
histogram's spectrum tells how wide the steps are, even after compression has blurred the comb. (Reading the histogram's spectrum for
traces of processing: Stamm and Liu 2010.)
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.base import BatchFn, Pixels, Reads, Row, Scope, field, per_row
from operators.tiles import cut

PIXELS = Pixels()
LENGTH = 2048  # of the histogram's spectrum: steps are told apart finer than a level
NARROW, WIDE = 3, 24  # levels of a step
BESIDE = (10, 60)  # bins on both sides that a line is compared with
LEAST = 2000  # pixels that are not clipped


@dataclass(frozen=True)
class Banding:
    """Height of the steps that a picture's levels come in, weighted by how clear they are: posterised, palette and badly graded pictures.

    Levels of 0 to 255. Photographs have less than 1; 32 levels a channel (steps of 8) give about 7. Steps of a few levels that
    compression has blurred are not found. How often it is wrong: docs/aigc.md.
    """

    name, version = "banding", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(PIXELS,))
    adds = pa.schema([field("banding", pa.float32(), "height of the steps its levels come in; photographs below 1", "levels, 0-24")])

    def open(self) -> BatchFn:
        from operators import artifact_loops  # noqa: F401  (compiled before threads need it)

        return per_row(self.adds, measure)


def measure(row: Row) -> dict[str, Any]:
    from operators.artifact_loops import level_counts

    counts = np.zeros((3, 256), np.float64)
    for tile in cut(row.view(PIXELS)):
        counts += level_counts(tile)
    return {"banding": comb(counts)}


def comb(counts: npt.NDArray[np.float64]) -> float:
    """The step's height times the strength of its line (0-1), mean of the channels; ``counts``: (3, 256)."""
    counts = counts.copy()
    counts[:, :5] = counts[:, 251:] = 0  # clipped levels are spikes that every frequency has
    mass = counts.sum(axis=1, keepdims=True)
    if mass.min() < LEAST:
        return 0.0
    spectrum = np.abs(np.fft.rfft(counts / mass, LENGTH, axis=1))
    lines = np.arange(LENGTH // WIDE, LENGTH // NARROW)  # bins that a line may be in
    near, far = BESIDE
    sums = np.cumsum(np.pad(spectrum, ((0, 0), (far + 1, far)), mode="edge"), axis=1)
    before, after = (sums[:, lines + far + end] - sums[:, lines + far + start] for start, end in ((-far, -near), (near, far)))
    strength = np.maximum(spectrum[:, lines] - (before + after) / (2 * (far - near)), 0)
    return round(float((strength.mean(axis=0) * LENGTH / lines).max()), 4)  # a single level: nothing but rounding errors
