"""The network of `over_smooth`: how strongly patches of 64 x 64 pixels were smoothed, learned from pictures with and without filters.

Four convolutions describe each patch. The first sees differences of neighbours alone, as in detectors of median filters (Chen, Kang, Liu
and Wang 2015), and holds strong ones down, so that grain counts beside edges. Then the patches are judged together: what each says,
weighted by how much it tells, and what a small layer says of the mean and spread of all. Made by benchmarks/train_over_smooth.py.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.patches import SIDE
from operators.tiles import UInt8

Float32 = npt.NDArray[np.float32]

WEIGHTS = Path(__file__).parent / "weights" / "over_smooth.npz"
LEVELS = 8.0  # difference of neighbours, times a weight of the first layer, from which it is held down


def described(found: UInt8) -> Float32:
    """What the convolutions see in each of the patches (n, 64, 64): float32 (n, channels)."""
    seen: Float32 = load()[0].run(None, {"patches": found})[0]
    return seen


def evidence(seen: Float32) -> float:
    """How strongly the picture with these `described` patches, at least one, was smoothed: about -3 as most cameras leave it, from 1 on it
    looks smoothed; no limits."""
    w = load()[1]
    said, telling = (seen @ w["out"].T + w["out_bias"]).T
    weight = np.exp(telling - telling.max())
    weight /= weight.sum()
    mean = seen.mean(axis=0)
    spread = np.sqrt(((seen - mean) ** 2).mean(axis=0) + 1e-4)
    together = np.maximum(w["together"] @ np.concatenate([mean, spread, weight @ seen]) + w["together_bias"], 0)
    return float(weight @ said + w["last"] @ together + w["last_bias"])


@lru_cache(maxsize=1)
def load() -> tuple[Any, dict[str, Float32]]:
    """(ONNX Runtime session of the convolutions, the other weights)."""
    with np.load(WEIGHTS) as arrays:
        weights = {name: arrays[name].astype(np.float32) for name in arrays.files}
    return convolutions(weights), weights


def convolutions(weights: dict[str, Float32]) -> Any:
    """Input ``patches``: uint8 (n, 64, 64); output (n, channels)."""
    from onnx import TensorProto

    from operators.encoders.onnx_graph import Graph

    graph = Graph()
    x = graph.node("Unsqueeze", "patches", graph.weight(np.array([1], np.int64)))
    x = graph.node("Mul", graph.node("Cast", x, to=TensorProto.FLOAT), graph.weight(np.float32(1 / LEVELS)))
    for layer, stride, kind in (("first", 2, "Tanh"), ("second", 2, "Relu"), ("third", 2, "Relu"), ("fourth", 1, "Relu")):
        kernel, bias = graph.weight(weights[layer]), graph.weight(weights[f"{layer}_bias"])
        x = graph.node(kind, graph.node("Conv", x, kernel, bias, strides=[stride, stride]))
    x = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    return graph.session({"patches": (TensorProto.UINT8, ["n", SIDE, SIDE])}, [x])
