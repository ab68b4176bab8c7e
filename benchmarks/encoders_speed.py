"""The speed of encoders and heads, and parity with open_clip: a part of benchmarks/encoders.py, which runs it."""

import io
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from benchmarks.starter_data import flickr
from operators.aesthetic import Aesthetic
from operators.base import Batch, BatchFn
from operators.clip_score import ClipScore
from operators.concept import Concept
from operators.encoders import load, settle
from operators.encoders.vectors import EMBEDDING, lists, unit
from operators.image_embedding import ImageEmbedding
from operators.testing import encode, make_batch, picture

THREADS = 2


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
        texts = [text for _, _, captions in list(flickr("test"))[:40] for text in captions][:192]
        tokenize, start = open_clip.get_tokenizer("ViT-B-32"), time.perf_counter()
        with torch.inference_mode():
            for at in range(0, len(texts), 16):
                model.encode_text(tokenize(texts[at : at + 16]))
        plain_texts = len(texts) / (time.perf_counter() - start)
        yield {"what": "plain loop, fp32: captions of Flickr8k", "per_second": round(plain_texts, 1)}
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
            encoder = load(settle(operator.encoder, operator.precision, "cpu", 16, ""))
            speed = rate(encoder.encode_texts, [texts[at : at + 32] for at in range(0, len(texts), 32)])
            yield {"what": f"ours, {precision}: captions", **speed, "times": round(speed["per_second"] / plain_texts, 2)}


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
