"""Shot detection against known transitions, and against PySceneDetect's published cut lists.

`truth_table`: videos made by `benchmarks.video_truth` (seeds from 1000 on use the half of the photographs on which nothing was tuned).
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa

from benchmarks.common import Checks
from benchmarks.video_truth import Truth, load_materials, make
from operators.base import Batch
from operators.testing import MediaRow
from operators.video.cuts import DEFAULTS, found_cuts
from operators.video.media import VideoMedia
from operators.video.shots import Shots
from operators.video.source import VideoFile
from operators.video.track import Track

HARD_SLACK, GRADUAL_SLACK = 2, 5
Found = list[tuple[int, int]]
"""Transitions: first and last frame of each; a cut has its one frame twice."""


def ours(**settings: Any) -> Callable[[str], Found]:
    def run(path: str) -> Found:
        operator = Shots(**settings)
        media = VideoMedia(VideoFile(path), None, operator.reads.views, threads=2)
        row = operator._row  # the transitions themselves are not a column
        found: Found = []

        def keep(info: Any, track: Any, transitions: Any, at: Any) -> dict[str, Any]:
            found.extend((t.first, t.last) for t in transitions)
            return row(info, track, transitions, at)

        object.__setattr__(operator, "_row", keep)
        operator.open()(Batch(pa.table({"row": [0]}), [MediaRow({}, media)]))
        return found

    return run


def plain(name: str) -> Callable[[str], Found]:
    def run(path: str) -> Found:
        import scenedetect

        detector = {
            "adaptive": scenedetect.AdaptiveDetector,
            "content": scenedetect.ContentDetector,
            "hash": scenedetect.HashDetector,
            "threshold": scenedetect.ThresholdDetector,
        }[name]()
        scenes = scenedetect.detect(path, detector)
        return [(scene[0].frame_num, scene[0].frame_num) for scene in scenes[1:]]

    return run


METHODS: dict[str, Callable[[str], Found]] = {
    "goldsieve shots": ours(),
    "goldsieve shots, content": ours(detector="content"),
    "goldsieve shots, transnetv2": ours(detector="transnetv2"),
    "PySceneDetect adaptive": plain("adaptive"),
    "PySceneDetect content": plain("content"),
    "PySceneDetect hash": plain("hash"),
}


def score(truth: Truth, found: Found, total: dict[str, int], verbose: bool) -> None:
    used: set[int] = set()
    for cut in truth.hard:
        near = [i for i, (a, b) in enumerate(found) if i not in used and a - HARD_SLACK <= cut <= b + HARD_SLACK]
        best = min(near, key=lambda i: abs(found[i][0] - cut), default=None)
        if best is not None:
            used.add(best)
            total["hard hit"] += 1
        elif verbose:
            print("  missed cut", truth.path, cut)
    total["hard"] += len(truth.hard)
    for first, last, kind in truth.gradual:
        near = [i for i, (a, b) in enumerate(found) if a - GRADUAL_SLACK < last and b + GRADUAL_SLACK > first]
        if near:
            total["gradual hit"] += 1
            free = [i for i in near if i not in used]
            total["gradual matched"] += bool(free)
            used.update(free)
        elif verbose:
            print("  missed", kind, truth.path, first, last)
    total["gradual"] += len(truth.gradual)
    used |= {i for i, (a, b) in enumerate(found) if any(a - HARD_SLACK <= cut <= b + HARD_SLACK for cut in truth.ignored)}
    for first, last, kind in truth.flashes:
        false = [i for i, (a, b) in enumerate(found) if i not in used and a - 2 <= last and b + 2 >= first]
        total["flash hit"] += bool(false)
        if false and verbose:
            print("  cut at", kind, truth.path, first, last, [found[i] for i in false])
    total["flashes"] += len(truth.flashes)
    for i, (a, b) in enumerate(found):
        if i not in used:
            total["false gradual" if b > a else "false hard"] += 1
            if verbose:
                print("  false", truth.path, a, b)


def drop_unseen(truth: Truth) -> int:
    """Leaves out cuts between pictures that hardly differ (identical shots in sequence): finding one is no error, missing one neither."""
    small: list[np.ndarray] = []
    with av.open(truth.path) as container:
        small += [f.reformat(64, 36, "gray", interpolation="AREA").to_ndarray().astype(np.float32) for f in container.decode(video=0)]
    seen = []
    for cut in truth.hard:
        before, after = small[cut - 1].ravel(), small[cut].ravel()
        same = np.corrcoef(before, after)[0, 1] >= 0.9 and np.abs(before - after).mean() < 12
        (truth.ignored if same else seen).append(cut)
    dropped, truth.hard = len(truth.hard) - len(seen), seen
    return dropped


def f1(hits: int, wanted: int, false: int) -> float:
    return 2 * hits / (hits + wanted + false) if hits else 0.0


def truth_table(options: argparse.Namespace, scratch: Path, check: Checks) -> None:
    materials = load_materials(options.data, 1 if options.first >= 1000 else 0)
    folder, count = options.folder or scratch, options.videos
    truths = [make(folder, options.first + i, materials) for i in range(count)]
    unseen = sum(drop_unseen(truth) for truth in truths)
    keys = ("hard", "hard hit", "gradual", "gradual hit", "gradual matched", "flashes", "flash hit", "false gradual", "false hard")
    print(f"{count} videos, {sum(t.frames for t in truths):,} frames; {unseen} cuts from a shot to a nearly identical one are not counted")
    print(f"{'method':<30}{'hard F1':>9}{'gradual F1':>12}{'recall':>8}{'false cuts at flashes':>23}")
    for name in options.methods or METHODS:
        total = dict.fromkeys(keys, 0)
        for truth in truths:
            score(truth, METHODS[name](truth.path), total, options.verbose)
        hard = f1(total["hard hit"], total["hard"], total["false hard"])
        gradual = f1(total["gradual hit"], total["gradual"], total["false gradual"])
        recall = total["gradual hit"] / max(1, total["gradual"])
        flashes = f"{total['flash hit']} of {total['flashes']} ({total['flash hit'] / max(1, total['flashes']):.1%})"
        print(f"{name:<30}{hard:>9.3f}{gradual:>12.3f}{recall:>8.2f}{flashes:>23}   {total}", flush=True)
        if name == "goldsieve shots":
            check("hard cuts, F1", f"{hard:.3f}", ">= 0.97", hard >= 0.97)
            check("gradual transitions, F1", f"{gradual:.3f}", ">= 0.80", gradual >= 0.80)
            check("flashes taken for cuts", flashes, "<= 2 %", total["flash hit"] <= 0.02 * total["flashes"])


def published(options: argparse.Namespace, scratch: Path, check: Checks) -> None:
    """PySceneDetect's own lists are in frames of the nominal rate; ours are times, so they are compared as frames of that rate."""
    data = options.data
    lists = json.loads((data / "video" / "pyscenedetect_cuts.json").read_text())
    rates = {"goldeneye-vfr-drop3.mp4": 24000 / 1001}
    agreed = wanted = 0
    for name, detectors in lists.items():
        if name == "_":
            continue
        media = VideoMedia(VideoFile(str(data / "video" / name)), None, (Track(),), threads=2)
        track, info = media.view(Track()), media.info
        rate = rates.get(name, info.fps)
        for detector, cuts in detectors.items():
            short = detector.removesuffix("Detector").lower()
            if short not in DEFAULTS:
                continue
            if short == "hash":
                from operators.video.hash_cuts import HashCuts

                found = VideoMedia(VideoFile(str(data / "video" / name))).view(HashCuts(DEFAULTS["hash"], 15))
            else:
                found = found_cuts(track, short, DEFAULTS[short], 15, info.fps)  # type: ignore[arg-type]
            frames = [round(float(track.times[cut]) * rate) for cut in found]
            same = len(frames) == len(cuts) and all(abs(a - b) <= 1 for a, b in zip(frames, cuts, strict=True))
            agreed, wanted = agreed + same, wanted + 1
            print(f"{name:<28}{detector:<20}{'same' if same else 'OTHER':<7}{frames} published {cuts}")
    check("published lists reproduced within one frame", f"{agreed} of {wanted}", "all", agreed == wanted)
