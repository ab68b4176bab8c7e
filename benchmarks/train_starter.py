"""Trains the heads of the encoder `starter` and writes operators/encoders/weights/starter.npz. Seeded; most of its time goes into features.

    python -m benchmarks.train_starter --work FOLDER --teacher FOLDER --laion sa_0_4_vit_b_16_linear.pth [--aigc FOLDER]

Needs the evaluation data folder ../shared/data. ``--teacher`` holds what benchmarks/clip_teacher.py stored: without it the
projections are trained on the pairs alone and there is no aesthetic head. ``--laion`` is LAION's linear head for ViT-B/16; no part
of CLIP or of that head is kept. Features are cached in ``--work``; delete it to compute them anew. ``--aigc`` is where train_aigc_score.py
keeps features of drawings by people and of generated photographs: with it the style head is trained once more at the end, on these too.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from benchmarks.clip_teacher import embeddings
from benchmarks.starter_features import image_features, laion_scores, text_features
from benchmarks.starter_labels import held_out, style_of
from benchmarks.train_style import labelled, more_styles, style_head
from operators.encoders import EMBEDDED
from operators.style import STYLES

MATCH, LOOKS = 256, 128
SEED, BATCH = 0, 512
DISTIL = 3.0
"""Weight of the divergence from the teacher."""


def standardise(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return rows.mean(0), rows.std(0).clamp_min(1e-3)


@dataclass(frozen=True)
class Pairs:
    """Captioned pictures: ``images`` (n, features) and ``texts`` (n, 5, features), both standardised."""

    images: torch.Tensor
    texts: torch.Tensor


@dataclass(frozen=True)
class Teacher:
    """Where the teacher puts things in its own space: ``images`` (n, `MATCH`) of the captioned pictures, NaN where unknown, ``texts``
    (n, 5, `MATCH`); ``more`` (k, features) other pictures of the student's and ``more_images`` (k, `MATCH`) the teacher's view of them."""

    images: torch.Tensor
    texts: torch.Tensor
    scale: float
    more: torch.Tensor
    more_images: torch.Tensor


def contrast(pairs: Pairs, epochs: int, dropout: float, teacher: Teacher | None = None) -> tuple[torch.nn.Linear, torch.nn.Linear, float]:
    """Two linear projections into one space, and the scale of its cosines.

    By symmetric InfoNCE (van den Oord et al. 2018) over batches of pairs, with much dropout and random mixtures of a picture's captions:
    4,000 pictures are few for half a million weights. With a ``teacher`` also by the divergence from its softmax over the same pairs
    (Hinton et al. 2015), to which pictures without captions contribute too.
    """
    torch.manual_seed(SEED)
    left, right = torch.nn.Linear(pairs.images.shape[1], MATCH), torch.nn.Linear(pairs.texts.shape[2], MATCH)
    scale = torch.nn.Parameter(torch.tensor(np.log(1 / 0.07), dtype=torch.float32))
    optimiser = torch.optim.AdamW([*left.parameters(), *right.parameters(), scale], lr=2e-3, weight_decay=1.0)
    mixture = torch.distributions.Dirichlet(torch.full((5,), 0.5))
    batches = len(pairs.images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=epochs * batches)

    def project(layer: torch.nn.Linear, rows: torch.Tensor, share: float) -> torch.Tensor:
        return functional.normalize(layer(functional.dropout(rows, share)), dim=1)

    for _ in range(epochs):
        for part in torch.randperm(len(pairs.images)).split(BATCH)[:batches]:
            shares = mixture.sample((len(part),))[..., None]
            texts = project(right, (pairs.texts[part] * shares).sum(1), 0.2)
            factor = scale.exp().clamp(max=100)
            scores = project(left, pairs.images[part], dropout) @ texts.T * factor
            goal = torch.arange(len(part))
            loss = (functional.cross_entropy(scores, goal) + functional.cross_entropy(scores.T, goal)) / 2
            if teacher is not None:
                known = ~teacher.images[part].isnan().any(dim=1)
                some = torch.randint(0, len(teacher.more), (BATCH // 2,))
                seen = torch.cat([scores[known], project(left, teacher.more[some], dropout) @ texts.T * factor])
                theirs = functional.normalize((teacher.texts[part] * shares).sum(1), dim=1)
                wanted = torch.cat([teacher.images[part][known], teacher.more_images[some]]) @ theirs.T * teacher.scale
                loss = loss + DISTIL * (divergence(seen, wanted) + divergence(seen.T, wanted.T)) / 2
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return left, right, float(scale.exp().detach())


def divergence(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    return functional.kl_div(functional.log_softmax(found, 1), functional.softmax(wanted, 1), reduction="batchmean")


def train_match(
    index: dict[str, int], images: np.ndarray, owners: np.ndarray, texts: np.ndarray, clip: dict[str, np.ndarray]
) -> dict[str, torch.Tensor]:
    """The projections of pictures and captions into one space, taught by the pairs themselves and, where ``clip`` has embeddings of
    pictures, by what the same training makes of those."""
    captions: dict[str, list[int]] = {}
    for i, name in enumerate(owners):
        captions.setdefault(str(name), []).append(i)
    train = [name for name in captions if name.startswith("train/")]
    own = torch.tensor([(captions[name] * 5)[:5] for name in train])
    x, t = torch.from_numpy(images), torch.from_numpy(texts)
    rows = torch.tensor([index[name] for name in train])
    (image_mean, image_scale), (text_mean, text_scale) = standardise(x[rows]), standardise(t[own.reshape(-1)])
    x, t = (x - image_mean) / image_scale, (t - text_mean) / text_scale
    teacher = taught(train, own, t, clip, index, x) if clip else None
    left, right, scale = contrast(Pairs(x[rows], t[own]), 40 if teacher else 25, 0.6, teacher)
    heads = {**folded("match", left, image_mean, image_scale), **folded("text", right, text_mean, text_scale)}
    return {**heads, "logit_scale": torch.tensor(scale * 2**0.5)}  # the shared half of a picture's embedding has the length sqrt(1/2)


def taught(
    train: list[str], own: torch.Tensor, texts: torch.Tensor, clip: dict[str, np.ndarray], index: dict[str, int], images: torch.Tensor
) -> Teacher:
    """The teacher: CLIP's image tower and the same text features, brought together by `contrast`."""
    known = [i for i, name in enumerate(train) if name in clip]
    mean, scale = standardise(torch.from_numpy(np.stack([clip[train[i]] for i in known])))
    seen = {name: (torch.from_numpy(row) - mean) / scale for name, row in clip.items()}
    left, right, factor = contrast(Pairs(torch.stack([seen[train[i]] for i in known]), texts[own[known]]), 40, 0.5)
    with torch.no_grad():
        places = {name: functional.normalize(left(row), dim=0) for name, row in seen.items()}
        unknown, paired = torch.full((MATCH,), torch.nan), set(train)
        more = [name for name in places if name in index and name not in paired and not name.startswith("val/") and not held_out(name)]
        return Teacher(
            torch.stack([places.get(name, unknown) for name in train]),
            functional.normalize(right(texts), dim=1)[own],
            factor,
            images[[index[name] for name in more]],
            torch.stack([places[name] for name in more]),
        )


def folded(name: str, layer: torch.nn.Linear, mean: torch.Tensor, scale: torch.Tensor) -> dict[str, torch.Tensor]:
    """A layer over standardised features as one over the features themselves; ``weight`` is (inputs, outputs)."""
    weight = (layer.weight / scale).T.detach()
    return {f"{name}_weight": weight, f"{name}_bias": (layer.bias - mean @ weight).detach()}


def train_looks(
    index: dict[str, int], images: np.ndarray, match: dict[str, torch.Tensor], scores: dict[str, float], clip: dict[str, np.ndarray]
) -> dict[str, torch.Tensor]:
    """The second part of the embedding, with the aesthetic and the style head on top of the whole, trained together.

    Aesthetic: squared error against the teacher, and a degraded copy must score at least 0.5 below its original.
    Style: cross-entropy, each class weighted by the inverse of its size. Besides, a linear layer that is not kept must find the teacher's
    embedding in the whole, so that this part carries what CLIP sees and the match does not need, for probes to come.
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
    worse = [name for name in usable if name.endswith(("#blur", "#jpeg", "#small"))]
    pairs = torch.tensor([[usable[name], usable[name.split("#")[0]]] for name in worse])
    styled = [(i, style_of(name)) for name, i in usable.items() if style_of(name) is not None]
    styled_at, styled_as = (torch.tensor(values) for values in zip(*styled, strict=True))
    counts = torch.bincount(styled_as, minlength=len(STYLES)).clamp_min(1)
    mimic = torch.nn.Linear(MATCH + LOOKS, 512)
    views = torch.from_numpy(np.stack([clip[name] for name in rated])) if rated else torch.empty(0, 512)
    views = views - views.mean(0)
    layers = (layer, aesthetic, style, mimic)
    optimiser = torch.optim.AdamW([p for one in layers for p in one.parameters()], lr=1e-3, weight_decay=0.1)
    steps = 1500

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
            whole = embed(rated_at[some])
            loss = loss + functional.mse_loss(aesthetic(whole)[:, 0], rated_score[some])
            loss = loss + 1 - functional.cosine_similarity(mimic(whole), views[some]).mean()
            pair = pairs[torch.randint(0, len(pairs), (128,))]
            low, high = aesthetic(embed(pair[:, 0]))[:, 0], aesthetic(embed(pair[:, 1]))[:, 0]
            loss = loss + functional.relu(0.5 - (high - low)).mean()
        some = torch.multinomial(chance, 256, replacement=True)
        loss = loss + functional.cross_entropy(style(embed(styled_at[some])), styled_as[some], label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    heads = {"style_weight": style.weight.T, "style_bias": style.bias}
    if rated:
        heads |= {"aesthetic_weight": aesthetic.weight[0], "aesthetic_bias": aesthetic.bias[0]}
    return {**folded("looks", layer, mean, scale), **{name: value.detach() for name, value in heads.items()}}


def restyled(heads: dict[str, torch.Tensor], index: dict[str, int], images: np.ndarray, aigc: Path) -> dict[str, torch.Tensor]:
    """A style head over embeddings as they are, which knows more kinds of drawings than the one that was trained with them."""

    def embed(rows: np.ndarray) -> np.ndarray:
        parts = [torch.from_numpy(rows) @ heads[f"{part}_weight"] + heads[f"{part}_bias"] for part in ("match", "looks")]
        return torch.cat([functional.normalize(part, dim=1) * 0.5**0.5 for part in parts], dim=1).numpy()

    x, kinds = labelled({name: images[at] for name, at in index.items() if "#" not in name})
    more, more_kinds = more_styles(aigc, "starter")
    found = style_head(embed(np.concatenate([x, more])), np.concatenate([kinds, more_kinds]))
    return {name: torch.from_numpy(value) for name, value in found.items()}


def write(heads: dict[str, torch.Tensor], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: value.detach().numpy() for name, value in heads.items()}
    kept = {name: arrays[name].astype(np.float32 if name == "ranges" else np.float16) for name in sorted(arrays)}
    np.savez(path, **kept)  # savez writes no dates: the same heads are the same file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="where features are kept")
    parser.add_argument("--teacher", type=Path, help="the folder of benchmarks.clip_teacher")
    parser.add_argument("--laion", default="", help="LAION's linear head for ViT-B/16")
    parser.add_argument("--aigc", type=Path, help="the folder --work of benchmarks.train_aigc_score")
    parser.add_argument("--out", type=Path, default=EMBEDDED["starter"])
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # steps are so small that threads would only wait for each other
    found, index, images = image_features(args.work)
    owners, texts = text_features(args.work)
    clip = embeddings(args.teacher) if args.teacher else {}
    heads = train_match(index, images, owners, texts, clip)
    heads |= train_looks(index, images, heads, laion_scores(clip, args.laion) if args.laion else {}, clip)
    if args.aigc:
        heads |= restyled(heads, index, images, args.aigc)
    write({**heads, "ranges": torch.from_numpy(found)}, args.out)
    print(json.dumps({"pictures": len(index), "captions": len(texts), "taught": len(clip), "bytes": args.out.stat().st_size}))


if __name__ == "__main__":
    main()
