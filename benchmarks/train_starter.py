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
from benchmarks.starter_features import image_features, laion_scores, text_features, vocabulary
from benchmarks.starter_labels import held_out, style_of
from benchmarks.train_style import labelled, more_styles, style_head
from operators.encoders import EMBEDDED
from operators.encoders.starter import NAMES, PICTURE, REACH, TEXT_FEATURES, ImageSide, Starter, names_of
from operators.encoders.vectors import unit
from operators.style import STYLES

MATCH, LOOKS = 256, 128
SEED, BATCH = 0, 512
DISTIL = 3.0
"""Weight of the divergence from the teacher."""


def standardise(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return rows.mean(0), rows.std(0).clamp_min(1e-3)


@dataclass(frozen=True)
class Pairs:
    """Captioned pictures: ``images`` (n, features) and ``texts`` (n, 5, features), both standardised; ``names`` (n, k) of the pictures and
    ``asked`` (n, 5, k) by the captions, whose products are given."""

    images: torch.Tensor
    texts: torch.Tensor
    names: torch.Tensor
    asked: torch.Tensor


@dataclass(frozen=True)
class Teacher:
    """Where the teacher puts things in its own space: ``images`` (n, `MATCH`) of the captioned pictures, NaN where unknown, ``texts``
    (n, 5, `MATCH`); ``more`` (k, features) other pictures of the student's, ``more_names`` theirs, and ``more_images`` (k, `MATCH`) the
    teacher's view of them."""

    images: torch.Tensor
    texts: torch.Tensor
    scale: float
    more: torch.Tensor
    more_names: torch.Tensor
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
            asked = NAMES * functional.normalize((pairs.asked[part] * shares).sum(1), dim=1).T
            scores = (project(left, pairs.images[part], dropout) @ texts.T + pairs.names[part] @ asked) * factor
            goal = torch.arange(len(part))
            loss = (functional.cross_entropy(scores, goal) + functional.cross_entropy(scores.T, goal)) / 2
            if teacher is not None:
                known = ~teacher.images[part].isnan().any(dim=1)
                some = torch.randint(0, len(teacher.more), (BATCH // 2,))
                others = (project(left, teacher.more[some], dropout) @ texts.T + teacher.more_names[some] @ asked) * factor
                seen = torch.cat([scores[known], others])
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


@dataclass(frozen=True)
class Features:
    """``images`` (pictures, features) by ``index``, ``texts`` (captions, features) with the name of each one's picture in ``owners``;
    ``names`` (pictures, k) and ``asked`` (captions, k) by the names of ImageNet's classes; ``clip``: the teacher's embeddings by name."""

    index: dict[str, int]
    images: np.ndarray
    names: np.ndarray
    owners: np.ndarray
    texts: np.ndarray
    asked: np.ndarray
    clip: dict[str, np.ndarray]


def train_match(features: Features) -> dict[str, torch.Tensor]:
    """The projections of pictures and captions into one space, taught by the pairs themselves and, where there are embeddings of a
    teacher, by what the same training makes of those. What names of classes tell is given, so they learn the rest."""
    captions: dict[str, list[int]] = {}
    for i, name in enumerate(features.owners):
        captions.setdefault(str(name), []).append(i)
    train = [name for name in captions if name.startswith("train/")]
    own = torch.tensor([(captions[name] * 5)[:5] for name in train])
    x, t = torch.from_numpy(features.images), torch.from_numpy(features.texts)
    rows = torch.tensor([features.index[name] for name in train])
    (image_mean, image_scale), (text_mean, text_scale) = standardise(x[rows]), standardise(t[own.reshape(-1)])
    x, t = (x - image_mean) / image_scale, (t - text_mean) / text_scale
    teacher = taught(features, train, own, t, x) if features.clip else None
    names, asked = torch.from_numpy(features.names), torch.from_numpy(features.asked)
    left, right, scale = contrast(Pairs(x[rows], t[own], names[rows], asked[own]), 40 if teacher else 25, 0.6, teacher)
    heads = {**folded("match", left, image_mean, image_scale), **folded("text", right, text_mean, text_scale)}
    return {**heads, "logit_scale": torch.tensor(scale / REACH)}


def taught(features: Features, train: list[str], own: torch.Tensor, texts: torch.Tensor, images: torch.Tensor) -> Teacher:
    """The teacher: CLIP's image tower and the same text features, brought together by `contrast`."""
    index, clip = features.index, features.clip
    known = [i for i, name in enumerate(train) if name in clip]
    mean, scale = standardise(torch.from_numpy(np.stack([clip[train[i]] for i in known])))
    seen = {name: (torch.from_numpy(row) - mean) / scale for name, row in clip.items()}
    nothing = torch.zeros(len(known), 1)
    pairs = Pairs(torch.stack([seen[train[i]] for i in known]), texts[own[known]], nothing, nothing[:, None].expand(-1, 5, -1))
    left, right, factor = contrast(pairs, 40, 0.5)
    with torch.no_grad():
        places = {name: functional.normalize(left(row), dim=0) for name, row in seen.items()}
        unknown, paired = torch.full((MATCH,), torch.nan), set(train)
        more = [name for name in places if name in index and name not in paired and not name.startswith("val/") and not held_out(name)]
        at = [index[name] for name in more]
        return Teacher(
            torch.stack([places.get(name, unknown) for name in train]),
            functional.normalize(right(texts), dim=1)[own],
            factor,
            images[at],
            torch.from_numpy(features.names)[at],
            torch.stack([places[name] for name in more]),
        )


def folded(name: str, layer: torch.nn.Linear, mean: torch.Tensor, scale: torch.Tensor) -> dict[str, torch.Tensor]:
    """A layer over standardised features as one over the features themselves; ``weight`` is (inputs, outputs)."""
    weight = (layer.weight / scale).T.detach()
    return {f"{name}_weight": weight, f"{name}_bias": (layer.bias - mean @ weight).detach()}


def train_looks(features: Features, match: dict[str, torch.Tensor], scores: dict[str, float]) -> dict[str, torch.Tensor]:
    """The last part of the embedding, with the aesthetic and the style head on top of the whole, trained together.

    Aesthetic: squared error against the teacher, and a degraded copy must score at least 0.5 below its original.
    Style: cross-entropy, each class weighted by the inverse of its size. Besides, a linear layer that is not kept must find the teacher's
    embedding in the whole, so that this part carries what CLIP sees and the match does not need, for probes to come.
    """
    torch.manual_seed(SEED)
    usable = {name: i for name, i in features.index.items() if not held_out(name) and not name.startswith("val/")}
    images = torch.from_numpy(features.images)
    mean, scale = standardise(images[list(usable.values())])
    x = (images - mean) / scale
    matches = functional.normalize(images @ match["match_weight"] + match["match_bias"], dim=1)
    fixed = torch.cat([matches * PICTURE[0], torch.from_numpy(features.names) * PICTURE[1]], dim=1)
    whole = fixed.shape[1] + LOOKS
    layer, aesthetic, style = (
        torch.nn.Linear(x.shape[1], LOOKS),
        torch.nn.Linear(whole, 1),
        torch.nn.Linear(whole, len(STYLES)),
    )
    torch.nn.init.constant_(aesthetic.bias, 5.5)
    rated = [name for name in usable if name in scores]
    rated_at, rated_score = torch.tensor([usable[n] for n in rated], dtype=torch.long), torch.tensor([scores[n] for n in rated])
    worse = [name for name in usable if name.endswith(("#blur", "#jpeg", "#small"))]
    pairs = torch.tensor([[usable[name], usable[name.split("#")[0]]] for name in worse])
    styled = [(i, style_of(name)) for name, i in usable.items() if style_of(name) is not None]
    styled_at, styled_as = (torch.tensor(values) for values in zip(*styled, strict=True))
    counts = torch.bincount(styled_as, minlength=len(STYLES)).clamp_min(1)
    mimic = torch.nn.Linear(whole, 512)
    views = torch.from_numpy(np.stack([features.clip[name] for name in rated])) if rated else torch.empty(0, 512)
    views = views - views.mean(0)
    layers = (layer, aesthetic, style, mimic)
    optimiser = torch.optim.AdamW([p for one in layers for p in one.parameters()], lr=1e-3, weight_decay=0.1)
    steps = 1500

    def embed(at: torch.Tensor) -> torch.Tensor:
        looks = functional.normalize(layer(functional.dropout(x[at], 0.3)), dim=1) * PICTURE[2]
        return torch.cat([fixed[at], looks], dim=1)

    chance = (1 / counts[styled_as].float()) ** 0.75
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * 0.5 * (1 + np.cos(np.pi * step / steps))
        loss = torch.zeros(())
        if len(rated):
            some = torch.randint(0, len(rated), (128,))
            seen = embed(rated_at[some])
            loss = loss + functional.mse_loss(aesthetic(seen)[:, 0], rated_score[some])
            loss = loss + 1 - functional.cosine_similarity(mimic(seen), views[some]).mean()
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


def restyled(encoder: Starter, features: Features, aigc: Path) -> dict[str, torch.Tensor]:
    """A style head over embeddings as they are, which knows more kinds of drawings than the one that was trained with them."""
    x, kinds = labelled({name: features.images[at] for name, at in features.index.items() if "#" not in name})
    more, more_kinds, _ = more_styles(aigc, "starter")
    found = style_head(encoder.from_image_features(np.concatenate([x, more])), np.concatenate([kinds, more_kinds]))
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
    ranges, index, images = image_features(args.work)
    owners, texts = text_features(args.work)
    heads = {"ranges": torch.from_numpy(ranges)}
    heads |= {name: torch.from_numpy(array) for name, array in vocabulary(texts[[name.startswith("train/") for name in owners]]).items()}
    names = names_of(images, ImageSide(ranges).classifier, heads["names_weight"].numpy())
    asked = unit(texts[:, -TEXT_FEATURES:] @ heads["asked_weight"].numpy() + heads["asked_bias"].numpy())
    features = Features(index, images, names, owners, texts, asked, embeddings(args.teacher) if args.teacher else {})
    heads |= train_match(features)
    heads |= train_looks(features, heads, laion_scores(features.clip, args.laion) if args.laion else {})
    write(heads, args.out)
    if args.aigc:
        write(heads | restyled(Starter(args.out), features, args.aigc), args.out)
    print(json.dumps({"pictures": len(index), "captions": len(texts), "taught": len(features.clip), "bytes": args.out.stat().st_size}))


if __name__ == "__main__":
    main()
