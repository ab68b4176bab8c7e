"""Encoders: what turns pictures and captions into embeddings that can be compared.

One string names an encoder:

* ``starter``: the embedded default, see `operators.encoders.starter`;
* ``clip_b16``: CLIP's ViT-B/16 from a package, slower and better, see `operators.encoders.clip_b16`;
* ``openclip:MODEL/TAG``: any model and pretrained tag of open_clip, for example ``openclip:ViT-B-32/laion2b_s34b_b79k``;
* ``openclip:MODEL/PATH.pt``: an open_clip model with a checkpoint of your own.

Weights are never fetched while samples are measured: what is missing is an error that names the command that fetches it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from manifests.errors import MissingDependencyError, UsageError
from operators.base import Pixels

UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

CHECKPOINTS = (".pt", ".pth", ".bin", ".safetensors", ".npz")
"""Endings that tell a file from a pretrained tag."""
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
EMBEDDED = {name: Path(__file__).parent / "weights" / f"{name}.npz" for name in ("starter", "clip_b16")}
"""Encoders of our own -> the heads that were trained for them; packages carry the rest."""


class Encoder(Protocol):
    """A loaded model. Its functions may be called by several threads; a row of the result depends on that row alone."""

    @property
    def name(self) -> str: ...
    @property
    def dimension(self) -> int: ...
    @property
    def logit_scale(self) -> float:
        """By what a cosine is multiplied before a softmax over texts: the temperature the model was trained with."""
        ...

    def encode_images(self, pictures: Sequence[UInt8]) -> Float32:
        """``pictures``: uint8 (height, width, 3), sRGB, upright, of any size. Returns float32 (n, dimension) of length 1."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Float32:
        """Returns float32 (n, dimension) of length 1."""
        ...


@dataclass(frozen=True)
class EncoderName:
    """An encoder's string, taken apart: ``tag`` or ``file`` says which weights the open_clip ``model`` has."""

    family: Literal["starter", "clip_b16", "openclip"]
    model: str = ""
    tag: str = ""
    file: str = ""

    def __str__(self) -> str:
        return f"openclip:{self.model}/{self.tag or self.file}" if self.family == "openclip" else self.family


@dataclass(frozen=True)
class Setup:
    """How an encoder is run; every field is fixed before a run begins, so that all workers compute the same.

    ``encoder``: its string. ``precision``: fp32, bf16 or fp16. ``device``: cpu or cuda. ``batch_size``: pictures or texts a
    model call has, always (the last call is filled up). ``weights``: first 16 digits of the SHA-256 of the weights' file;
    empty for a pretrained tag, which names its weights itself.
    """

    encoder: str
    precision: str
    device: str
    batch_size: int
    weights: str


class HasEncoder(Protocol):
    """An operator's settings that say which encoder it uses and how."""

    @property
    def encoder(self) -> str: ...
    @property
    def precision(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def weights(self) -> str: ...


def setup_of(operator: HasEncoder) -> Setup:
    """The operator's settings as a `Setup`."""
    return Setup(operator.encoder, operator.precision, operator.device, operator.batch_size, operator.weights)


def fill_in(operator: HasEncoder) -> None:
    """For ``__post_init__`` of a frozen operator: its settings become those of `settle`. Raises what `settle` raises."""
    settled = settle(operator.encoder, operator.precision, operator.device, operator.batch_size, operator.weights)
    for setting in ("encoder", "precision", "weights"):
        object.__setattr__(operator, setting, getattr(settled, setting))


def parse(encoder: str) -> EncoderName:
    """The parts of an encoder's string. Raises `ValueError` for anything else."""
    if encoder == "starter":
        return EncoderName("starter")
    if encoder == "clip_b16":
        return EncoderName("clip_b16")
    family, _, rest = encoder.partition(":")
    model, _, weights = rest.partition("/")
    if family != "openclip" or not model.strip() or not weights.strip() or encoder != encoder.strip():
        raise ValueError(f"{encoder!r} names no encoder: write 'starter', 'clip_b16', 'openclip:MODEL/TAG' or 'openclip:MODEL/PATH.pt'")
    is_file = weights.endswith(CHECKPOINTS)
    return EncoderName("openclip", model, "" if is_file else weights, weights if is_file else "")


def settle(encoder: str, precision: str = "auto", device: str = "cpu", batch_size: int = 16, weights: str = "") -> Setup:
    """A `Setup` in which nothing is left open: where "auto" ends, a checkpoint's full path, the hash of its content.

    Raises `ValueError` for settings that name nothing.
    """
    name = parse(encoder)
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}; it can be {', '.join(PRECISIONS)}")
    if device not in ("cpu", "cuda"):
        raise ValueError(f"device is {device!r}; it can be cpu or cuda")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
    file = EMBEDDED.get(name.family) or (Path(name.file).absolute() if name.file else None)
    if name.file:
        encoder = f"openclip:{name.model}/{file}"
    if precision == "auto":
        precision = "fp32" if name.family in EMBEDDED else fast_precision(device)
    if file is not None and not weights and file.is_file():
        weights = hash_of(file)
    return Setup(encoder, precision, device, batch_size, weights)


def hash_of(file: Path) -> str:
    """First 16 digits of the SHA-256 of a file's content, which is read again only where the file changed."""
    stat = file.stat()
    return content_hash(str(file), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8)
def content_hash(file: str, size: int, changed: int) -> str:
    """First 16 digits of the SHA-256; ``size`` and ``changed`` only make a changed file another call."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


@lru_cache(maxsize=2)
def fast_precision(device: str) -> str:
    """fp16 on a GPU; on a processor bf16 where it has instructions for it (AVX512-BF16 or AMX), else fp32."""
    if device == "cuda":
        return "fp16"
    flags = Path("/proc/cpuinfo").read_text().split() if Path("/proc/cpuinfo").is_file() else []
    return "bf16" if {"avx512_bf16", "amx_bf16"} & set(flags) else "fp32"


def view_of(setup: Setup, scaled_decode: bool) -> Pixels:
    """What an encoder looks at: those of our own a view of 224 pixels, open_clip the native picture, or one scaled while decoding."""
    name = parse(setup.encoder)
    if name.family in EMBEDDED:
        return Pixels(min_side=224)
    if not scaled_decode:
        return Pixels()
    from operators.encoders.openclip import image_side

    return Pixels(min_side=image_side(name.model))


@lru_cache(maxsize=2)
def load(setup: Setup) -> Encoder:
    """The encoder, loaded once a process.

    Raises `MissingDependencyError` where weights or packages are missing, `UsageError` for settings that do not fit.
    """
    name = parse(setup.encoder)
    if name.family in EMBEDDED:
        if setup.precision != "fp32" or setup.device != "cpu":
            raise UsageError(f"The encoder {setup.encoder!r} runs in fp32 on processors; leave precision and device at their defaults.")
        if setup.weights != hash_of(EMBEDDED[name.family]):
            raise UsageError(f"This version's {setup.encoder!r} has other weights than {setup.weights}. Leave the setting `weights` away.")
        if name.family == "clip_b16":
            from operators.encoders.clip_b16 import ClipB16

            return ClipB16()
        from operators.encoders.starter import Starter

        return Starter()
    from operators.encoders.openclip import OpenClip

    if name.file:
        if not Path(name.file).is_file():
            raise MissingDependencyError(f"There is no checkpoint {name.file}. Name an existing file in the encoder {setup.encoder!r}.")
        if setup.weights != settle(setup.encoder, setup.precision, setup.device, setup.batch_size, "").weights:
            raise UsageError(f"The checkpoint {name.file} changed since this run was planned. Run again, or pin the right `weights`.")
    return OpenClip(setup)


def pull(encoder: str) -> Path:
    """Fetch what an encoder lacks over the network; returns the weights' file. The one function that may download an encoder.

    Raises `MissingDependencyError` for one that comes with a package which is not installed.
    """
    name = parse(encoder)
    if name.family == "clip_b16":
        from operators.encoders.clip_b16 import tower_file

        return tower_file()
    if name.family == "starter":
        return EMBEDDED["starter"]
    from operators.encoders.openclip import download

    return Path(name.file) if name.file else download(name.model, name.tag)
