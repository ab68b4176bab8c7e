"""Trains the two probes of `aigc_score` for one of our encoders and writes operators/encoders/weights/aigc_ENCODER.npz. Seeded.

    python -m benchmarks.train_aigc_score --encoder starter --work W --art A --templates T    # minutes; features are cached in W
    python -m benchmarks.aigc score --encoder starter --work W --art A --templates T          # the figures, held-out families only

Needs the evaluation data folder ../shared/data. ``--art``: drawings and paintings made by people, a folder for each source;
``--templates``: unpacked packages with results of workflows. docs/aigc.md names the packages that were used. Backbone features are cached,
so after `starter` itself was trained anew this takes seconds; `clip_b16` takes a third of a second a picture.

Where the pictures come from, and how both sides are made alike: aigc_pictures.py.
"""

import argparse
import itertools
import json
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression

from benchmarks.aigc_pictures import COPIES, FAMILIES, MATCHED, TRAINED_ON, sources, tested, varied
from benchmarks.calibration import auc, how_far_off, platt, sigmoid
from operators.aigc_score import probe_file
from operators.base import Pixels
from operators.encoders import EMBEDDED, hash_of, load, settle
from operators.encoders.starter import Starter
from operators.media import Media
from operators.style import STYLES, head, softmax
from operators.testing import picture

WORK = Path("/tmp/aigc")
STRENGTH, OTHER = 0.003, 0.001
"""Of the probe for photographs and of that for other styles."""
Probe = tuple[np.ndarray, float]
"""Weights over the embedding, and a bias."""


@dataclass(frozen=True)
class Pictures:
    """One row a file: ``names``, ``groups`` (a family of generators, or a source of real pictures), ``copies`` (-1: the test version),
    ``x`` (n, d) embeddings, ``is_photo`` what `style` says."""

    names: np.ndarray
    groups: np.ndarray
    copies: np.ndarray
    x: np.ndarray
    is_photo: np.ndarray

    @cached_property
    def generated(self) -> np.ndarray:
        return np.isin(self.groups, FAMILIES)

    @cached_property
    def drawn(self) -> np.ndarray:
        """By people."""
        return np.char.startswith(self.groups, "art/")

    @cached_property
    def test(self) -> np.ndarray:
        return self.copies < 0

    @cached_property
    def photographs(self) -> np.ndarray:
        """Training copies: generated pictures of all kinds, and two thirds of real photographs other than COCO's. No drawings by people:
        with them on the real side a probe tells photographs apart worse (mean AUC 0.70 for 0.79)."""
        fold = np.array([fold_of(name) for name in self.names])
        return ~self.test & (self.generated | (np.isin(self.groups, TRAINED_ON) & (fold != 0)))

    @cached_property
    def drawings(self) -> np.ndarray:
        """What the probe for other styles is tested on, if `style` agrees; it learns from all test versions, photographs too."""
        return self.test & (self.generated | self.drawn)

    def of_style(self, style: str) -> np.ndarray:
        """Test pictures a calibration is made on, generated and real ones by what `style` calls them. Drawings by people that it takes for
        photographs are in neither."""
        return self.test & (self.is_photo & ~self.drawn if style == "photo" else ~self.is_photo & self.drawings)


def fold_of(name: str) -> int:
    return zlib.crc32(name.encode()) % 3


def features(work: Path, art: Path | None, templates: Path | None, encoder: str) -> dict[str, np.ndarray]:
    """names, groups, copies (-1: the test version), x (n, the backbone's features); kept in ``work`` for each backbone."""
    model = load(settle(encoder))
    see = model.image_features if isinstance(model, Starter) else model.encode_images
    path = work / f"features-{zlib.crc32(see([np.asarray(picture(240, 230))]).tobytes()):08x}.npz"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)

        def of(one: tuple[str, str, Image.Image]) -> list[tuple[Any, ...]]:
            name, group, image = one
            files = [(k, varied(image, name, k)) for k in range({"flickr": 1}.get(group, 0 if group.startswith("art/") else COPIES))]
            if group not in TRAINED_ON or fold_of(name) == 0:
                files.append((-1, tested(image)))
            return [(name, group, k, see([Media(data).view(Pixels(224))])[0]) for k, data in files]

        rows, every = [], sources(art, templates)
        with ThreadPoolExecutor(2) as pool:
            while part := list(itertools.islice(every, 64)):  # a pool takes all it is given at once
                rows += [row for found in pool.map(of, part) for row in found]
        names, groups, copies, x = zip(*rows, strict=True)
        np.savez(path, names=np.array(names), groups=np.array(groups), copies=np.array(copies), x=np.array(x, np.float32))
    with np.load(path) as found:
        return dict(found)


def pictures(work: Path, art: Path | None, templates: Path | None, encoder: str) -> Pictures:
    data, model = features(work, art, templates, encoder), load(settle(encoder))
    if isinstance(model, Starter):
        data["x"] = np.concatenate([model.from_image_features(row[None]) for row in data["x"]])
    weight, bias = head(settle(encoder))
    return Pictures(**data, is_photo=softmax(data["x"] @ weight + bias).argmax(axis=1) == STYLES.index("photo"))


def weights_of(groups: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """Both sides count alike; on each, a group by the square root of its size."""
    _, which, counts = np.unique(groups, return_inverse=True, return_counts=True)
    share = 1 / counts[which] ** 0.5
    for side in (generated, ~generated):
        share[side] /= share[side].sum()
    return np.asarray(share * len(groups) / 2)


def fit(seen: Pictures, at: np.ndarray, strength: float = STRENGTH) -> Probe:
    """Logistic regression over standardised inputs, folded into weights over the inputs themselves."""
    x, groups, generated = seen.x[at], seen.groups[at], seen.generated[at]
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-6
    model = LogisticRegression(C=strength, max_iter=2000).fit((x - mean) / scale, generated, sample_weight=weights_of(groups, generated))
    weight = model.coef_[0] / scale
    return weight, float(model.intercept_[0] - mean @ weight)


def photo_scores(seen: Pictures, strength: float = STRENGTH) -> np.ndarray:
    """Scores of the test pictures by a probe for photographs that saw neither their family nor their kind of real picture; COCO, the real
    side of the matched set, is never trained on. NaN for all others."""
    scores = np.full(len(seen.x), np.nan)
    for family in (*FAMILIES, "real"):
        weight, bias = fit(seen, seen.photographs & (seen.groups != family), strength)
        own = seen.test & (~seen.generated if family == "real" else seen.groups == family)
        scores[own] = seen.x[own] @ weight + bias
    return scores


def other_scores(seen: Pictures) -> np.ndarray:
    """Scores by a probe for other styles that saw nothing of the picture's family or of the source of real drawings. NaN for others."""
    scores = np.full(len(seen.x), np.nan)
    for group in np.unique(seen.groups[seen.drawings]):
        own = seen.drawings & (seen.groups == group)
        weight, bias = fit(seen, seen.test & (seen.groups != group), OTHER)
        scores[own] = seen.x[own] @ weight + bias
    return scores


def matched_together(seen: Pictures) -> dict[str, Any]:
    """The four families of the matched set left out together: one source made and treated them, so apart they may know one another."""
    matched = np.isin(seen.groups, MATCHED)
    weight, bias = fit(seen, seen.photographs & ~matched)
    coco, own = (seen.x[seen.test & side] @ weight + bias for side in (seen.groups == "coco", matched))
    return {"what": "the matched set's families left out together", **against(coco, own)}


def against(real: np.ndarray, own: np.ndarray) -> dict[str, Any]:
    recall = float((own > np.quantile(real, 0.95)).mean())
    return {"n": len(own), "auc": round(auc(real, own), 3), "recall_at_5": round(recall, 2)}


def families(what: str, seen: Pictures, scores: np.ndarray) -> dict[str, Any]:
    """Each family, all its styles, beside COCO's photographs."""
    coco = scores[seen.test & (seen.groups == "coco")]
    each = {family: against(coco, scores[seen.test & (seen.groups == family)]) for family in FAMILIES if (seen.groups == family).any()}
    mean = float(np.mean([one["auc"] for one in each.values()]))
    return {"what": what, "mean_auc": round(mean, 4), "real": len(coco), **each}


def held_out(seen: Pictures) -> Iterator[dict[str, Any]]:
    """The figures: families, then how far each calibration is off."""
    photo, other = photo_scores(seen), other_scores(seen)
    yield families("photographs", seen, photo)
    yield matched_together(seen)
    at = seen.of_style("photo")
    yield {"what": "calibration, style photo", **how_far_off(photo[at], seen.generated[at])}
    slope, offset = platt(photo[at], seen.generated[at])
    at = seen.of_style("other")
    if min(seen.generated[at].sum(), (~seen.generated[at]).sum()) < 20:
        return  # without --art there are no real drawings
    for group in np.unique(seen.groups[at]):
        rest = at & (seen.generated if group.startswith("art/") else seen.drawn)
        own = other[at & (seen.groups == group)]
        real, made = (own, other[rest]) if group.startswith("art/") else (other[rest], own)
        yield {"what": f"other styles: {group} against the other side", "n": len(own), "auc": round(auc(real, made), 3)}
    yield {"what": "calibration, style other", **how_far_off(other[at], seen.generated[at])}
    taken = seen.test & seen.drawn & seen.is_photo
    flagged = float((sigmoid(slope * photo[taken] + offset) >= 0.5).mean())
    what = "drawings by people that style takes for photographs, and the share of them that is called generated"
    yield {"what": what, "n": int(taken.sum()), "of": int((seen.test & seen.drawn).sum()), "share": round(flagged, 2)}


def shipped(seen: Pictures) -> dict[str, np.ndarray]:
    """Both probes, trained on all there is, the calibration by held-out scores folded in."""
    every = ~seen.test & (seen.generated | np.isin(seen.groups, (*TRAINED_ON, "coco")))
    made = {}
    for style, scores, at, strength in (("photo", photo_scores(seen), every, STRENGTH), ("other", other_scores(seen), seen.test, OTHER)):
        weight, bias = fit(seen, at, strength)
        slope, offset = platt(scores[seen.of_style(style)], seen.generated[seen.of_style(style)])
        made |= {f"{style}_weight": np.float32(slope * weight), f"{style}_bias": np.float32(slope * bias + offset)}
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--art", type=Path, required=True)
    parser.add_argument("--templates", type=Path, required=True)
    parser.add_argument("--encoder", choices=list(EMBEDDED), default="starter")
    args = parser.parse_args()
    seen = pictures(args.work, args.art, args.templates, args.encoder)
    for line in held_out(seen):
        print(json.dumps(line), flush=True)
    path = probe_file(args.encoder, "auto")
    made = shipped(seen) | {"encoder_weights": np.array(hash_of(EMBEDDED[args.encoder]))}
    np.savez(path, **{name: made[name] for name in sorted(made)})
    print(json.dumps({"files": len(seen.x), "bytes": path.stat().st_size}))


if __name__ == "__main__":
    main()
