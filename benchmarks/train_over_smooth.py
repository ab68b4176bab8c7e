"""Trains the network of `over_smooth` and writes operators/weights/over_smooth.npz. Seeded; half an hour of one processor.

    python -m benchmarks.train_over_smooth --work FOLDER --pictures FOLDER     # examples are kept in --work, 1.2 GB
    python -m benchmarks.over_smooth_kinds                                     # then: figures on the first half

No photograph of the benchmark is read. Needs PyTorch and the evaluation data folder ../shared/data; ``--pictures``: a folder with those of
`smooth_sets.SHARES` inside, docs/aigc.md says where they are from.
"""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.smooth_sets import OFTEN, PATCHES, Examples, gather, held_out, pictures
from operators.smooth_network import LEVELS, WEIGHTS

CHANNELS, TOGETHER = (16, 24, 32, 32), 32
SEEDS, COUNT = range(12), 500  # sets of examples, and how many each
STEPS, RATE, RISING = 12000, 4e-3, 0.05  # of learning; its rate rises over this share of the steps, then falls
ORDER, ABOVE = 2.0, 1.0  # weights of order within a picture, and of standing above other pictures
SHOWN, TAKEN = 16, 8  # pictures of a step, each at four strengths, and patches of each
SOFT = 2.0  # weight of pictures that are only out of focus or blurred


class Network(nn.Module):
    """Pixels (pictures, patches, 64, 64) -> evidence (pictures): how strongly smoothed."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third, fourth = CHANNELS
        self.first = nn.Conv2d(1, first, 6, stride=2)
        self.second, self.third, self.fourth = nn.Conv2d(first, second, 3, 2), nn.Conv2d(second, third, 3, 2), nn.Conv2d(third, fourth, 3)
        self.norms = nn.ModuleList(nn.BatchNorm2d(c) for c in CHANNELS[1:])
        self.out = nn.Linear(fourth, 2)
        self.together, self.last = nn.Linear(3 * fourth, TOGETHER), nn.Linear(TOGETHER, 1)
        self.cuts = nn.Parameter(torch.tensor([-0.5, 0.5, 1.5]))
        with torch.no_grad():
            self.first.weight.normal_(0, 0.3)
            self.first.bias.zero_()
            self.out.weight.mul_(0.3)
            self.last.weight.mul_(0.3)

    def high_pass(self) -> torch.Tensor:
        """The first layer, which sees differences alone."""
        return self.first.weight - self.first.weight.mean((2, 3), keepdim=True)

    def described(self, pixels: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            x = (pixels[:, None].to(torch.bfloat16) - 128) / LEVELS
            x = torch.tanh(F.conv2d(x, self.high_pass(), self.first.bias, stride=2).contiguous(memory_format=torch.channels_last))
            for layer, norm in zip((self.second, self.third, self.fourth), self.norms, strict=True):
                x = F.relu(norm(layer(x)))
            return x.mean((2, 3))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        seen = self.described(pixels.flatten(0, 1)).float().unflatten(0, pixels.shape[:2])
        said, telling = self.out(seen).unbind(-1)
        weight = telling.softmax(1)
        mean = seen.mean(1)
        spread = (((seen - mean[:, None]) ** 2).mean(1) + 1e-4).sqrt()
        together = F.relu(self.together(torch.cat([mean, spread, (seen * weight[..., None]).sum(1)], 1)))
        return (said * weight).sum(1) + self.last(F.dropout(together, 0.1, self.training))[:, 0]


def loss(network: Network, examples: Examples, at: np.ndarray, random: np.random.Generator) -> torch.Tensor:
    """How wrong the evidence is about which of three steps of strength is reached, about the order of the strengths of a picture, and
    about smoothed pictures beside others that are not. What a filter hardly changed counts little."""
    taken = random.permutation(PATCHES)[:TAKEN]
    x, grain = examples.shown[at][:, :, taken], torch.from_numpy(examples.grain[at][:, :, taken])
    x = x[..., ::-1] if random.random() < 0.5 else x
    x = x[..., ::-1, :] if random.random() < 0.5 else x
    x = x.swapaxes(-1, -2) if random.random() < 0.5 else x
    found = network(torch.from_numpy(np.ascontiguousarray(x)).flatten(0, 1)).unflatten(0, (len(at), 4))
    removed = torch.log2((grain[:, :1] + 0.25) / (grain + 0.25)).mean(2)  # octaves of grain
    visible = (removed[:, 1:] / 0.5).clamp(0, 1)
    altered = torch.stack([removed, F.pad(torch.from_numpy(examples.changed[at]), (1, 0))])  # in octaves of grain, and in levels
    soft = torch.from_numpy(np.where(np.isin(examples.before[at], ("bokeh", "blurred")), SOFT, 1.0)).float()
    reached = (torch.arange(4)[:, None] > torch.arange(3)).float().expand(len(at), 4, 3)
    wrong = F.binary_cross_entropy_with_logits(found[..., None] - network.cuts, reached, reduction="none").mean(-1)
    weight = torch.cat([soft[:, None], visible], 1)
    total = (wrong * weight).sum() / weight.sum()
    for gap in (1, 2, 3):
        more = ((altered[..., gap:] - altered[..., :-gap]) / 0.3).amax(0).clamp(0, 1)
        late = F.softplus(gap - 3 * (found[:, gap:] - found[:, :-gap])) * more
        total = total + ORDER * late.sum() / (4 - gap) / len(at)
    for strength in (1, 2, 3):
        above = found[None, :, strength] - found[:, :1]
        weight = soft[:, None] * visible[None, :, strength - 1]
        total = total + ABOVE * (F.softplus(-2 * above) * weight).sum() / weight.sum().clamp(min=1)
    return total


def learn(examples: Examples) -> Network:
    random = np.random.default_rng(0)
    torch.manual_seed(0)
    network = Network().train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS, pct_start=RISING)
    recent: list[float] = []
    for step in range(STEPS):
        wrong = loss(network, examples, np.sort(random.choice(len(examples.kinds), SHOWN, replace=False)), random)
        optimizer.zero_grad()
        wrong.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        recent.append(wrong.item())
        if step % 500 == 499:
            print(f"  step {step + 1}, loss {np.mean(recent[-500:]):.3f}", flush=True)
    return network.eval()


def exported(network: Network) -> dict[str, np.ndarray]:
    """The weights as operators/smooth_network.py reads them: norms folded in."""
    made: dict[str, Any] = {"first": network.high_pass(), "first_bias": network.first.bias}
    for name, norm in zip(("second", "third", "fourth"), network.norms, strict=True):
        layer, scale = getattr(network, name), norm.weight / torch.sqrt(norm.running_var + norm.eps)
        made[name] = layer.weight * scale[:, None, None, None]
        made[f"{name}_bias"] = norm.bias + (layer.bias - norm.running_mean) * scale
    made |= {"out": network.out.weight, "out_bias": network.out.bias, "together": network.together.weight}
    made |= {"together_bias": network.together.bias, "last": network.last.weight[0], "last_bias": network.last.bias[0]}
    return {name: values.detach().numpy().astype(np.float16) for name, values in made.items()}


def examples_of(work: Path, folder: Path) -> Examples:
    """The examples of all seeds, kept in ``work``."""
    path = work / "over_smooth_examples.npz"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        learned = {group: [one for one in found if not held_out(one[0])] for group, found in pictures(folder).items()}
        parts = [gather(learned, OFTEN, COUNT, seed) for seed in SEEDS]
        names = [f.name for f in dataclasses.fields(Examples)]
        np.savez(path, **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
    with np.load(path) as found:
        return Examples(**found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    network = learn(examples_of(args.work, args.pictures))
    WEIGHTS.parent.mkdir(exist_ok=True)
    np.savez(WEIGHTS, **exported(network))
    print(f"{WEIGHTS.stat().st_size} bytes")


if __name__ == "__main__":
    main()
