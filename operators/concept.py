"""What a picture shows, out of any list of names: zero-shot classification by embeddings."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from manifests.errors import UsageError
from operators.base import Batch, BatchFn, Columns, Reads, Scope, field
from operators.encoders import fill_in, load, setup_of
from operators.encoders.vectors import Float32, Indices, lists, matrix, spread, unit

DEFAULT_NAMES = Path(__file__).parent / "encoders" / "concepts.txt"


@dataclass(frozen=True)
class Concept:
    """The names out of a list that fit a picture best, by the cosine with "a photo of NAME" (Radford et al. 2021).

    ``names``: any names; left empty, a list of everyday things and scenes that comes with Goldsieve. ``template``: the text a
    name stands in for ``{}``. ``top_k``: how many names ``concepts`` has. ``encoder``, ``precision``, ``device``, ``batch_size`` and
    ``weights``: as for `image_embedding`, which must have the same encoder. The best name of a list always exists: rules should
    look at ``concept_score``.
    """

    names: tuple[str, ...] = ()
    template: str = "a photo of {}"
    top_k: int = 5
    encoder: str = "starter"
    precision: str = "auto"
    device: str = "cpu"
    batch_size: int = 16
    weights: str = ""

    name, version = "concept", "1"
    scope: ClassVar[Scope] = "batch"
    reads = Reads(columns=("image_embedding",))
    adds = pa.schema(
        [
            field("concept", pa.string(), "the name that fits best"),
            field("concept_score", pa.float32(), "its cosine with the picture", "-1 to 1, scale of the encoder"),
            field("concepts", pa.list_(pa.string()), "the best `top_k` names, best first"),
            field("concept_scores", pa.list_(pa.float32()), "their cosines", "-1 to 1, scale of the encoder"),
        ]
    )

    def __post_init__(self) -> None:
        fill_in(self)
        if "{}" not in self.template:
            raise ValueError("template must contain {} where the name goes")
        if self.top_k < 1:
            raise ValueError(f"top_k is {self.top_k}; it must be at least 1")
        if any(not name.strip() for name in self.names):
            raise ValueError("a name is empty")

    @property
    def gpus(self) -> float:
        return 1.0 if self.device == "cuda" else 0.0

    def open(self) -> BatchFn:
        names = self.names or default_names()
        texts = unit(load(setup_of(self)).encode_texts([self.template.replace("{}", name) for name in names]))
        known: Any = pa.array(names, pa.string())
        count = min(self.top_k, len(names))

        def run(batch: Batch) -> Columns:
            pictures, places = matrix(batch.table["image_embedding"])
            if not len(places):
                return {added.name: pa.nulls(len(batch), added.type) for added in self.adds}
            if pictures.shape[1] != texts.shape[1]:
                raise UsageError(
                    f"Pictures have embeddings of {pictures.shape[1]} numbers, the names of {texts.shape[1]}: "
                    f"give image_embedding and concept the same `encoder`."
                )
            which, scores = best(pictures @ texts.T, count)
            several: Any = lists(scores, places, len(batch))
            chosen = known.take(pa.array(which.reshape(-1)))
            return {
                "concept": at_places(known.take(pa.array(which[:, 0])), places, len(batch)),
                "concept_score": spread(scores[:, 0], places, len(batch), pa.float32()),
                "concepts": pa.ListArray.from_arrays(several.offsets, chosen, mask=several.is_null()),
                "concept_scores": several,
            }

        return run


def best(scores: Float32, count: int) -> tuple[Indices, Float32]:
    """Places and values of the ``count`` largest of each row, best first; of equal ones the earlier. ``scores``: (n, names)."""
    if count < scores.shape[1]:
        some = np.sort(np.argpartition(-scores, count - 1, axis=1)[:, :count], axis=1)
    else:
        some = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    found = np.take_along_axis(scores, some, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    return np.take_along_axis(some, order, axis=1).astype(np.int64), np.take_along_axis(found, order, axis=1)


def at_places(values: Any, places: Indices, count: int) -> pa.Array:
    """A column of ``count`` rows with ``values`` at ``places``, null elsewhere."""
    which = np.zeros(count, np.int64)
    missing = np.ones(count, bool)
    which[places], missing[places] = np.arange(len(places)), False
    column: pa.Array = values.take(pa.array(which, mask=missing))
    return column


@lru_cache(maxsize=1)
def default_names() -> tuple[str, ...]:
    """The list that comes with Goldsieve."""
    lines = DEFAULT_NAMES.read_text(encoding="utf-8").splitlines()
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
