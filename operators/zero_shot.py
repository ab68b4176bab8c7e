"""Sorts pictures into classes of your own by prompts: zero-shot classification by embeddings."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from manifests.errors import UsageError
from operators.base import Batch, BatchFn, Columns, Reads, Scope, field
from operators.concept import at_places
from operators.encoders import fill_in, load, setup_of
from operators.encoders.vectors import lists, matrix, softmax, spread, unit


@dataclass(frozen=True)
class ZeroShot:
    """Which of your classes a picture belongs to, by the cosines with prompts for each class (Radford et al. 2021).

    ``labels``: the classes. ``prompts``: for each label the texts that describe it, whose mean stands for the class; left empty,
    ``template`` with the label in the place of ``{}``. Classes should be of one kind and cover what can be there: the shares of all
    add up to 1, whatever the picture shows. ``encoder``, ``precision``, ``device``, ``batch_size`` and ``weights``: as for
    `image_embedding`, which must have the same encoder. `concept` is for long lists of names.
    """

    labels: tuple[str, ...] = ("people", "animals", "food", "vehicles", "buildings", "landscape", "objects", "text")
    prompts: tuple[tuple[str, ...], ...] = ()
    template: str = "a photo of {}"
    encoder: str = "starter"
    precision: str = "auto"
    device: str = "cpu"
    batch_size: int = 16
    weights: str = ""

    name, version = "zero_shot", "1"
    scope: ClassVar[Scope] = "batch"
    reads = Reads(columns=("image_embedding",))
    adds = pa.schema(
        [
            field("zero_shot", pa.string(), "the likeliest of `labels`"),
            field("zero_shot_score", pa.float32(), "its share of a softmax with the encoder's own temperature", "0-1"),
            field("zero_shot_scores", pa.list_(pa.float32()), "the shares of all `labels`, in their order", "0-1"),
        ]
    )

    def __post_init__(self) -> None:
        fill_in(self)
        if len(self.labels) < 2 or len(set(self.labels)) < len(self.labels) or not all(label.strip() for label in self.labels):
            raise ValueError("labels needs at least two different names, none of them empty")
        if self.prompts and (len(self.prompts) != len(self.labels) or not all(any(t.strip() for t in texts) for texts in self.prompts)):
            raise ValueError(f"prompts needs a list of texts for each of the {len(self.labels)} labels")
        if "{}" not in self.template:
            raise ValueError("template must contain {} where the label goes")

    @property
    def gpus(self) -> float:
        return 1.0 if self.device == "cuda" else 0.0

    def open(self) -> BatchFn:
        encoder = load(setup_of(self))
        prompts = self.prompts or tuple((self.template.replace("{}", label),) for label in self.labels)
        means = np.stack([encoder.encode_texts([text for text in texts if text.strip()]).mean(axis=0) for texts in prompts])
        weight, known = encoder.logit_scale * unit(means).T, pa.array(self.labels, pa.string())

        def run(batch: Batch) -> Columns:
            pictures, places = matrix(batch.table["image_embedding"])
            if not len(places):
                return {added.name: pa.nulls(len(batch), added.type) for added in self.adds}
            if pictures.shape[1] != len(weight):
                raise UsageError(
                    f"Pictures have embeddings of {pictures.shape[1]} numbers, the labels of {len(weight)}: "
                    f"give image_embedding and zero_shot the same `encoder`."
                )
            shares = softmax(pictures @ weight)
            return {
                "zero_shot": at_places(known.take(pa.array(shares.argmax(axis=1))), places, len(batch)),
                "zero_shot_score": spread(shares.max(axis=1), places, len(batch), pa.float32()),
                "zero_shot_scores": lists(shares, places, len(batch)),
            }

        return run
