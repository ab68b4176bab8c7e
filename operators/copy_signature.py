"""A compact signature of a picture's local detail: finds copies that were cropped, framed, written over or strongly compressed."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manifests.errors import MediaError, first_line
from operators.base import BatchFn, Gray, Reads, Row, Scope, field, per_row

SIDE = 224
"""Every picture is squeezed to this square, so that a copy at another aspect has its points at the same places."""
CELLS, PER_CELL = 4, 6
APART = 6.0
"""Points of a cell lie at least so many pixels apart."""
POINTS = CELLS * CELLS * PER_CELL
BITS = 128
POINT_BYTES = 2 + BITS // 8
VIEW = Gray(min_side=SIDE)

Luma = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class CopySignature:
    """Up to 96 key points of a picture: where they are and what is around them, for `near_duplicates` with ``strong``.

    Corners found by FAST at six scales, described by ORB (Rublee et al. 2011, "ORB: an efficient alternative to SIFT or
    SURF"); the six strongest of each of 16 cells, because text laid over a picture would otherwise take them all. Of a
    descriptor's 256 bits the first 128 are stored. A picture without detail has few points, or none.
    """

    name, version, gpus = "copy_signature", "1", 0.0
    scope: ClassVar[Scope] = "batch"
    reads = Reads(views=(VIEW,))
    adds = pa.schema([field("copy_signature", pa.binary(), "key points, 18 bytes each: x and y in 1/256 of the side, 128 bits of ORB")])

    def open(self) -> BatchFn:
        import cv2

        cv2.setNumThreads(1)  # rows run in parallel already

        def measure(row: Row) -> dict[str, bytes]:
            return {"copy_signature": signature(row.view(VIEW))}

        return per_row(self.adds, measure)


def signature(gray: Luma) -> bytes:
    """18 bytes a key point (x, y, descriptor) of a luma picture of any size."""
    import cv2

    way = cv2.INTER_AREA if min(gray.shape) >= SIDE else cv2.INTER_LINEAR
    square = np.asarray(cv2.resize(gray, (SIDE, SIDE), interpolation=way), np.uint8)
    orb: Any = cv2.ORB.create(nfeatures=3000, scaleFactor=1.2, nlevels=6, edgeThreshold=15, patchSize=25, fastThreshold=5)
    try:
        points, descriptors = orb.compute(square, chosen(orb.detect(square, None)))
    except cv2.error as error:
        raise MediaError(f"no key points: {first_line(error)[:120]}") from None
    if descriptors is None:
        return b""
    places = np.array([point.pt for point in points]) * (256 / SIDE)
    found = np.concatenate([np.clip(places, 0, 255).astype(np.uint8), descriptors[:, : BITS // 8]], axis=1)
    return found[:POINTS].tobytes()


def chosen(points: Any) -> list[Any]:
    """The strongest of each cell; equal ones by place, so that the result never depends on the detector's order."""
    cells: dict[tuple[int, int], list[Any]] = {}
    for point in points:
        cells.setdefault((int(point.pt[1] * CELLS / SIDE), int(point.pt[0] * CELLS / SIDE)), []).append(point)
    best: list[Any] = []
    for _, found in sorted(cells.items()):
        taken: list[Any] = []
        for point in sorted(found, key=lambda p: (-p.response, p.pt, p.octave)):
            if all(max(abs(point.pt[0] - t.pt[0]), abs(point.pt[1] - t.pt[1])) >= APART for t in taken):
                taken.append(point)  # the same corner at another scale would say nothing new
                if len(taken) == PER_CELL:
                    break
        best += taken
    return best
