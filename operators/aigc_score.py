"""How likely a generator made a picture: two linear probes over the encoder's embedding, one for photographs, one
for all other styles.

A soft score: it learned from few generators, and real pictures of another kind than its own come out too high. See docs/aigc.md before
you use it in a rule.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from manifests.errors import MissingDependencyError, UsageError
from operators.base import Batch, BatchFn, Columns, Reads, Scope, field
from operators.encoders import CHECKPOINTS, EMBEDDED, hash_of, parse
from operators.encoders.vectors import Float32, matrix, spread


@dataclass(frozen=True)
class AigcScore:
    """Probability that a generator made the picture, by its looks: a soft hint, wrong too often to reject anything alone.

    A probability where as many pictures are generated as not; calibrated for photographs and for all other styles apart. It reads no
    metadata and no file format. ``encoder``: the one `image_embedding` and `style` have. ``head``: auto, or the file (.npz) of a
    probe of your own.
    ``weights``: filled in from the probe's file (SHA-256, 16 digits). How often it is wrong: docs/aigc.md.
    """

    encoder: str = "starter"
    head: str = "auto"
    weights: str = ""

    name, version, gpus = "aigc_score", "2", 0.0
    scope: ClassVar[Scope] = "batch"
    reads = Reads(columns=("image_embedding", "style"))
    adds = pa.schema(
        [field("aigc_score", pa.float32(), "probability that a generator made it, where half of all pictures are generated", "0-1")]
    )

    def __post_init__(self) -> None:
        file = probe_file(self.encoder, self.head)
        if not self.weights and file.is_file():
            object.__setattr__(self, "weights", hash_of(file))

    def open(self) -> BatchFn:
        probe = load_probe(self.encoder, self.head, self.weights)

        def run(batch: Batch) -> Columns:
            embeddings, places = matrix(batch.table["image_embedding"])
            styles = np.array(batch.table["style"].to_pylist(), object)
            known = np.array([style is not None for style in styles[places]], bool)
            embeddings, places = embeddings[known], places[known]
            if not len(places):
                return {"aigc_score": pa.nulls(len(batch), pa.float32())}
            if embeddings.shape[1] != len(probe["photo_weight"]):
                raise UsageError(
                    f"Pictures have embeddings of {embeddings.shape[1]} numbers, the probe for {self.encoder} takes "
                    f"{len(probe['photo_weight'])}: give image_embedding and aigc_score the same `encoder`."
                )
            # Row by row: a matrix product may round differently in batches of other sizes.
            photo, other = ((embeddings * probe[f"{kind}_weight"]).sum(axis=1) + probe[f"{kind}_bias"] for kind in ("photo", "other"))
            scores = np.where(styles[places] == "photo", photo, other)
            return {"aigc_score": spread(1 / (1 + np.exp(-scores)), places, len(batch), pa.float32())}

        return run


def probe_file(encoder: str, head: str) -> Path:
    """The file of a probe; those of our own encoders are made by benchmarks/train_aigc_score.py. Raises `ValueError` for settings that name
    nothing."""
    name = parse(encoder)
    if head.endswith(CHECKPOINTS):
        return Path(head).absolute()
    if head != "auto":
        raise ValueError(f"head is {head!r}; it can be auto, or the file (.npz) of a probe")
    return EMBEDDED["starter"].with_name(f"aigc_{name.family}.npz")


@lru_cache(maxsize=4)
def load_probe(encoder: str, head: str, weights: str) -> dict[str, Float32]:
    """``photo_weight`` and ``other_weight`` (d,), ``photo_bias`` and ``other_bias``: logistic regressions over an embedding.

    Raises `MissingDependencyError` without one, `UsageError` where it is another one or was made for another encoder.
    """
    file = probe_file(encoder, head)
    if not file.is_file():
        raise MissingDependencyError(
            f"There is no probe of aigc_score for the encoder {encoder!r}. Use the encoder starter or clip_b16, or train one as "
            "benchmarks/train_aigc_score.py does and name its file in the setting `head`."
        )
    data = file.read_bytes()
    if weights and not hashlib.sha256(data).hexdigest().startswith(weights):
        raise UsageError(f"The probe {file} has other weights than expected ({weights}). Replace it.")
    with np.load(file) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    made_for = str(found.pop("encoder_weights", ""))
    if missing := {"photo_weight", "photo_bias", "other_weight", "other_bias"} - set(found):
        raise UsageError(f"The probe {file} lacks {', '.join(sorted(missing))}: train one as benchmarks/train_aigc_score.py does.")
    own = EMBEDDED.get(parse(encoder).family)
    if own is not None and made_for and made_for != hash_of(own):
        raise UsageError(f"The probe of aigc_score was trained for other weights of {encoder!r}: run benchmarks/train_aigc_score.py again.")
    return {name: value.astype(np.float32) for name, value in found.items()}
