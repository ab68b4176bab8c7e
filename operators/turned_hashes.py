"""Perceptual hashes of a picture's other orientations: finds copies that were mirrored or turned."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from operators.base import BatchFn, Reads, Row, Scope, field, per_row
from operators.phash import SMALL, VIEW, Floats, matrices

HASHES = pa.list_(pa.uint64())


@dataclass(frozen=True)
class TurnedHashes:
    """`phash` and `dhash` of the seven other orientations: mirrored, turned by quarters, and both.

    For `near_duplicates` with ``turned``: a mirrored copy has the hashes that its original has when mirrored.
    """

    name, version, gpus = "turned_hashes", "1", 0.0
    scope: ClassVar[Scope] = "batch"
    reads = Reads(views=(VIEW,))
    adds = pa.schema(
        [
            field("phash_turned", HASHES, "phash of the picture mirrored, turned by 90, 180, 270 degrees, and both", "64 bits"),
            field("dhash_turned", HASHES, "dhash of the same orientations", "64 bits"),
        ]
    )

    def open(self) -> BatchFn:
        from operators.hash_loops import small, small_hashes

        def measure(row: Row) -> dict[str, list[int]]:
            pairs = [small_hashes(way, *matrices(*way.shape)) for way in orientations(small(row.view(VIEW), SMALL))]
            return {"phash_turned": [phash for phash, _ in pairs], "dhash_turned": [dhash for _, dhash in pairs]}

        return per_row(self.adds, measure)


def orientations(picture: Floats) -> list[Floats]:
    """The seven others: mirrored, then turned by 90, 180 and 270 degrees counter-clockwise, each plain and mirrored."""
    turned = [np.rot90(picture, quarters) for quarters in range(4)]
    both = [way for plain in turned for way in (plain, plain[:, ::-1])]
    return [np.ascontiguousarray(way) for way in both[1:]]
