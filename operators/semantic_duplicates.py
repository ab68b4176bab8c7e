"""Pictures that show the same thing: near each other by embedding, whatever their pixels."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.base import Batch, BatchFn, Columns, Reads, Scope, field
from operators.cells import NUMBERS, Float32, Index, Int16, assigned, cell_count, centres, cosines, members, whole
from operators.encoders.vectors import matrix
from operators.exact_duplicates import KEEP_LARGEST, are_copies, copy_columns, storage

Row = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SemanticDuplicates:
    """Groups pictures whose embeddings nearly agree and says which one of each group is kept.

    After Abbas et al. 2023, "SemDeDup" (arXiv:2303.09540): k-means puts the embeddings into cells (one for up to 16,384
    pictures, then about the square root of their number), and inside a cell pictures at a cosine of ``min_cosine`` or more are
    the same. As in `near_duplicates` every member was compared with its kept picture. Pairs that fall into two cells are not seen.

    With ``dense_first`` the picture with most neighbours inside the radius is taken first: it stands for as many others as possible,
    so fewer near-repeats are left of what there is much of; equally dense ones go by ``keep`` (SQL over ``wide``, best first). Without it
    ``keep`` alone decides. Exact and near duplicates are left to their operators and get nulls here, as do samples without embedding.

    What a cosine means depends on the encoder; look at groups before you drop any (`goldsieve report`).
    """

    min_cosine: float = 0.95
    dense_first: bool = True
    keep: str = KEEP_LARGEST

    name, version, gpus = "semantic_duplicates", "1", 0.0
    scope: ClassVar[Scope] = "corpus"
    adds = pa.schema(
        [
            field("semantic_duplicate", pa.bool_(), "a picture of the same content is kept instead; null: other copy, or no embedding"),
            field("semantic_duplicate_of", pa.uuid(), "the kept picture; null for a kept or unique sample", "sample_id"),
            field("semantic_group", pa.uuid(), "the kept picture, for every member of a group; null for a unique sample", "sample_id"),
            field("semantic_cosine", pa.float32(), "cosine with the kept picture; null for a kept or unique sample", "-1 to 1"),
            field("semantic_density", pa.int32(), "pictures of the same cell within the radius", "count"),
        ]
    )

    def __post_init__(self) -> None:
        if not 0 < self.min_cosine <= 1:
            raise ValueError("min_cosine must be above 0 and at most 1")

    @property
    def reads(self) -> Reads:
        return Reads(columns=("sample_id", "exact_duplicate", "near_duplicate", "image_embedding"), order_by=self.keep)

    def open(self) -> BatchFn:
        return self.mark

    def mark(self, batch: Batch) -> Columns:
        """Rows must come best first."""
        n = len(batch)
        vectors, places = matrix(batch.table["image_embedding"])
        mine = ~are_copies(batch)[places]
        at = places[mine]
        rows = whole(vectors)
        del vectors  # a gigabyte for a million rows
        leader, cosine, density = groups(rows if mine.all() else rows[mine], self.min_cosine, self.dense_first)
        kept, known = np.arange(n), np.zeros(n, np.bool_)
        kept[at], known[at] = at[leader], True
        full_cosine, full_density = np.zeros(n, np.float32), np.zeros(n, np.int32)
        full_cosine[at], full_density[at] = cosine, density
        return {
            **copy_columns("semantic", storage(batch.table["sample_id"]), kept, known),
            "semantic_cosine": pa.array(full_cosine, mask=kept == np.arange(n)),
            "semantic_density": pa.array(full_density, mask=~known),
        }


def groups(rows: Int16, min_cosine: float, dense_first: bool) -> tuple[Index, Float32, npt.NDArray[np.int32]]:
    """(kept row, cosine with it, neighbours) of every row of whole vectors, best first; a kept row is its own."""
    leader, cosine, density = np.arange(len(rows)), np.ones(len(rows), np.float32), np.zeros(len(rows), np.int32)
    if not len(rows):
        return leader, cosine, density
    real = np.flatnonzero(rows.any(axis=1))
    count = cell_count(len(rows))
    cells = assigned(rows, centres(rows, count), 1)[:, 0] if count > 1 else np.zeros(len(rows), np.int32)
    for inside in members(cells[real], count):
        cell = real[inside]
        if len(cell) > 1:
            found = group_cell(rows[cell], np.float32(min_cosine), dense_first)
            leader[cell], cosine[cell], density[cell] = cell[found[0]], found[1], found[2]
    return leader, cosine, density


def group_cell(rows: Int16, least: np.float32, dense_first: bool) -> tuple[Index, Float32, npt.NDArray[np.int32]]:
    """The same inside one cell, by blocks, so that a cell of any size fits the memory."""
    n = len(rows)
    values = rows.astype(np.float32)
    step = max(1, NUMBERS // n)
    density = np.zeros(n, np.int32)
    for start in range(0, n, step):
        density[start : start + step] = (cosines(values[start : start + step], values) >= least).sum(axis=1) - 1
    order = np.argsort(-density, kind="stable") if dense_first else np.arange(n)
    order = order[density[order] > 0]
    leader, cosine, free = np.arange(n), np.ones(n, np.float32), np.ones(n, np.bool_)
    waiting = order
    while len(waiting):
        block, waiting = waiting[:step], waiting[step:]
        near = cosines(values[block], values)
        for line, row in zip(near, block.tolist(), strict=True):
            if free[row]:  # no better one took it, so it is kept and takes what is free around it
                free[row] = False
                taken = np.flatnonzero((line >= least) & free)
                leader[taken], cosine[taken], free[taken] = row, line[taken], False
        waiting = waiting[free[waiting]]
    return leader, cosine, density
