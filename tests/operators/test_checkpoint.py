"""Weights read without PyTorch are those that PyTorch reads."""

import collections
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from operators.encoders.checkpoint import read_checkpoint


def save(path: Path, tensors: object) -> Path:
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    return path


def test_arrays_are_those_of_torch(tmp_path: Path) -> None:
    whole = torch.arange(24.0).reshape(4, 6)
    tensors = collections.OrderedDict(a=whole, part=whole[1:3, ::2], turned=whole.T, count=torch.tensor(7), none=torch.zeros(0, 3))
    found = read_checkpoint(save(tmp_path / "w.pth", tensors))
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found[name], tensor.numpy(), strict=True)


def test_nothing_else_is_made(tmp_path: Path) -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"posix.getpid|nt.getpid"):
        read_checkpoint(save(tmp_path / "evil.pth", {"a": _Evil()}))
    torch.save({"a": torch.zeros(1)}, tmp_path / "new.pth")
    with pytest.raises(pickle.UnpicklingError):
        read_checkpoint(tmp_path / "new.pth")


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[()]]:
        import os

        return os.getpid, ()
