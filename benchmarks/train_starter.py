"""Trains the heads of the encoder `starter` and writes operators/encoders/weights/starter.npz. Seeded; most of its time goes into features.

    python -m benchmarks.train_starter --work /tmp/starter [--teacher clip_vit_b_16.onnx --laion sa_0_4_vit_b_16_linear.pth]

Needs the evaluation data folder ../shared/data. ``--teacher`` is an ONNX file of OpenAI's CLIP ViT-B/16 image tower (float32
(1, 3, 224, 224) to 512 numbers), ``--laion`` LAION's linear head for it; both are needed once, to distil the aesthetic head,
and no part of either is kept. Features are cached in ``--work``; delete it to compute them anew.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.starter_data import by_name, flickr, held_out, pictures, style_of
from operators.encoders import STARTER_WEIGHTS
from operators.encoders.starter import Starter
from operators.style import STYLES

MATCH, LOOKS = 256, 128
SEED, EPOCHS, BATCH = 0, 25, 512


def image_features(work: Path) -> tuple[dict[str, int], np.ndarray]:
    path = work / "image.npz"
    if not path.exists():
        starter = Starter()
        names, rows = [], []
        for name, pixels in pictures():
            names.append(name)
            rows.append(starter.image_features([pixels])[0])
        np.savez(path, names=np.array(names), x=np.array(rows, np.float32))
    with np.load(path) as found:
        return by_name(found["names"]), found["x"]


def text_features(work: Path) -> tuple[np.ndarray, np.ndarray]:
    """(name of the picture of each caption, features (captions, 384))"""
    path = work / "text.npz"
    if not path.exists():
        starter = Starter()
        pairs = [(name, caption) for split in ("test", "val", "train") for name, _, captions in flickr(split) for caption in captions[:5]]
        np.savez(path, names=np.array([name for name, _ in pairs]), x=starter.text_features([caption for _, caption in pairs]))
    with np.load(path) as found:
        return found["names"], found["x"]


def teacher_scores(work: Path, teacher: str, laion: str, most: int) -> dict[str, float]:
    """LAION's aesthetic score of up to ``most`` pictures, in a random order of them."""
    path = work / "teacher.npz"
    if not path.exists():
        import onnxruntime

        session = onnxruntime.InferenceSession(dequantised(teacher), providers=["CPUExecutionProvider"])
        output = next(o.name for o in session.get_outputs() if len(o.shape) == 2)
        chosen = np.random.default_rng(SEED).permutation(sum(1 for _ in pictures(teacher=True)))[:most]
        wanted, names, rows = set(chosen.tolist()), [], []
        mean, deviation = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])
        for i, (name, pixels) in enumerate(pictures(teacher=True)):
            if i in wanted:
                names.append(name)
                prepared = ((clip_crop(pixels) / 255 - mean) / deviation).astype(np.float32).transpose(2, 0, 1)[None]
                rows.append(session.run([output], {session.get_inputs()[0].name: prepared})[0][0])
        np.savez(path, names=np.array(names), x=np.array(rows, np.float32))
    with np.load(path) as found:
        names, rows = found["names"], found["x"]
    head = torch.load(laion, weights_only=True)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    scores = unit @ head["weight"].numpy()[0] + float(head["bias"][0])
    return dict(zip(map(str, names), map(float, scores), strict=True))


def standardise(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return rows.mean(0), rows.std(0).clamp_min(1e-3)


def train_match(
    index: dict[str, int], images: np.ndarray, owners: np.ndarray, texts: np.ndarray, splits: tuple[str, ...]
) -> dict[str, torch.Tensor]:
    """Two linear projections by symmetric InfoNCE (van den Oord et al. 2018).

    A step sees a random mixture of a picture and its mirror image and of its captions, both with much dropout: 4,000
    pictures are few for 400,000 weights.
    """
    torch.manual_seed(SEED)
    captions: dict[str, list[int]] = {}
    for i, name in enumerate(owners):
        captions.setdefault(str(name), []).append(i)
    names = [name for name in captions if name.startswith(splits)]
    where = torch.tensor([[index[name], index.get(f"{name}#flip", index[name])] for name in names])
    own = torch.tensor([(captions[name] * 5)[:5] for name in names])
    x, t = torch.from_numpy(images), torch.from_numpy(texts)
    (image_mean, image_scale), (text_mean, text_scale) = standardise(x[where[:, 0]]), standardise(t[own.reshape(-1)])
    x, t = (x - image_mean) / image_scale, (t - text_mean) / text_scale
    left, right = torch.nn.Linear(x.shape[1], MATCH), torch.nn.Linear(t.shape[1], MATCH)
    temperature = torch.nn.Parameter(torch.tensor(np.log(1 / 0.07), dtype=torch.float32))
    optimiser = torch.optim.AdamW([*left.parameters(), *right.parameters(), temperature], lr=2e-3, weight_decay=1.0)
    mixture = torch.distributions.Dirichlet(torch.full((5,), 0.5))
    steps = EPOCHS * (len(names) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    for _ in range(EPOCHS):
        for part in torch.randperm(len(names)).split(BATCH)[: len(names) // BATCH]:
            share, shares = torch.rand(len(part), 1), mixture.sample((len(part),))[..., None]
            a = functional.dropout(x[where[part, 0]] * share + x[where[part, 1]] * (1 - share), 0.6)
            b = functional.dropout((t[own[part]] * shares).sum(1), 0.2)
            scores = functional.normalize(left(a), dim=1) @ functional.normalize(right(b), dim=1).T * temperature.exp().clamp(max=100)
            goal = torch.arange(len(part))
            loss = (functional.cross_entropy(scores, goal) + functional.cross_entropy(scores.T, goal)) / 2
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return {
        **folded("match", left, image_mean, image_scale),
        **folded("text", right, text_mean, text_scale),
    }


def folded(name: str, layer: torch.nn.Linear, mean: torch.Tensor, scale: torch.Tensor) -> dict[str, torch.Tensor]:
    """A layer over standardised features as one over the features themselves; ``weight`` is (inputs, outputs)."""
    weight = (layer.weight / scale).T.detach()
    return {f"{name}_weight": weight, f"{name}_bias": (layer.bias - mean @ weight).detach()}


def train_looks(
    index: dict[str, int], images: np.ndarray, match: dict[str, torch.Tensor], scores: dict[str, float]
) -> dict[str, torch.Tensor]:
    """The second part of the embedding, with the aesthetic and the style head on top of the whole, trained together.

    Aesthetic: squared error against the teacher, and a degraded copy must score at least 0.5 below its original.
    Style: cross-entropy, each class weighted by the inverse of its size.
    """
    torch.manual_seed(SEED)
    usable = {name: i for name, i in index.items() if not held_out(name) and not name.startswith("val/")}
    x = torch.from_numpy(images)
    mean, scale = standardise(x[list(usable.values())])
    x = (x - mean) / scale
    fixed = functional.normalize(torch.from_numpy(images) @ match["match_weight"] + match["match_bias"], dim=1) * 0.5**0.5
    layer, aesthetic, style = (
        torch.nn.Linear(x.shape[1], LOOKS),
        torch.nn.Linear(MATCH + LOOKS, 1),
        torch.nn.Linear(MATCH + LOOKS, len(STYLES)),
    )
    torch.nn.init.constant_(aesthetic.bias, 5.5)
    rated = [name for name in usable if name in scores]
    rated_at, rated_score = torch.tensor([usable[n] for n in rated], dtype=torch.long), torch.tensor([scores[n] for n in rated])
    pairs = torch.tensor([[i, usable[name.split("#")[0]]] for name, i in usable.items() if name.endswith(("#blur", "#jpeg"))])
    styled = [(i, style_of(name)) for name, i in usable.items() if style_of(name) is not None]
    styled_at, styled_as = (torch.tensor(values) for values in zip(*styled, strict=True))
    counts = torch.bincount(styled_as, minlength=len(STYLES)).clamp_min(1)
    optimiser = torch.optim.AdamW([*layer.parameters(), *aesthetic.parameters(), *style.parameters()], lr=1e-3, weight_decay=0.1)
    steps = 800

    def embed(at: torch.Tensor) -> torch.Tensor:
        looks = functional.normalize(layer(functional.dropout(x[at], 0.3)), dim=1) * 0.5**0.5
        return torch.cat([fixed[at], looks], dim=1)

    chance = (1 / counts[styled_as].float()) ** 0.75
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * 0.5 * (1 + np.cos(np.pi * step / steps))
        loss = torch.zeros(())
        if len(rated):
            some = torch.randint(0, len(rated), (128,))
            found = aesthetic(embed(rated_at[some]))[:, 0]
            loss = loss + functional.mse_loss(found, rated_score[some])
            pair = pairs[torch.randint(0, len(pairs), (128,))]
            worse, better = aesthetic(embed(pair[:, 0]))[:, 0], aesthetic(embed(pair[:, 1]))[:, 0]
            loss = loss + functional.relu(0.5 - (better - worse)).mean()
        some = torch.multinomial(chance, 256, replacement=True)
        loss = loss + functional.cross_entropy(style(embed(styled_at[some])), styled_as[some], label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    heads = {"style_weight": style.weight.T, "style_bias": style.bias}
    if rated:
        heads |= {"aesthetic_weight": aesthetic.weight[0], "aesthetic_bias": aesthetic.bias[0]}
    return {**folded("looks", layer, mean, scale), **{name: value.detach() for name, value in heads.items()}}


def write(heads: dict[str, torch.Tensor], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = {name: value.numpy().astype(np.float16) for name, value in heads.items()}
    np.savez(path, **{name: half[name] for name in sorted(half)})  # savez writes no dates: the same heads are the same file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--teacher", default="")
    parser.add_argument("--laion", default="")
    parser.add_argument("--most", type=int, default=5000, help="pictures the teacher sees")
    parser.add_argument("--out", type=Path, default=STARTER_WEIGHTS)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # steps are so small that threads would only wait for each other
    index, images = image_features(args.work)
    owners, texts = text_features(args.work)
    scores = teacher_scores(args.work, args.teacher, args.laion, args.most) if args.laion else {}
    heads: dict[str, Any] = train_match(index, images, owners, texts, ("train/",))
    heads |= train_looks(index, images, heads, scores)
    write(heads, args.out)
    print(json.dumps({"pictures": len(index), "captions": len(texts), "rated": len(scores), "bytes": args.out.stat().st_size}))


if __name__ == "__main__":
    main()
