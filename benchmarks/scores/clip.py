"""Part `clip`: CLIP scores by ViT-B/32. Weights are random and the same for all, since the score of a model is not the question."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pictures import make_pictures, warm
from benchmarks.programs import PEERS
from benchmarks.scores.rows import Bench, Contender, Part, compare, left_out, ours


def clip(bench: Bench) -> Part:
    count, folder, checkpoint = 2000 if bench.full else 256, bench.scratch / "captioned", bench.scratch / "random.pt"
    make_pictures(folder, count, 85)
    for path in sorted(folder.rglob("*.jpg")):
        path.with_suffix(".txt").write_text(f"a photograph with the number {path.stem} of a street, a cat or a bridge in the morning")
    warm(folder)
    save_random_weights(checkpoint)
    plain = Contender(
        "plain open_clip loop, fp32",
        (sys.executable, str(PEERS / "plain_clip.py"), str(folder), str(checkpoint)),
        differs="scores in memory; loading the model is not timed; Goldsieve's environment, as it is the same library",
    )
    stored = "also ingest, SHA-256, both embeddings stored; loading the model is timed"
    contenders = [
        ours("Goldsieve", "clip", folder, checkpoint, "auto", differs=f"{stored}; bf16 where the processor is fast at it"),
        ours("Goldsieve, fp32", "clip", folder, checkpoint, "fp32", differs=stored),
        plain,
    ]
    known: dict[str, dict[str, float]] = {}

    def keep(found: dict[str, Any]) -> dict[str, str]:
        known[str(len(known))] = found["scores"]
        return {"precision": found.get("precision", "fp32")}

    rows = compare(bench, contenders, score=keep)
    rows += left_out(
        {"clip-retrieval": "not tried: it wants its model by name, from the internet; the loop above is what it does on a processor"}
    )
    notes = [f"Weights are random, so scores mean nothing; {agreement(known)}"] if len(known) == 3 else []
    given = f"{count:,} JPEGs of 640x480 with a caption each, ViT-B/32"
    return Part("clip", "CLIP scores", "pairs/s", given, rows, tuple(notes))


def agreement(known: dict[str, dict[str, float]]) -> str:
    """Largest differences from the last one's scores."""
    *others, base = known.values()
    apart = [max(abs(found[key] - base[key]) for key in base) for found in others]
    spread = float(np.std(list(base.values())))
    return f"they differ from the plain loop's by at most {apart[0]:.4f} and, at fp32, {apart[1]:.6f} (standard deviation {spread:.4f})."


def save_random_weights(path: Path) -> None:
    import open_clip
    import torch

    torch.manual_seed(0)
    torch.save(open_clip.create_model("ViT-B-32").state_dict(), path)
