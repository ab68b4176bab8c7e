"""CLIP scores as a script writes them: open_clip, PIL and a DataLoader of two workers, batches of 16, fp32, two threads. Prints JSON.

    python plain_clip.py FOLDER CHECKPOINT

It runs in Goldsieve's own environment, which has the same open_clip and torch.
"""

import json
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import open_clip
import torch
from PIL import Image


@dataclass(frozen=True)
class Pictures:
    paths: list[Path]
    preprocess: Any
    tokenizer: Any

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> Any:
        path = self.paths[i]
        return self.preprocess(Image.open(path)), self.tokenizer([path.with_suffix(".txt").read_text()])[0]


def main() -> None:
    torch.set_num_threads(2)
    paths = sorted(Path(sys.argv[1]).rglob("*.jpg"))
    model, _, preprocess = open_clip.create_model_and_transforms("ViT-B-32", pretrained=sys.argv[2])
    model.eval()
    pictures = Pictures(paths, preprocess, open_clip.get_tokenizer("ViT-B-32"))
    scores: list[float] = []
    started = time.perf_counter()
    with torch.inference_mode():
        for images, texts in torch.utils.data.DataLoader(pictures, batch_size=16, num_workers=2):
            one, two = model.encode_image(images, normalize=True), model.encode_text(texts, normalize=True)
            scores += (one * two).sum(dim=1).tolist()
    ended = time.perf_counter()
    keys = [str(path.relative_to(sys.argv[1]).with_suffix("")) for path in paths]
    found = {"count": len(paths), "seconds": ended - started, "scores": dict(zip(keys, scores, strict=True))}
    print(json.dumps({"version": f"open_clip_torch {version('open_clip_torch')}, torch {torch.__version__}", **found}))


if __name__ == "__main__":
    main()
