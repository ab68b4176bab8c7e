"""The two backbones of `starter` as ONNX graphs, built in memory from the weights that installed packages carry.

ONNX Runtime takes less time than torch for both, is as fast for one picture as for a batch, and lets go of the interpreter
meanwhile. So every picture is a run of its own, and captions run in batches of one shape, filled up where there are too few: a
result does not depend on its neighbours.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Weights = Mapping[str, npt.NDArray[np.float32]]

STRIDES = {0: 1, 1: 2, 3: 2, 5: 2, 11: 2}
"""Blocks of EfficientNet-Lite that begin a stage, with their stride; all others have 1."""
POOLED = (-1, 4, 10, 14)
"""The blocks whose maps are averaged: the last convolution (1280 channels), and the ends of three stages (40, 112, 192)."""
SIDE = 224
MEAN, DEVIATION = 0.498, 0.502  # of pixels 0-1; the network was trained with these, not ImageNet's
READ = (0, 3, 6)
"""The layers of the text model whose means are read: words, something between, and what it was trained for."""
HEADS = 12  # attention heads of all-MiniLM-L6-v2
MICROSOFT = "com.microsoft"  # ONNX Runtime's own fused operators


class Graph:
    """Collects nodes and weights of an ONNX graph; every method returns the name of the value it adds."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def weight(self, values: npt.ArrayLike) -> str:
        from onnx import numpy_helper

        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], domain=domain, **attributes))
        return name

    def seven_bits(self, kernel: npt.NDArray[np.float32], shift: npt.NDArray[np.float32], step: np.float32) -> tuple[str, str]:
        """A convolution's weights (out, ...) as integers of -63 to 63 with a step for each channel, and its biases to match; ``step``: the
        input's."""
        steps = np.maximum(np.abs(kernel).max(axis=(1, 2, 3)) / 63, 1e-6).astype(np.float32)  # some channels are all zero
        whole = np.rint(kernel / steps[:, None, None, None]).astype(np.int8)
        weight = self.node("DequantizeLinear", self.weight(whole), self.weight(steps), self.weight(np.zeros(len(steps), np.int8)), axis=0)
        both = (steps * step).astype(np.float32)
        bias = self.weight(np.clip(np.rint(shift / both), -(2**31) + 1, 2**31 - 1024).astype(np.int32))
        return weight, self.node("DequantizeLinear", bias, self.weight(both), self.weight(np.zeros(len(steps), np.int32)), axis=0)

    def session(self, inputs: Mapping[str, tuple[int, list[Any]]], outputs: list[str]) -> Any:
        """An ``onnxruntime.InferenceSession`` that uses the calling thread alone; ``inputs``: name -> (ONNX type, shape)."""
        import onnxruntime
        from onnx import TensorProto, helper

        graph = helper.make_graph(
            self.nodes,
            "starter",
            [helper.make_tensor_value_info(name, *what) for name, what in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            self.weights,
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def efficientnet_lite0(weights: Weights, ranges: npt.NDArray[np.float32] | None = None) -> Any:
    """EfficientNet-Lite0 (Tan and Le 2019, without squeeze-and-excitation, ReLU6) and averages over its maps.

    Input ``pictures``: uint8 (n, side, side, 3), the side a multiple of 32. Outputs: for each of the maps `POOLED` its average, float32
    (n, channels); without ``ranges`` also every value that they are about. ``weights``: the names of efficientnet_lite_pytorch.

    ``ranges``, float32 (values, 2): lowest and highest value of the blocks' projections and sums, in order. With them the network
    computes in 8-bit integers (Jacob et al. 2018), which takes a processor with AVX2 about 60 % of the time: pixels as they are,
    activations with 256 levels, weights with 127 for each channel, so that no pair of products overflows in 16 bits and every processor
    finds the same.
    """
    from onnx import TensorProto

    graph = Graph()
    limits = graph.weight(np.float32(0)), graph.weight(np.float32(6))
    watched: list[str] = []
    steps: dict[str, np.float32] = {}

    def levels(low: float, high: float) -> tuple[np.float32, np.uint8]:
        """Step and zero of 256 levels from ``low`` to ``high``, of which one is 0."""
        step = np.float32((max(high, 0) - min(low, 0)) / 255)
        return step, np.uint8(round(-min(low, 0) / float(step)))

    def onto_levels(x: str, low: float, high: float) -> str:
        step, zero = levels(low, high)
        grid = graph.weight(step), graph.weight(zero)
        y = graph.node("DequantizeLinear", graph.node("QuantizeLinear", x, *grid), *grid)
        steps[y] = step
        return y

    def linear(x: str) -> str:
        """A value without ReLU6, on the levels of its range."""
        watched.append(x)
        return x if ranges is None else onto_levels(x, *map(float, ranges[len(watched) - 1]))

    def convolution(x: str, conv: str, norm: str, stride: int = 1, activate: bool = True, groups: int = 1) -> str:
        scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + 1e-3)
        kernel = weights[f"{conv}.weight"] * scale[:, None, None, None]
        shift = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
        side = kernel.shape[-1]
        before = (side - stride) // 2  # TensorFlow's "SAME": the odd pixel goes behind
        after = side - stride - before
        exact = ranges is None
        y = graph.node(
            "Conv",
            x,
            *((graph.weight(kernel), graph.weight(shift)) if exact else graph.seven_bits(kernel, shift, steps[x])),
            kernel_shape=[side, side],
            pads=[before, before, after, after],
            strides=[stride, stride],
            group=groups,
        )
        if not activate:
            return linear(y)
        return graph.node("Clip", y, *limits) if exact else onto_levels(y, 0, 6)

    step, zero = levels(-255 * MEAN / (255 * DEVIATION), 255 * (1 - MEAN) / (255 * DEVIATION))
    x = graph.node("Transpose", "pictures", perm=[0, 3, 1, 2])
    x = graph.node("DequantizeLinear", x, graph.weight(step), graph.weight(zero))
    steps[x] = step
    x = convolution(x, "_conv_stem", "_bn0", stride=2)
    maps = {}
    for i in range(blocks_of(weights)):
        at = f"_blocks.{i}."
        y = convolution(x, f"{at}_expand_conv", f"{at}_bn0") if f"{at}_expand_conv.weight" in weights else x
        y = convolution(y, f"{at}_depthwise_conv", f"{at}_bn1", STRIDES.get(i, 1), groups=len(weights[f"{at}_depthwise_conv.weight"]))
        y = convolution(y, f"{at}_project_conv", f"{at}_bn2", activate=False)
        plain = i in STRIDES or i == blocks_of(weights) - 1 or changes_width(weights, i)
        x = maps[i] = y if plain else linear(graph.node("Add", x, y))
    maps[-1] = convolution(x, "_conv_head", "_bn1")
    outputs = [graph.node("ReduceMean", maps[i], axes=[2, 3], keepdims=0) for i in POOLED]
    return graph.session({"pictures": (TensorProto.UINT8, ["n", "height", "width", 3])}, outputs + ([] if ranges is not None else watched))


def blocks_of(weights: Weights) -> int:
    return len({name.split(".")[1] for name in weights if name.startswith("_blocks.")})


def changes_width(weights: Weights, block: int) -> bool:
    project, expand = weights[f"_blocks.{block}._project_conv.weight"], weights[f"_blocks.{block}._expand_conv.weight"]
    return len(project) != int(expand.shape[1])


def minilm(weights: Weights) -> Any:
    """BERT (Devlin et al. 2018) as all-MiniLM-L6-v2 has it: its mean pooling after every layer of `READ` (0: the words themselves).

    Inputs ``ids``: int64 (n, length), ``lengths``: int32 (n,), how many of a row's tokens are its own, the others are filling;
    ``places``: int64 (length,) counting from 0. Outputs float32 (n, 384), not normalised. ``weights``: the names of
    transformers' BertModel.
    """
    from onnx import TensorProto

    graph = Graph()

    def parameter(name: str) -> str:
        return graph.weight(weights[name])

    def add_and_norm(x: str, skip: str, at: str) -> str:
        parts = [parameter(f"{at}.{name}") for name in ("LayerNorm.weight", "LayerNorm.bias", "dense.bias")]
        return graph.node("SkipLayerNormalization", x, skip, *parts, domain=MICROSOFT, epsilon=1e-12)

    words = graph.node("Gather", parameter("embeddings.word_embeddings.weight"), "ids")
    kind = graph.weight(weights["embeddings.token_type_embeddings.weight"][0])
    places = graph.node("Add", graph.node("Gather", parameter("embeddings.position_embeddings.weight"), "places"), kind)
    norm = parameter("embeddings.LayerNorm.weight"), parameter("embeddings.LayerNorm.bias")
    x = graph.node("LayerNormalization", graph.node("Add", words, places), *norm, axis=-1, epsilon=1e-12)
    states = [x]
    layers = len({name.split(".")[2] for name in weights if name.startswith("encoder.layer.")})
    for i in range(layers):
        at = f"encoder.layer.{i}."
        kernels = [weights[f"{at}attention.self.{part}.weight"].T for part in ("query", "key", "value")]
        shifts = [weights[f"{at}attention.self.{part}.bias"] for part in ("query", "key", "value")]
        joined = graph.weight(np.concatenate(kernels, axis=1)), graph.weight(np.concatenate(shifts))
        y = graph.node("Attention", x, *joined, "lengths", domain=MICROSOFT, num_heads=HEADS)
        y = graph.node("MatMul", y, graph.weight(weights[f"{at}attention.output.dense.weight"].T))
        x = add_and_norm(y, x, f"{at}attention.output")
        y = graph.node("MatMul", x, graph.weight(weights[f"{at}intermediate.dense.weight"].T))
        y = graph.node("BiasGelu", y, parameter(f"{at}intermediate.dense.bias"), domain=MICROSOFT)
        y = graph.node("MatMul", y, graph.weight(weights[f"{at}output.dense.weight"].T))
        x = add_and_norm(y, x, f"{at}output")
        states.append(x)
    lengths = graph.node("Cast", graph.node("Unsqueeze", "lengths", graph.weight([1])), to=TensorProto.INT64)
    own = graph.node("Cast", graph.node("Less", "places", lengths), to=TensorProto.FLOAT)
    own, count = graph.node("Unsqueeze", own, graph.weight([1])), graph.node("Cast", lengths, to=TensorProto.FLOAT)

    def mean(state: str) -> str:
        return graph.node("Div", graph.node("Squeeze", graph.node("MatMul", own, state), graph.weight([1])), count)

    outputs = [mean(states[i]) for i in READ]
    inputs = {"ids": (TensorProto.INT64, ["n", "length"]), "lengths": (TensorProto.INT32, ["n"])}
    return graph.session({**inputs, "places": (TensorProto.INT64, ["length"])}, outputs)
