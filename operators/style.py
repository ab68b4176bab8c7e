"""What kind of picture it is: a photograph, a drawing, a screenshot, ..."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from manifests.errors import UsageError
from operators.base import Batch, BatchFn, Columns, Reads, Scope, field
from operators.concept import at_places
from operators.encoders import EMBEDDED, Setup, fill_in, load, parse, setup_of
from operators.encoders.vectors import Float32, lists, matrix, softmax, spread, unit

STYLES = ("photo", "illustration", "anime", "painting", "3d_render", "screenshot", "chart", "other")
"""What ``style`` can be; `screenshot` covers user interfaces, `chart` diagrams and documents."""

PROMPTS: dict[str, tuple[str, ...]] = {
    "photo": ("a photo", "a photograph taken with a camera", "a snapshot"),
    "illustration": ("an illustration", "a cartoon", "a vector drawing", "a comic", "a sketch"),
    "anime": ("an anime picture", "a manga drawing", "an anime character"),
    "painting": ("an oil painting", "a watercolour painting", "a painting on canvas"),
    "3d_render": ("a 3D render", "computer generated imagery", "a video game character render"),
    "screenshot": ("a screenshot of a computer program", "a screenshot of a web page", "a user interface"),
    "chart": ("a chart", "a diagram", "a scanned document", "a page of text"),
    "other": ("an abstract pattern", "a texture", "a logo", "a blank picture"),
}
"""Zero-shot prompts for encoders that have no trained head."""


@dataclass(frozen=True)
class Style:
    """The kind of picture: photo, illustration, anime, painting, 3d_render, screenshot, chart or other.

    For the encoders `starter` and `clip_b16` by a trained head (their model cards in docs/ say what it confuses), for any open_clip model
    zero-shot.
    ``encoder``, ``precision``, ``device``, ``batch_size`` and ``weights``: as for `image_embedding`, which must have the same encoder.
    """

    encoder: str = "starter"
    precision: str = "auto"
    device: str = "cpu"
    batch_size: int = 16
    weights: str = ""

    name, version = "style", "2"
    scope: ClassVar[Scope] = "batch"
    reads = Reads(columns=("image_embedding",))
    adds = pa.schema(
        [
            field("style", pa.string(), f"the likeliest of {', '.join(STYLES)}"),
            field("style_score", pa.float32(), "its probability", "0-1"),
            field("style_scores", pa.list_(pa.float32()), f"probabilities of {', '.join(STYLES)}, in this order", "0-1"),
            field("photo_share", pa.float32(), "probability that it is a photo", "0-1"),
        ]
    )

    def __post_init__(self) -> None:
        fill_in(self)

    @property
    def gpus(self) -> float:
        return 1.0 if self.device == "cuda" else 0.0

    def open(self) -> BatchFn:
        weight, bias = head(setup_of(self))
        known = pa.array(STYLES)

        def run(batch: Batch) -> Columns:
            pictures, places = matrix(batch.table["image_embedding"])
            if not len(places):
                return {added.name: pa.nulls(len(batch), added.type) for added in self.adds}
            if pictures.shape[1] != len(weight):
                raise UsageError(
                    f"Pictures have embeddings of {pictures.shape[1]} numbers, the style head of {self.encoder} takes {len(weight)}: "
                    f"give image_embedding and style the same `encoder`."
                )
            shares = softmax(pictures @ weight + bias)
            which = shares.argmax(axis=1)
            return {
                "style": at_places(known.take(pa.array(which)), places, len(batch)),
                "style_score": spread(shares.max(axis=1), places, len(batch), pa.float32()),
                "style_scores": lists(shares, places, len(batch)),
                "photo_share": spread(shares[:, STYLES.index("photo")], places, len(batch), pa.float32()),
            }

        return run


def head(setup: Setup) -> tuple[Float32, Float32]:
    """Weights (d, styles) and biases (styles,) of a softmax over styles."""
    encoder = load(setup)
    if (file := EMBEDDED.get(parse(setup.encoder).family)) is not None:
        with np.load(file) as arrays:
            return arrays["style_weight"].astype(np.float32), arrays["style_bias"].astype(np.float32)
    means = [encoder.encode_texts(list(PROMPTS[style])).mean(axis=0) for style in STYLES]
    return encoder.logit_scale * unit(np.stack(means)).T, np.zeros(len(STYLES), np.float32)
