"""Reads the weights of a PyTorch checkpoint without PyTorch, whose import takes longer than all else that an encoder needs to start."""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

MAGIC = 0x1950A86A20F9469CFC6C
TYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Tensor(NamedTuple):
    """``storage``: (type, name); ``offset``, ``size`` and ``stride`` in elements."""

    storage: tuple[np.dtype[Any], str]
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def read_checkpoint(path: str | Path) -> dict[str, npt.NDArray[Any]]:
    """Arrays by name of a file that ``torch.save`` wrote before PyTorch 1.6. Nothing but tensors is made of what the pickle asks for.

    Raises `pickle.UnpicklingError` for any other file.
    """
    with open(path, "rb") as file:
        if _Reader(file).load() != MAGIC:
            raise pickle.UnpicklingError(f"{path} is no PyTorch checkpoint of the old form")
        for _ in ("version", "system"):
            _Reader(file).load()
        tensors: dict[str, _Tensor] = _Reader(file).load()
        types = {name: kind for kind, name in (tensor.storage for tensor in tensors.values())}
        data = {}
        for name in _Reader(file).load():
            count = int.from_bytes(file.read(8), "little")
            data[name] = np.frombuffer(file.read(count * types[name].itemsize), types[name])
    return {name: _array(tensor, data[tensor.storage[1]]) for name, tensor in tensors.items()}


def _array(tensor: _Tensor, data: npt.NDArray[Any]) -> npt.NDArray[Any]:
    strides = tuple(step * data.itemsize for step in tensor.stride)
    return np.ndarray(tensor.size, data.dtype, data, tensor.offset * data.itemsize, strides)  # checks that it lies within the data


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in TYPES:
            return TYPES[name]
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): lambda storage, offset, size, stride, *_: _Tensor(storage, offset, size, stride),
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"a checkpoint asks for {module}.{name}, which is no tensor")
        return known[module, name]

    def persistent_load(self, pid: Any) -> tuple[np.dtype[Any], str]:
        _, kind, name, *_ = pid
        return kind, name
