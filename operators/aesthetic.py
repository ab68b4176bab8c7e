"""How pleasing a picture looks, as raters would say: a linear head over the picture's embedding, on a scale of 1 to 10.

* ``starter``: distilled from LAION's head over CLIP ViT-B/16 by benchmarks/train_starter.py (docs/starter.md).
* ``laion-v1``: github.com/LAION-AI/aesthetic-predictor (MIT), linear heads for OpenAI's ViT-B/32, B/16 and L/14. The one for B/16
  is shipped with the encoder ``clip_b16``.
* ``laion-v2``: github.com/christophschuhmann/improved-aesthetic-predictor (Apache-2.0) for OpenAI's ViT-L/14: layers of which
  none bends anything, so their product is one linear head too.
"""

import hashlib
import os
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from manifests.errors import MissingDependencyError, UsageError
from operators.base import Batch, BatchFn, Columns, Reads, Scope, field
from operators.encoders import CHECKPOINTS, EMBEDDED, hash_of, parse
from operators.encoders.vectors import Float32, matrix, spread

_V1 = "https://github.com/LAION-AI/aesthetic-predictor/raw/main/"
_V2 = "https://github.com/christophschuhmann/improved-aesthetic-predictor/raw/main/"
OPENAI_HEADS: dict[tuple[str, str], tuple[str, str]] = {
    ("laion-v1", "ViT-B-32"): (f"{_V1}sa_0_4_vit_b_32_linear.pth", "c7b14cead230694acc7b9447974d3cad78003c72da032e402a303b6c2429e85f"),
    ("laion-v1", "ViT-B-16"): (f"{_V1}sa_0_4_vit_b_16_linear.pth", "8ad3923d7ecf019df20ecd2ab5542a3075fbba0278d239c0371345f3d7fcbde0"),
    ("laion-v1", "ViT-L-14"): (f"{_V1}sa_0_4_vit_l_14_linear.pth", "2cd4e60f4f24ae3bcd57b847b13c1f3ba27edc28cc1a7f9ce74ee9f421243cba"),
    ("laion-v2", "ViT-L-14"): (
        f"{_V2}sac%2Blogos%2Bava1-l14-linearMSE.pth",
        "21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0",
    ),
}
"""(head, OpenAI's model) -> address and SHA-256 of the file."""
OWN_HEADS = {"starter": "starter", "clip_b16": "laion-v1"}
"""Encoder of our own -> the head that its file of weights holds."""


@dataclass(frozen=True)
class Aesthetic:
    """How pleasing a picture looks: LAION's aesthetic score, or the starter's imitation of it.

    ``encoder``: the one `image_embedding` has. ``head``: `auto`, `starter`, `laion-v1`, `laion-v2`, or a file (.pth, .npz) of linear
    layers; auto is `starter` for the encoder starter, `laion-v2` for OpenAI's ViT-L-14 and `laion-v1` for clip_b16 and OpenAI's ViT-B-32
    and ViT-B-16.
    ``weights``: filled in from the head's file (SHA-256, 16 digits), so that other weights are another fingerprint.
    """

    encoder: str = "starter"
    head: str = "auto"
    weights: str = ""

    name, version, gpus = "aesthetic", "1", 0.0
    scope: ClassVar[Scope] = "batch"
    reads = Reads(columns=("image_embedding",))
    adds = pa.schema([field("aesthetic", pa.float32(), "how pleasing the picture looks; most photographs have 4.5 to 6.5", "1-10")])

    def __post_init__(self) -> None:
        file, digest = head_file(self.encoder, self.head)
        if not self.weights:
            object.__setattr__(self, "weights", digest[:16] or (hash_of(file) if file.is_file() else ""))

    def open(self) -> BatchFn:
        weight, bias = load_head(self.encoder, self.head, self.weights)

        def run(batch: Batch) -> Columns:
            pictures, places = matrix(batch.table["image_embedding"])
            if not len(places):
                return {"aesthetic": pa.nulls(len(batch), pa.float32())}
            if pictures.shape[1] != len(weight):
                raise UsageError(
                    f"Pictures have embeddings of {pictures.shape[1]} numbers, the head {self.head!r} for {self.encoder} takes "
                    f"{len(weight)}: give image_embedding and aesthetic the same `encoder`."
                )
            return {"aesthetic": spread(np.clip(pictures @ weight + bias, 1, 10), places, len(batch), pa.float32())}

        return run


def head_file(encoder: str, head: str) -> tuple[Path, str]:
    """The file of a head, and the SHA-256 it must have ("" where it may change). Raises `ValueError` where none fits."""
    name = parse(encoder)
    if head.endswith(CHECKPOINTS):
        return Path(head).absolute(), ""
    if name.family in EMBEDDED and head in ("auto", OWN_HEADS[name.family]):
        return EMBEDDED[name.family], ""
    model = name.model.removesuffix("-quickgelu")
    if head == "auto":
        head = "laion-v2" if model == "ViT-L-14" else "laion-v1"
    if name.tag != "openai" or (head, model) not in OPENAI_HEADS:
        raise ValueError(
            f"there is no aesthetic head {head!r} for {encoder!r}: laion-v1 goes with clip_b16, openclip:ViT-B-32/openai, "
            "ViT-B-16/openai and ViT-L-14/openai, laion-v2 with openclip:ViT-L-14/openai; for other encoders give the file of a head"
        )
    return cached_head(head, model), OPENAI_HEADS[head, model][1]


def cached_head(head: str, model: str) -> Path:
    """Where the file of a head of `OPENAI_HEADS` is kept."""
    return cache_folder() / urllib.parse.unquote(OPENAI_HEADS[head, model][0].rsplit("/", 1)[1])


def head_name(head: str, model: str) -> str:
    """What `goldsieve models` calls it."""
    return f"aesthetic:{head}/{model}"


def cache_folder() -> Path:
    """Where heads are kept: ``GOLDSIEVE_CACHE``, else ``~/.cache/goldsieve``."""
    return Path(os.environ.get("GOLDSIEVE_CACHE") or "~/.cache/goldsieve").expanduser()


@lru_cache(maxsize=4)
def load_head(encoder: str, head: str, weights: str) -> tuple[Float32, float]:
    """(weight (d,), bias). Raises `MissingDependencyError` without the file, `UsageError` for one with another content."""
    file, digest = head_file(encoder, head)
    if not file.is_file():
        known = next((key for key, (_, pinned) in OPENAI_HEADS.items() if pinned == digest), None)
        command = f"Fetch it with: goldsieve models pull {head_name(*known)}" if known else "Name an existing file."
        raise MissingDependencyError(f"The aesthetic head {file} is not on this machine. {command}")
    data = file.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if (digest and found != digest) or (weights and not found.startswith(weights)):
        raise UsageError(
            f"The aesthetic head {file} has other weights ({found[:16]}) than expected ({(digest or weights)[:16]}). Replace it."
        )
    if file in EMBEDDED.values():
        with np.load(file) as arrays:
            return arrays["aesthetic_weight"].astype(np.float32), float(arrays["aesthetic_bias"])
    if file.suffix == ".npz":
        with np.load(file) as arrays:
            return folded(dict(arrays), file)
    import torch

    state = torch.load(file, map_location="cpu", weights_only=True)
    return folded({name: value.float().numpy() for name, value in state.items()}, file)


def folded(state: Mapping[str, Any], file: Path) -> tuple[Float32, float]:
    """A chain of linear layers (``weight`` (out, in) and ``bias``, in order) as one. Raises `UsageError` for anything else."""
    layers = [name.removesuffix("weight") for name in state if name.endswith("weight")]
    weight: Any = None
    bias: Any = None
    try:
        for layer in layers:
            now, shift = np.asarray(state[f"{layer}weight"], np.float64), np.asarray(state[f"{layer}bias"], np.float64)
            weight, bias = (now, shift) if weight is None else (now @ weight, now @ bias + shift)
        return weight.reshape(-1).astype(np.float32), float(bias.reshape(()))
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise UsageError(f"{file} is not a chain of linear layers that ends in one number ({type(error).__name__}).") from error


def pull_head(head: str, model: str) -> Path:
    """Fetch a head of `OPENAI_HEADS` over the network, unless it is here. Raises `UsageError` where that or its hash fails."""
    file, (address, digest) = cached_head(head, model), OPENAI_HEADS[head, model]
    if file.is_file():
        return file
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            data = answer.read(32 << 20)
    except OSError as error:
        raise UsageError(f"The aesthetic head {address} cannot be fetched: {error}. Is the network there?") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise UsageError(f"{address} served another file than expected; nothing was kept.")
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".part")
    partial.write_bytes(data)
    partial.replace(file)
    return file
