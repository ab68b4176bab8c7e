"""Encoders and heads, measured: quality and speed of our own, parity and speed of open_clip, heads over a million embeddings.

    python -m benchmarks.encoders quality|speed [--encoder starter|clip_b16] [--coco FOLDER]
    python -m benchmarks.encoders heads|openclip [--rows 1000000]
    python -m benchmarks.encoders aesthetic [--encoder starter|clip_b16] --teacher FOLDER --laion sa_0_4_vit_b_16_linear.pth [--work FOLDER]

``quality``, ``speed`` and ``aesthetic`` need the evaluation data folder ../shared/data, ``aesthetic`` also what
benchmarks/clip_teacher.py stored and, for a learning curve, the features that train_starter.py keeps in ``--work``; ``openclip`` runs
ViT-B/32 with random weights. ``--coco``: a folder of COCO's form, ``annotations/captions_SPLIT.json`` and pictures in ``SPLIT``, for the
quality on captions from elsewhere.
"""

import argparse
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image, ImageFilter

from benchmarks.clip_teacher import embeddings
from benchmarks.common import DATA
from benchmarks.encoders_speed import heads, openclip, speed
from benchmarks.starter_data import flickr, pixels_of, stored
from benchmarks.starter_drawings import drawn
from benchmarks.starter_features import image_features, laion_scores
from benchmarks.starter_labels import held_out, style_of
from operators.aesthetic import Aesthetic
from operators.base import Batch
from operators.encoders import EMBEDDED, Encoder, load, settle
from operators.encoders.starter import TEXT_FEATURES, ImageSide, Starter
from operators.encoders.vectors import lists, unit
from operators.style import STYLES, Style
from operators.testing import encode


def quality(name: str, coco: Path | None) -> Iterator[dict[str, Any]]:
    """Matching on Flickr8k's test split and on ``coco``, class names of photographs, style on held-out pictures."""
    encoder = load(settle(name))
    names, pairs = [], []
    for at, data, captions in flickr("test"):
        names.append(at)
        pairs.append((np.asarray(Image.open(io.BytesIO(data)).convert("RGB")), captions))
    pictures, captions, owner = apart(pairs)
    images = encoder.encode_images(pictures)
    yield {"what": name, **matching(encoder.encode_texts(captions) @ images.T, owner)}
    if isinstance(encoder, Starter):
        found = conse(encoder, pictures, captions)
        yield {"what": "no training: mean of the ten likeliest class names (ConSE)", **matching(found, owner)}
    if coco:
        others, captions, owner = apart(list(captioned(coco)))
        found = encoder.encode_texts(captions) @ encoder.encode_images(others).T
        yield {"what": f"{name}, COCO", "pictures": len(others), **matching(found, owner)}
    yield named(encoder)
    yield from styles(encoder, dict(zip(names, images, strict=True)))


def apart(pairs: Sequence[tuple[np.ndarray, list[str]]]) -> tuple[list[np.ndarray], list[str], np.ndarray]:
    """Pictures, all their captions, and whose each caption is."""
    owner = np.repeat(np.arange(len(pairs)), [len(captions) for _, captions in pairs])
    return [pixels for pixels, _ in pairs], [caption for _, captions in pairs for caption in captions], owner


def captioned(coco: Path) -> Iterator[tuple[np.ndarray, list[str]]]:
    """(pixels, captions) of the pictures that are there."""
    for file in sorted(coco.glob("annotations/captions_*.json")):
        told = json.loads(file.read_text())
        captions: dict[int, list[str]] = {}
        for one in told["annotations"]:
            captions.setdefault(one["image_id"], []).append(one["caption"])
        for picture in told["images"]:
            path = coco / file.stem.removeprefix("captions_") / picture["file_name"]
            if path.is_file() and picture["id"] in captions:
                yield np.asarray(Image.open(path).convert("RGB")), captions[picture["id"]]


def named(encoder: Encoder) -> dict[str, Any]:
    """Which of ImageNet's thousand names, "a photo of a ...", is nearest to photographs of the evaluation data that are named after one."""
    names = imagenet_names()
    place = {name.lower().replace("'", ""): i for i, name in enumerate(names)}
    files = {path: path.stem.partition("_")[2].replace("_", " ").lower() for path in sorted((DATA / "photos").glob("n*_*"))}
    own = {path: place[name] for path, name in files.items() if name in place}
    texts = encoder.encode_texts([f"a photo of a {name}" for name in names])
    scores = encoder.encode_images([np.asarray(Image.open(path).convert("RGB")) for path in own]) @ texts.T
    ranks = (scores > scores[np.arange(len(own)), list(own.values())][:, None]).sum(axis=1)
    shares = {f"top_{k}": round(float((ranks < k).mean()), 3) for k in (1, 5)}
    return {"what": "class name of a photograph among a thousand", "pictures": len(own), **shares}


def conse(starter: Starter, pictures: list[np.ndarray], captions: list[str]) -> np.ndarray:
    """(captions, pictures) cosines of captions with the mean of the picture's ten likeliest class names (Norouzi et al. 2014)."""
    weight, bias = ImageSide(None).classifier
    known = starter.image_features(pictures)[:, : len(weight)] @ weight + bias
    top = np.argsort(-known, axis=1)[:, :10]
    logits = np.take_along_axis(known, top, axis=1)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    named = starter.text_features(imagenet_names())[:, -TEXT_FEATURES:]
    guess = unit(np.einsum("nk,nkd->nd", shares / shares.sum(axis=1, keepdims=True), named[top]).astype(np.float32))
    return np.asarray(starter.text_features(captions)[:, -TEXT_FEATURES:] @ guess.T)


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


def aesthetic(encoder: str, teacher: Path, laion: str, work: Path | None) -> Iterator[dict[str, Any]]:
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
        "spearman": spearman(found, wanted),
        "mean": [round(float(found.mean()), 2), round(float(wanted.mean()), 2)],
    }
    for what, spoil in SPOILT.items():
        worse = ours([spoil(pixels_of(name, files)) for name in names])
        yield {"what": f"aesthetic: lower after {what}", "pictures": len(names), "share": round(float((worse < plain).mean()), 4)}
    for kind in ("blur", "jpeg"):
        lower = [scores[f"{name}#{kind}"] < scores[name] for name in names if f"{name}#{kind}" in scores]
        yield {"what": f"the teacher: lower after {kind}", "pictures": len(lower), "share": round(float(np.mean(lower)), 4)}
    clip = load(settle("clip_b16"))
    some = names[:TWICE]
    for what, change in HARMLESS.items():
        again = laion_scores({name: clip.encode_images([change(pixels_of(name, files))])[0] for name in some}, laion)
        both = np.array([(scores[name], again[name]) for name in some])
        yield {"what": f"the teacher beside itself: {what}", "pictures": len(some), "spearman": spearman(both[:, 0], both[:, 1])}
    if work:
        yield from learning_curve(work, scores)


def learning_curve(work: Path, scores: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    """Ridge regression from `starter`'s features to the teacher's scores: what more pictures bring, on the validation split."""
    from sklearn.linear_model import Ridge

    _, index, features = image_features(work)
    train, val = ([name for name in index if name.startswith(split) and "#" not in name and name in scores] for split in ("train/", "val/"))
    known = features[[index[name] for name in train]]
    x, wanted = (features - known.mean(axis=0)) / (known.std(axis=0) + 1e-6), np.array([scores[name] for name in val])
    for count in (500, 1000, 2000, len(train)):
        found = []
        for seed in range(3):
            some = np.random.default_rng(seed).permutation(train)[:count]
            model = Ridge(alpha=1e4).fit(x[[index[name] for name in some]], [scores[name] for name in some])
            found.append(spearman(model.predict(x[[index[name] for name in val]]), wanted))
        yield {"what": f"ridge, {count} pictures", "tested on": len(val), "spearman": round(float(np.mean(found)), 3), "draws": found}


def spearman(left: np.ndarray, right: np.ndarray) -> float:
    return round(float(np.corrcoef(left.argsort().argsort(), right.argsort().argsort())[0, 1]), 4)


def middle(pixels: np.ndarray) -> np.ndarray:
    """The middle nine tenths of the picture, both ways."""
    height, width = (side // 20 for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[height : len(pixels) - height, width : pixels.shape[1] - width])


def jpeg(quality: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: np.asarray(Image.open(io.BytesIO(encode(Image.fromarray(pixels), "JPEG", quality=quality))))


def blur(radius: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


SPOILT = {"blur of 2 pixels": blur(2), "blur of 4 pixels": blur(4), "JPEG quality 15": jpeg(15), "JPEG quality 8": jpeg(8)}
"""Ways to spoil a picture of 224 pixels."""
HARMLESS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mirrored": lambda pixels: np.ascontiguousarray(pixels[:, ::-1]),
    "the middle 90 %": middle,
    "JPEG quality 90": jpeg(90),
}
"""Changes that leave a picture as good as it was."""
TWICE = 100
"""Test pictures of which the teacher, which is slow, scores changed copies."""


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


def imagenet_names() -> list[str]:
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    return list(_IMAGENET_CATEGORIES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["quality", "aesthetic", "speed", "heads", "openclip"])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--teacher", type=Path)
    parser.add_argument("--laion", default="")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--coco", type=Path)
    parser.add_argument("--encoder", choices=list(EMBEDDED), default="starter")
    args = parser.parse_args()
    runs: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
        **{"quality": lambda: quality(args.encoder, args.coco), "speed": lambda: speed(args.encoder)},
        **{"openclip": openclip, "heads": lambda: heads(args.rows)},
        "aesthetic": lambda: aesthetic(args.encoder, args.teacher, args.laion, args.work),
    }
    for result in runs[args.what]():
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
