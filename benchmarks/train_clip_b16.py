"""Trains the heads of the encoder `clip_b16` and writes operators/encoders/weights/clip_b16.npz. Seeded.

    python -m benchmarks.clip_teacher --work T --pieces 40
    python -m benchmarks.train_clip_b16 --work FOLDER --teacher T --laion sa_0_4_vit_b_16_linear.pth --aigc W

Needs the evaluation data folder ../shared/data. ``--teacher`` holds CLIP's embeddings of the pictures. ``--laion`` is LAION's linear
aesthetic head for ViT-B/16 (github.com/LAION-AI/aesthetic-predictor), which goes into the file as it is. Features of captions are kept in
``--work``, as train_starter.py does. ``--aigc`` is where train_aigc_score.py keeps CLIP's embeddings of drawings by people and of generated
photographs, of which the style head learns.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from benchmarks.clip_teacher import embeddings
from benchmarks.starter_features import text_features
from benchmarks.train_starter import folded, standardise
from benchmarks.train_style import labelled, more_styles, style_head
from operators.encoders import EMBEDDED
from operators.style import STYLES

SEED, BATCH, EPOCHS = 0, 512, 40


def train_text(clip: dict[str, np.ndarray], owners: np.ndarray, texts: np.ndarray) -> dict[str, torch.Tensor]:
    """A linear projection of the captions' features into CLIP's space, by symmetric InfoNCE (van den Oord et al. 2018) over the pictures of
    Flickr8k's training split, which stay where CLIP puts them.

    Some of a picture's distances from the middle of all are left out at random (dropout), and its captions are mixed at random: pictures
    are few for half a million weights.
    """
    torch.manual_seed(SEED)
    captions: dict[str, list[int]] = {}
    for i, name in enumerate(owners):
        captions.setdefault(str(name), []).append(i)
    train = [name for name in captions if name.startswith("train/") and name in clip]
    images = torch.from_numpy(np.stack([clip[name] for name in train]))
    words = torch.from_numpy(np.stack([texts[(captions[name] * 5)[:5]] for name in train]))
    middle, (mean, scale) = images.mean(0), standardise(words.reshape(-1, words.shape[2]))
    images, words = images - middle, (words - mean) / scale
    layer = torch.nn.Linear(words.shape[2], images.shape[1])
    layer.weight.data *= 0.1
    layer.bias.data = middle.clone()
    factor = torch.nn.Parameter(torch.tensor(40.0).log())
    optimiser = torch.optim.AdamW([{"params": layer.parameters(), "weight_decay": 1.0}, {"params": [factor], "weight_decay": 0.0}], lr=2e-3)
    mixture = torch.distributions.Dirichlet(torch.full((5,), 0.5))
    batch = min(BATCH, len(images) // 2)
    batches = len(images) // batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=EPOCHS * batches)
    for _ in range(EPOCHS):
        for part in torch.randperm(len(images)).split(batch)[:batches]:
            mixed = (words[part] * mixture.sample((len(part),))[..., None]).sum(1)
            goals = functional.normalize(layer(functional.dropout(mixed, 0.2)), dim=1)
            scores = (functional.dropout(images[part], 0.3) + middle) @ goals.T * factor.exp()
            truth = torch.arange(len(part))
            loss = (functional.cross_entropy(scores, truth) + functional.cross_entropy(scores.T, truth)) / 2
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    print(json.dumps({"captioned pictures": len(train), "loss": round(float(loss.detach()), 3)}))
    return {**folded("text", layer, mean, scale), "logit_scale": factor.exp().detach()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--laion", required=True)
    parser.add_argument("--aigc", type=Path, required=True)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    clip = embeddings(args.teacher)
    heads: dict[str, np.ndarray] = {name: value.numpy() for name, value in train_text(clip, *text_features(args.work)).items()}
    x, kinds = (np.concatenate(both) for both in zip(labelled(clip), more_styles(args.aigc, "clip_b16")[:2], strict=True))
    print(json.dumps({"styled pictures": len(kinds), **{style: int((kinds == k).sum()) for k, style in enumerate(STYLES)}}))
    laion = torch.load(args.laion, weights_only=True)
    heads |= {**style_head(x, kinds), "aesthetic_weight": laion["weight"][0].numpy(), "aesthetic_bias": laion["bias"][0].numpy()}
    exact = ("aesthetic_weight", "aesthetic_bias", "logit_scale")
    kept = {name: heads[name].astype(np.float32 if name in exact else np.float16) for name in sorted(heads)}
    np.savez(EMBEDDED["clip_b16"], **kept)  # savez writes no dates: the same heads are the same file
    print(json.dumps({"bytes": EMBEDDED["clip_b16"].stat().st_size}))


if __name__ == "__main__":
    main()
