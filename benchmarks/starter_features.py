"""What the heads of starter are trained on: features of pictures and captions, computed once, and the teacher's scores."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from benchmarks.starter_data import flickr, names, pixels_of, stored
from benchmarks.starter_drawings import drawn
from manifests.errors import MediaError
from operators.encoders.onnx_graph import POOLED
from operators.encoders.starter import TEXT_FEATURES, ImageSide, TextSide, prepared


def ranges(files: Mapping[str, bytes | Path]) -> np.ndarray:
    """Of every value of the network that has no fixed range: where all but 0.01 % of it lies in 200 pictures of the training split."""
    exact = ImageSide(None)
    seen = [prepared(pixels_of(name, files)) for name in [n for n in files if n.startswith("train/")][::20]]
    values = [[value.ravel()[::7] for value in exact.session.run(None, {"pictures": one})[len(POOLED) :]] for one in seen]
    return np.array([np.percentile(np.concatenate(some), (0.005, 99.995)) for some in zip(*values, strict=True)], np.float32)


def image_features(work: Path) -> tuple[np.ndarray, dict[str, int], np.ndarray]:
    """(the network's ranges, row of each picture, features (pictures, 1624))"""
    path = work / "image.npz"
    if not path.exists():
        files = stored()
        found = ranges(files)
        side, rows = ImageSide(found), {}
        for name in names(files):
            with suppress(MediaError):
                rows[name] = side.features([pixels_of(name, files)])[0]
        rows |= {name: side.features([pixels])[0] for name, pixels in drawn()}
        np.savez(path, ranges=found, names=np.array(list(rows)), x=np.array(list(rows.values()), np.float32))
    with np.load(path) as kept:
        return kept["ranges"], {str(name): i for i, name in enumerate(kept["names"])}, kept["x"]


def text_features(work: Path) -> tuple[np.ndarray, np.ndarray]:
    """(name of the picture of each caption, features (captions, 1152))"""
    path = work / "text.npz"
    if not path.exists():
        pairs = [(name, caption) for split in ("test", "val", "train") for name, _, captions in flickr(split) for caption in captions[:5]]
        np.savez(path, names=np.array([name for name, _ in pairs]), x=TextSide().features([caption for _, caption in pairs]))
    with np.load(path) as found:
        return found["names"], found["x"]


def vocabulary(captions: np.ndarray, numbers: int = 128) -> dict[str, np.ndarray]:
    """The names of ImageNet's classes as captions, in the ``numbers`` directions in which they differ most, seen from their middle, and
    where a caption stands in these, seen from the middle of ``captions`` (n, 1152)."""
    from open_clip import IMAGENET_CLASSNAMES  # after OpenAI: without the words of ImageNet that mean two things

    own = TextSide().features([f"a photo of a {name}." for name in IMAGENET_CLASSNAMES])[:, -TEXT_FEATURES:]
    own -= own.mean(axis=0)
    directions = np.linalg.svd(own, full_matrices=False)[2][:numbers].T
    return {
        "names_weight": own @ directions,
        "asked_weight": directions,
        "asked_bias": -captions[:, -TEXT_FEATURES:].mean(axis=0) @ directions,
    }


def laion_scores(clip: Mapping[str, np.ndarray], file: str) -> dict[str, float]:
    """LAION's aesthetic score by name."""
    head = torch.load(file, weights_only=True)
    weight, bias = head["weight"].numpy()[0], float(head["bias"][0])
    return {name: float(row @ weight + bias) for name, row in clip.items()}
