"""How much of the scene a shot shows: from extreme close-up to extreme wide."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from operators.base import BatchFn, Reads, Row, Scope, field, per_row
from operators.encoders import fill_in, load, setup_of
from operators.encoders.vectors import softmax, unit

SIZES = ("extreme_close_up", "close_up", "medium_close_up", "medium", "wide", "extreme_wide")
FACE_HEIGHT = (0.62, 0.33, 0.19, 0.105, 0.045)
"""Least height of a face's box over the frame's for the sizes but the last: a face that fills the frame; head and shoulders; chest; waist;
whole figure. From the canon of eight heads (a face is about 0.8 of a head) and usual framing (Arijon 1976; Bordwell and Thompson)."""
PROMPTS = {
    "close_up": ("a close-up of an object", "a macro photograph", "a detail shot"),
    "medium": ("a photo of an object on a table", "a photo of an animal", "a medium shot"),
    "wide": ("a photo of a room", "a photo of a street", "a wide shot of a scene"),
    "extreme_wide": ("a landscape seen from far away", "an aerial view", "a panorama of mountains"),
}
"""Zero-shot prompts for clips without a face."""


@dataclass(frozen=True)
class ShotSize:
    """Shot size: extreme_close_up, close_up, medium_close_up, medium, wide or extreme_wide.

    Where there is a face, from its height in the frame; `shot_size_by` then says `face`. Else the encoder's guess (`encoder`), zero-shot
    and weak, which knows only close_up, medium, wide and extreme_wide. People seen from behind count as no person.
    ``encoder``, ``precision``, ``device``, ``batch_size`` and ``weights``: as for `frame_embeddings`, which must have the same encoder.
    """

    encoder: str = "starter"
    precision: str = "auto"
    device: str = "cpu"
    batch_size: int = 16
    weights: str = ""

    name, version = "shot_size", "1"
    scope: ClassVar[Scope] = "batch"
    reads = Reads(columns=("video_face_height", "frame_embeddings"))
    adds = pa.schema(
        [
            field("shot_size", pa.string(), f"{', '.join(SIZES)}"),
            field("shot_size_by", pa.string(), "face (measured) or encoder (guessed)"),
            field("shot_size_score", pa.float32(), "the encoder's share for the size; 1 where a face was measured", "0-1"),
        ]
    )

    def __post_init__(self) -> None:
        fill_in(self)

    @property
    def gpus(self) -> float:
        return 1.0 if self.device == "cuda" else 0.0

    def open(self) -> BatchFn:
        encoder = load(setup_of(self))
        names = list(PROMPTS)
        means = np.stack([encoder.encode_texts(list(PROMPTS[name])).mean(axis=0) for name in names])
        weight = encoder.logit_scale * unit(means).T

        def measure(row: Row) -> dict[str, Any]:
            height, vectors = row["video_face_height"], row["frame_embeddings"]
            if height:
                return {"shot_size": size_of_face(height), "shot_size_by": "face", "shot_size_score": 1.0}
            if not vectors:
                return {}
            shares = softmax(np.array(vectors, np.float32) @ weight).mean(axis=0)
            best = int(shares.argmax())
            return {"shot_size": names[best], "shot_size_by": "encoder", "shot_size_score": float(shares[best])}

        return per_row(self.adds, measure)


def size_of_face(height: float) -> str:
    """The shot size for a face of that height over the frame's."""
    return next((size for size, least in zip(SIZES, FACE_HEIGHT, strict=False) if height >= least), SIZES[-1])
