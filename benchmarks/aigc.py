"""Signals about generated pictures, measured: provenance, planted defects, the score, speed.

    python -m benchmarks.aigc provenance|defects|score|speed [--photos FOLDER] [--file png|jpeg] [--part first|second|all]
    python -m benchmarks.aigc score --work FOLDER --art FOLDER --templates FOLDER [--encoder clip_b16]

``provenance``: evidence in the evaluation data. ``defects``: each artifact operator against the defect it is for, at three strengths, the
other defects and what is none, on the half of the photographs that no threshold was chosen on. ``score``: aigc_score with whole
families of generators held out. Needs the evaluation data folder ../shared/data.
"""

import argparse
import itertools
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.aigc_defects import DEFECTS, HARMLESS, STRENGTHS, chance, first_half, photographs
from benchmarks.common import DATA, Checks
from operators import banding, missing_grain, moire, over_smooth, oversharpen_halo, texture_loss, upsampling_grid
from operators.base import Gray, Pixels
from operators.media import Media
from operators.provenance import Provenance, examine
from operators.testing import MediaRow, encode, make_batch
from quality.presets import preset

MODULES = {
    m.__name__.split(".")[1]: m for m in (over_smooth, missing_grain, texture_loss, moire, upsampling_grid, banding, oversharpen_halo)
}
BESIDE = {"missing_grain": "over_smooth"}
"""A signal that has no defect of its own -> that which is nearest. What it is for are generated pictures."""
MEASURES: dict[str, Callable[[Any], dict[str, Any]]] = {name: module.measure for name, module in MODULES.items()}


def auc(clean: np.ndarray, found: np.ndarray) -> float:
    """Chance that a defective picture scores above a clean one; ties count half."""
    ordered = np.sort(clean)
    return float((np.searchsorted(ordered, found, "left") + np.searchsorted(ordered, found, "right")).mean() / 2 / len(clean))


def thresholds() -> dict[str, float]:
    """Signal -> the value from which the preset photo-strict calls it a strong artifact."""
    text = " ".join(preset("photo-strict").rules.values())
    return {name: float(value) for name, value in re.findall(r"(\w+) < ([\d.]+)", text) if name in MEASURES}


def as_file(pixels: np.ndarray, kind: str) -> bytes:
    return encode(pixels, kind, **({"quality": 95, "subsampling": 0} if kind == "jpeg" else {"compress_level": 1}))


def scores(pixels: np.ndarray, kind: str) -> dict[str, float]:
    row = MediaRow({}, Media(as_file(pixels, kind)))
    return {name: float(measure(row)[name]) for name, measure in MEASURES.items()}


def variants(name: str, pixels: np.ndarray, kind: str) -> dict[str, dict[str, float]]:
    """Variant ("clean", "moire 2", "fog") -> scores."""
    made = {"clean": scores(pixels, kind)}
    for defect, plant in DEFECTS.items():
        made |= {f"{defect} {s}": scores(plant(pixels, s, chance(name + defect)), kind) for s in STRENGTHS}
    return made | {what: scores(change(pixels, chance(name + what)), kind) for what, change in HARMLESS.items()}


def defects(more: Path | None, kind: str, part: str, every: int) -> None:
    cv2.setNumThreads(1)
    chosen = [(n, p) for n, p in photographs(more) if part == "all" or first_half(n) == (part == "first")][::every]
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda one: variants(*one, kind), chosen))
    found = {v: {name: np.array([one[v][name] for one in made]) for name in MEASURES} for v in made[0]}
    limits, check = thresholds(), Checks()
    print(f"{len(made)} photographs, each saved as {kind}, part: {part}")
    for name in MEASURES:
        clean, planted = found["clean"][name], [found[f"{BESIDE.get(name, name)} {s}"][name] for s in STRENGTHS]
        rising = np.mean(np.all([after >= before for before, after in itertools.pairwise([clean, *planted])], axis=0))
        aucs = "/".join(f"{auc(clean, p):.3f}" for p in planted)
        print(f"{name}: clean median {np.median(clean):.3g}, 98 % below {np.quantile(clean, 0.98):.3g}, most {clean.max():.3g}")
        if name in BESIDE:
            print(f"{name} where {BESIDE[name]} is planted: rises in {rising:.3f}, AUC {aucs}")
        else:
            check(f"{name} rises with the strength", f"{rising:.3f}", ">= 0.95 of pictures", bool(rising >= 0.95))
            check(f"{name} AUC at the three strengths", aucs, "second >= 0.95", auc(clean, planted[1]) >= 0.95)
        if name in limits:
            false = float((clean >= limits[name]).mean())
            recall = "/".join(f"{(p >= limits[name]).mean():.2f}" for p in planted)
            check(f"{name} false alarms at {limits[name]:g} (found {recall})", f"{false:.3f}", "<= 0.02", false <= 0.02)
    print("\nshare above the preset's threshold; rows: what was done (medium strength)")
    columns = [n for n in MEASURES if n in limits]
    print(f"{'':18}" + "".join(f"{n[:16]:>18}" for n in columns))
    rows = {variant: found[variant] for variant in ["clean", *(f"{d} 2" for d in DEFECTS), *HARMLESS]}
    for variant, values in (rows | generated()).items():
        print(f"{variant:18}" + "".join(f"{(values[n] >= limits[n]).mean():>18.2f}" for n in columns))
    check.end()


def generated() -> dict[str, dict[str, np.ndarray]]:
    """Family of generators -> scores of its pictures as they are, at most 40."""
    made = {}
    for folder in sorted([*(DATA / "aigc/matched/ai").iterdir(), *(DATA / "aigc/generated_resaved").iterdir()]):
        rows = [MediaRow({}, Media(path.read_bytes())) for path in sorted(folder.iterdir())[:40]]
        made[f"made by {folder.name}"] = {name: np.array([float(measure(row)[name]) for row in rows]) for name, measure in MEASURES.items()}
    return made


def provenance() -> None:
    check = Checks()
    for folder in ("photos", "quality", "broken/exif_samples", "aigc/matched/real"):
        strengths = Counter(e.evidence.strength for p in (DATA / folder).iterdir() for e in examine(p.read_bytes())[0])
        wrong = sum(count for strength, count in strengths.items() if strength != "camera")
        check(f"{folder}: evidence for a generator ({strengths['camera']} for a camera)", wrong, "0", wrong == 0)
    measure = Provenance().open()
    for folder in ("aigc/c2pa", "aigc/comfyui_metadata"):
        for path in sorted((DATA / folder).iterdir()):
            row = {name: column[0].as_py() for name, column in measure(make_batch([{}], [path.read_bytes()])).items()}
            place = row["aigc_evidence"][0]["location"] if row["aigc_evidence"] else "-"
            print(
                f"  {path.name:36} {row['aigc_strength']:7} {row['aigc_generator']}, {row['aigc_model']}, seed {row['aigc_seed']}, {place}"
            )
    check.end()


def speed() -> None:
    """Provenance over files in memory (one thread); all artifact operators over 1 MP JPEG files, decoding included (two threads)."""
    check = Checks()
    cv2.setNumThreads(1)
    folders = ("photos", "broken/exif_samples", "aigc/matched/real", "aigc/comfyui_metadata")
    files = [p for folder in folders for p in sorted((DATA / folder).iterdir())]
    measure = Provenance().open()
    batch = lambda: make_batch([{}] * len(files), [p.read_bytes() for p in files])  # noqa: E731
    measure(batch())
    started = time.perf_counter()
    for _ in range(10):
        measure(batch())
    rate = 10 * len(files) / (time.perf_counter() - started)
    check("provenance, files a second, reading included", f"{rate:.0f}", ">= 2000", rate >= 2000)
    large = [(n, cv2.resize(p, (1152, 864), interpolation=cv2.INTER_CUBIC)) for n, p in list(photographs())[:48]]
    data = [as_file(pixels, "jpeg") for _, pixels in large]
    small = [encode(pixels, "JPEG", quality=85) for _, pixels in large]
    for what, pictures in (("q95 4:4:4", data), ("q85", small)):
        with ThreadPoolExecutor(2) as pool:
            for function, name in ((lambda d: decode(Media(d)), "decoding alone"), (all_of, "all artifact operators and decoding")):
                list(pool.map(function, pictures[:4]))
                started = time.perf_counter()
                list(pool.map(function, pictures * 2))
                rate = 2 * len(pictures) / (time.perf_counter() - started)
                check(f"{name}, 1 MP JPEG {what}, pictures a second", f"{rate:.0f}", ">= 60", rate >= 60)
    before = time.process_time()
    for one in small:
        all_of(one)
    print(
        f"  all together, q85: {(time.process_time() - before) / len(small) * 1000:.1f} ms of processor time a picture, decoding included"
    )
    rows = [MediaRow({}, Media(d)) for d in small[:24]]
    for row in rows:
        decode(row.media)
    for name, measure_one in MEASURES.items():
        before = time.process_time()
        for row in rows:
            measure_one(row)
        print(f"  {name:18} {(time.process_time() - before) / len(rows) * 1000:.2f} ms of processor time a picture")
    check.end()


def decode(media: Media) -> None:
    media.view(Pixels()), media.view(Gray())


def all_of(data: bytes) -> None:
    row = MediaRow({}, Media(data))
    for measure in MEASURES.values():
        measure(row)


def score(work: Path, art: Path | None, templates: Path | None, encoder: str) -> Iterator[dict[str, Any]]:
    from benchmarks.train_aigc_score import held_out, pictures

    yield from held_out(pictures(work, art, templates, encoder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["provenance", "defects", "score", "speed"])
    parser.add_argument("--photos", type=Path, help="more photographs for `defects`: a folder")
    parser.add_argument("--file", choices=["png", "jpeg"], default="jpeg", help="how `defects` saves pictures, with and without defect")
    parser.add_argument("--part", choices=["first", "second", "all"], default="second")
    parser.add_argument("--every", type=int, default=1, help="take every so many photographs, for a quick look")
    parser.add_argument("--work", type=Path, default=Path("/tmp/aigc"), help="where `score` keeps features, as train_aigc_score does")
    parser.add_argument("--art", type=Path, help="drawings made by people, for `score`")
    parser.add_argument("--templates", type=Path, help="more generated pictures, for `score`: see train_aigc_score")
    parser.add_argument("--encoder", choices=["starter", "clip_b16"], default="starter", help="whose probe `score` measures")
    args = parser.parse_args()
    if args.what == "defects":
        defects(args.photos, args.file, args.part, args.every)
    elif args.what == "score":
        for line in score(args.work, args.art, args.templates, args.encoder):
            print(json.dumps(line), flush=True)
    else:
        {"provenance": provenance, "speed": speed}[args.what]()


if __name__ == "__main__":
    main()
