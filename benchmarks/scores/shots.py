"""Part `shots`: transitions in videos whose transitions are known (`benchmarks.video_truth`)."""

from pathlib import Path
from typing import Any

from benchmarks.common import DATA
from benchmarks.scores.rows import Bench, Part, compare, left_out, ours, peer
from benchmarks.video_shots import drop_unseen, f1
from benchmarks.video_shots import score as count_hits
from benchmarks.video_truth import Truth, load_materials, make

KEYS = ("hard", "hard hit", "gradual", "gradual hit", "gradual matched", "flashes", "flash hit", "false gradual", "false hard")
FIRST = 1000
"""Seed of the first video: from here on they are made of photographs on which nothing was tuned."""


def shots(bench: Bench) -> Part:
    title, unit = "Shots of videos", "frames/s"
    if not (DATA / "video").is_dir():
        reason = "not run: the videos are made from the evaluation data, which is not here"
        return Part("shots", title, unit, "", left_out({"Goldsieve": reason, "PySceneDetect": reason}))
    count, folder = 25 if bench.full else 4, bench.scratch / "videos"
    materials = load_materials(DATA, 1)
    truths = [make(folder, FIRST + n, materials) for n in range(count)]
    for truth in truths:
        drop_unseen(truth)
    plain = "cuts only; OpenCV's decoder"
    contenders = [
        ours("Goldsieve", "shots", folder, differs="cuts, dissolves, fades, flashes; two threads decode"),
        peer("PySceneDetect, adaptive", "scenedetect", "scene_cuts.py", "adaptive", folder, differs=plain),
        peer("PySceneDetect, content", "scenedetect", "scene_cuts.py", "content", folder, differs=plain),
    ]
    frames = sum(truth.frames for truth in truths)
    cuts, gradual = sum(len(t.hard) for t in truths), sum(len(t.gradual) for t in truths)
    given = f"{count} videos of 640x360 made from photographs and clips: {frames:,} frames, {cuts} cuts, {gradual} dissolves and fades"
    rows = compare(bench, contenders, scale=frames / count, score=lambda found: scored(found, truths))
    notes = ("Of 1280x720, where decoding is most of the work, see the speeds in [video.md](video.md).",)
    return Part("shots", title, unit, given, rows, notes)


def scored(found: dict[str, Any], truths: list[Truth]) -> dict[str, str]:
    total = dict.fromkeys(KEYS, 0)
    for truth in truths:
        count_hits(truth, [(a, b) for a, b in found["transitions"][Path(truth.path).name]], total, False)
    return {
        "F1 of cuts": f"{f1(total['hard hit'], total['hard'], total['false hard']):.3f}",
        "gradual found": f"{total['gradual hit']} of {total['gradual']}",
        "flashes taken for cuts": f"{total['flash hit']} of {total['flashes']}",
    }
