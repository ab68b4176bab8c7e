"""Faces by MTCNN: Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks" (2016).

The networks are those of the package mtcnn-runtime (Apache-2.0; ONNX, 2 MB). Its own cascade is not used: it fails on pictures
without any candidate and takes all cores.

The picture is scaled down so that the smallest face looked for has 12 pixels, the window of the first network: cost does not
grow with the resolution. Faces under 12 pixels are never found.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.packaged_models import cpu_session, packaged_file

EXTRA = "faces"
WINDOW, STRIDE = 12, 2  # of the first network
STEP = 0.709  # between levels of the pyramid: half the area
THRESHOLDS = (0.7, 0.7)  # of the first two networks
CANDIDATES = 300  # the best that pass the first network; crowds have some 100

Float = npt.NDArray[np.float32]
UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Face:
    """``box``: left, top, right, bottom; ``points``: (5, 2) x and y of the eyes, the nose tip and the corners of the mouth, the
    picture's left one first. In pixels of the picture shown; boxes may reach over its edge."""

    box: tuple[float, float, float, float]
    confidence: float
    points: Float

    @property
    def area(self) -> float:
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])


Detector = Callable[[UInt8], list[Face]]


def load_detector(smallest: float, confidence: float) -> Detector:
    """A function from an RGB picture (height, width, 3) to its faces, largest first.

    ``smallest``: side of the smallest face looked for, as a share of the shorter side; ``confidence``: of the last network, 0-1.
    Raises `MissingDependencyError` without the package.
    """
    import cv2

    cv2.setNumThreads(1)  # rows run in parallel already
    propose, refine, output = (cpu_session(packaged_file("mtcnnruntime", f"weights/{net}net.onnx", EXTRA), EXTRA) for net in "pro")

    def detect(rgb: UInt8) -> list[Face]:
        boxes = proposals(propose, rgb, smallest)
        if len(boxes):
            offsets, scores = refine.run(None, {"input": patches(rgb, boxes, 24)})
            boxes = squared(moved(*passed(boxes, scores[:, 1], offsets, THRESHOLDS[1], 0.7)))
        if not len(boxes):
            return []
        points, offsets, scores = output.run(None, {"input": patches(rgb, boxes, 48)})
        sides = (boxes[:, 2:4] - boxes[:, :2])[:, None]
        placed = boxes[:, None, :2] + points.reshape(-1, 2, 5).transpose(0, 2, 1) * sides
        boxes = moved(np.column_stack([boxes[:, :4], scores[:, 1]]).astype(np.float32), offsets)
        keep = [i for i in distinct(boxes, 0.7, of_smaller=True) if boxes[i, 4] >= confidence]
        faces = [Face(tuple(map(float, boxes[i, :4])), float(boxes[i, 4]), placed[i]) for i in keep]  # type: ignore[arg-type]
        return sorted(faces, key=lambda face: (-face.area, face.box))

    return detect


def proposals(network: Any, rgb: UInt8, smallest: float) -> Float:
    """Square candidate boxes (n, 5) with score, from the first network run over a pyramid."""
    import cv2

    height, width = rgb.shape[:2]
    scale = min(WINDOW / (smallest * min(height, width)), 1.0)
    found = []
    while min(height, width) * scale >= WINDOW:
        size = math.ceil(width * scale), math.ceil(height * scale)
        level = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        offsets, scores = network.run(None, {"input": normalised(np.asarray(level, np.uint8)[None])})
        y, x = np.nonzero(scores[0, 1] >= THRESHOLDS[0])
        corner = np.stack([x, y], axis=1) * STRIDE + 1
        boxes = np.column_stack([corner / scale, (corner + WINDOW) / scale, scores[0, 1, y, x]])
        found.append(moved(*passed(boxes.astype(np.float32), boxes[:, 4], offsets[0][:, y, x].T, THRESHOLDS[0], 0.5)))
        scale *= STEP
    boxes = np.concatenate(found) if found else np.zeros((0, 5), np.float32)
    return squared(boxes[distinct(boxes, 0.7)][:CANDIDATES])


def passed(boxes: Float, scores: Float, offsets: Float, threshold: float, overlap: float) -> tuple[Float, Float]:
    """Boxes with new scores that reach the threshold and are not the same face, best first, and their offsets."""
    good = scores >= threshold
    boxes, offsets = np.column_stack([boxes[good, :4], scores[good]]).astype(np.float32), offsets[good]
    keep = distinct(boxes, overlap)
    return boxes[keep], offsets[keep]


def moved(boxes: Float, offsets: Float) -> Float:
    """Boxes with their corners moved by ``offsets``, which are shares of the boxes' sides."""
    sides = np.tile(boxes[:, 2:4] - boxes[:, :2], 2)
    return np.column_stack([boxes[:, :4] + offsets * sides, boxes[:, 4]]).astype(np.float32)


def squared(boxes: Float) -> Float:
    """The boxes made square about their centres, on whole pixels, at least two a side."""
    centre = (boxes[:, :2] + boxes[:, 2:4]) / 2
    side = np.maximum(np.round((boxes[:, 2:4] - boxes[:, :2]).max(axis=1, initial=2.0)), 2)[:, None]
    start = np.round(centre - side / 2)
    return np.column_stack([start, start + side, boxes[:, 4]]).astype(np.float32)


def distinct(boxes: Float, overlap: float, of_smaller: bool = False) -> list[int]:
    """Greedy non-maximum suppression: indices, best first. Overlap is over the union, or over the smaller of two boxes."""
    left, top, right, bottom, score = boxes.T
    area = (right - left) * (bottom - top)
    order, keep = np.argsort(-score, kind="stable"), []
    while len(order):
        best, rest = order[0], order[1:]
        keep.append(int(best))
        width = np.minimum(right[best], right[rest]) - np.maximum(left[best], left[rest])
        height = np.minimum(bottom[best], bottom[rest]) - np.maximum(top[best], top[rest])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        whole = np.minimum(area[best], area[rest]) if of_smaller else area[best] + area[rest] - shared
        order = rest[shared <= overlap * whole]
    return keep


def patches(rgb: UInt8, boxes: Float, side: int) -> Float:
    """What the boxes show, each scaled to ``side`` pixels, black outside the picture: network input (n, 3, side, side)."""
    import cv2

    def patch(box: Float) -> UInt8:
        left, top, right, bottom = box[:4].astype(int)
        inside = rgb[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        whole = np.zeros((bottom - top, right - left, 3), np.uint8)
        y, x = max(-top, 0), max(-left, 0)
        whole[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
        return np.asarray(cv2.resize(whole, (side, side), interpolation=cv2.INTER_AREA), np.uint8)

    return normalised(np.stack([patch(box) for box in boxes]))


def normalised(rgb: UInt8) -> Float:
    """(n, height, width, 3), 0-255, to (n, 3, height, width), -1 to 1."""
    scaled = (rgb.astype(np.float32) - np.float32(127.5)) / np.float32(128)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))
