"""The video demo: films made of packaged pictures, with known cuts, moves and defects; the whole pipeline; what was caught and missed."""

import io
import itertools
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from rich.console import Console
from rich.table import Table

from manifests import open_lake
from operators.testing import film
from pipelines.demo_pictures import PICTURES
from pipelines.engine import EngineName
from pipelines.progress import Reporter
from pipelines.recipe import load_recipe
from pipelines.run import RunResult, run_recipe

WIDTH, HEIGHT, FPS = 384, 216, 12
Frames = list[npt.NDArray[np.uint8]]
MOVES = ("static", "pan_right", "zoom_in", "tilt_down", "pan_left", "zoom_out", "tilt_up")
CUT_SLACK_S = 0.2
GRADUAL_SLACK_S = 0.4


@dataclass
class Film:
    """A film that was made: ``cuts``: (seconds, kind) of its transitions; ``shots``: (start, end, move, defect) of what lies between."""

    name: str
    cuts: list[tuple[float, str]] = field(default_factory=list)
    shots: list[tuple[float, float, str, str]] = field(default_factory=list)
    flashes: list[float] = field(default_factory=list)
    defect: str = ""


@dataclass(frozen=True)
class Line:
    """What became of one kind of planted thing."""

    what: str
    planted: int
    found: int
    note: str = ""


@dataclass(frozen=True)
class VideoDemoResult:
    """What the demo found, and where it left what it made."""

    directory: Path
    run: RunResult
    lines: tuple[Line, ...]
    moves: tuple[tuple[str, str, str], ...]


def run_video_demo(directory: Path, engine: EngineName = "inline", reporter: Reporter | None = None) -> VideoDemoResult:
    """Builds films in ``directory``, runs the recipe it leaves beside them, and compares. An existing recipe is kept."""
    films = build_films(directory / "videos")
    (directory / "labels.json").write_text(json.dumps([vars(f) for f in films], indent=1))
    recipe_path = directory / "recipe.yaml"
    if not recipe_path.exists():
        shutil.copyfile(Path(__file__).parent / "demo_video_recipe.yaml", recipe_path)
    recipe = load_recipe(recipe_path)
    run = run_recipe(recipe, engine=engine, reporter=reporter, overwrite=True)
    with open_lake(recipe.lake) as lake:
        rows = lake.rows(
            """SELECT key, CAST(parent_id AS VARCHAR) AS parent, span_start_s, span_end_s, tier, failed_rules, error, camera_movement,
            is_duplicate, shots FROM wide ORDER BY key, span_start_s"""
        )
    lines, moves = compare(films, rows)
    return VideoDemoResult(directory, run, tuple(lines), tuple(moves))


def build_films(folder: Path) -> list[Film]:
    """Six films, a re-encoded copy of one and a damaged one; the same every time."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [picture.open().convert("RGB") for picture in PICTURES]
    pictures = [p for p in pictures if min(p.size) >= 250][:14]
    films = []
    rng = np.random.default_rng(7)
    time = np.arange(16000 * 12) / 16000
    hum = (0.2 * np.sin(2 * np.pi * 330 * time)).astype(np.float32)
    plans = (
        ("film-1", ("cut", "cut", "cut", "cut"), "", hum),
        ("film-2", ("cut", "dissolve", "cut", "fade"), "", None),
        ("film-3", ("cut", "dissolve", "fade", "cut"), "flash", None),
        ("film-4", ("cut", "cut", "dissolve", "cut"), "flash", hum),
        ("film-5", ("cut", "cut"), "frozen", None),
        ("film-6", ("cut", "cut"), "borders", None),
    )
    number = 0
    for name, transitions, defect, sound in plans:
        made = Film(name, defect=defect)
        frames: Frames = []
        for position in range(len(transitions) + 1):
            move = MOVES[number % len(MOVES)]
            shot = moving(pictures[number % len(pictures)], move, 26, rng, frozen=defect == "frozen" and position == 1)
            if defect == "borders" and position == 1:
                shot = [bordered(frame) for frame in shot]
            if defect == "flash" and position in (0, 2):
                at = 12
                made.flashes.append((len(frames) + at) / FPS)
                for i, light in enumerate((0.9, 0.6, 0.2)):
                    shot[at + i] = np.clip(shot[at + i] * (1 + light) + 200 * light, 0, 255).astype(np.uint8)
            kind = transitions[position - 1] if position else ""
            frames = joined(frames, shot, kind, made)
            start = made.shots[-1][1] if made.shots else 0.0
            planted = defect if defect in ("frozen", "borders") and position == 1 else ""
            made.shots.append((start, len(frames) / FPS, move, planted))
            number += 1
        write(folder, name, film(frames, FPS, sound=None if sound is None else sound[: 16000 * len(frames) // FPS]))
        films.append(made)
        if name == "film-1":
            smaller = [np.asarray(Image.fromarray(frame).resize((WIDTH * 3 // 4, HEIGHT * 3 // 4))) for frame in frames]
            write(folder, "copy-of-film-1", film(smaller, FPS))
            films.append(Film("copy-of-film-1", list(made.cuts), [(a, b, m, "copy") for a, b, m, _ in made.shots], defect="copy"))
    data = (folder / "film-2.mp4").read_bytes()
    write(folder, "damaged", data[: len(data) // 2])
    films.append(Film("damaged", defect="damaged"))
    return films


def write(folder: Path, name: str, data: bytes) -> None:
    path = folder / f"{name}.mp4"
    if not path.exists() or path.read_bytes() != data:
        path.write_bytes(data)
    path.with_suffix(".txt").write_text("A film made of photographs that installed packages carry.")


def moving(picture: Image.Image, move: str, count: int, rng: np.random.Generator, frozen: bool = False) -> Frames:
    """A camera that makes one move over a picture."""
    width, height = picture.size
    window = min(width / WIDTH, height / HEIGHT) / 1.35
    grain = rng.normal(0, 1.5, (HEIGHT, WIDTH, 1))
    frames: Frames = []
    for i in range(count):
        share = i / (count - 1) - 0.5
        x, y, zoom = width / 2, height / 2, 1.0
        if move.startswith("pan"):
            x += (1 if move == "pan_right" else -1) * share * 0.24 * WIDTH * window
        elif move.startswith("tilt"):
            y += (1 if move == "tilt_down" else -1) * share * 0.26 * HEIGHT * window
        elif move.startswith("zoom"):
            zoom = float(np.exp((1 if move == "zoom_in" else -1) * share * 0.3))
        w, h = WIDTH * window / zoom, HEIGHT * window / zoom
        box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        shown = np.asarray(picture.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, box=box), np.float32)
        frames.append(np.clip(shown + np.roll(grain, 7 * i, axis=1), 0, 255).astype(np.uint8))
    return [frames[0]] * count if frozen else frames


def bordered(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    made = frame.copy()
    made[:28] = made[-28:] = 0
    return made


def joined(frames: Frames, shot: Frames, kind: str, made: Film) -> Frames:
    """``frames`` and the shot behind them; notes the transition and where the shot begins."""
    if not kind:
        return shot
    if kind == "cut":
        made.cuts.append((len(frames) / FPS, kind))
        return frames + shot
    count = 8
    head, tail = frames[:-count], frames[-count:]
    shares = (np.arange(count) + 1) / (count + 1)
    if kind == "dissolve":
        mixed = [(a * (1 - s) + b * s).astype(np.uint8) for a, b, s in zip(tail, shot[:count], shares, strict=True)]
    else:
        mixed = [(a * (1 - s)).astype(np.uint8) for a, s in zip(tail, shares, strict=True)]
        mixed += [np.zeros_like(tail[0])] * 2
        mixed += [(b * s).astype(np.uint8) for b, s in zip(shot[:count], shares, strict=True)]
    made.cuts.append(((len(head) + len(mixed) / 2) / FPS, kind))
    start, _, move, defect = made.shots[-1]
    made.shots[-1] = (start, len(head) / FPS, move, defect)
    made.shots.append((len(head) / FPS, (len(head) + len(mixed)) / FPS, "", "transition"))
    return head + mixed + shot[count:]


def compare(films: Sequence[Film], rows: Sequence[dict[str, Any]]) -> tuple[list[Line], list[tuple[str, str, str]]]:
    """What of the planted was found, and the planted and the measured move of every clip."""
    whole = {row["key"]: row for row in rows if row["parent"] is None}
    clips = [row for row in rows if row["parent"] is not None]
    found: dict[str, list[int]] = {"cut": [], "dissolve": [], "fade": []}
    false_cuts = false_at_flashes = flashes = 0
    moves: list[tuple[str, str, str]] = []
    caught: dict[str, list[bool]] = {"frozen": [], "borders": [], "copy": []}
    for made in films:
        shots = whole[made.name]["shots"] or []
        edges = [(a["end_s"], b["start_s"]) for a, b in itertools.pairwise(shots)]
        used: set[int] = set()
        for at, kind in made.cuts:
            slack = CUT_SLACK_S if kind == "cut" else GRADUAL_SLACK_S
            hit = next((i for i, (a, b) in enumerate(edges) if i not in used and a - slack <= at <= b + slack), None)
            found[kind].append(hit is not None)
            used |= {hit} if hit is not None else set()
        wrong = [edge for i, edge in enumerate(edges) if i not in used]
        false_cuts += len(wrong)
        flashes += len(made.flashes)
        false_at_flashes += sum(any(a - 0.3 <= at <= b + 0.3 for a, b in wrong) for at in made.flashes)
        for clip in clips:
            if not clip["key"].startswith(f"{made.name}#"):
                continue
            middle = (clip["span_start_s"] + clip["span_end_s"]) / 2
            shot = next((s for s in made.shots if s[0] <= middle < s[1]), None)
            if shot is None or shot[3] == "transition":
                continue
            if shot[3] in caught:
                caught[shot[3]].append(clip["tier"] != "gold")
            if not shot[3]:
                moves.append((clip["key"], shot[2], clip["camera_movement"] or ""))
    copied = [max(a, b) for a, b in _pairs(clips, films)]
    lines = [
        *(Line(f"{kind}s", len(hits), sum(hits)) for kind, hits in found.items()),
        Line("flashes that are no cut", flashes, flashes - false_at_flashes),
        Line("copied shots", len(copied), sum(copied), "one of two copies gave way"),
        Line("frozen shots", len(caught["frozen"]), sum(caught["frozen"]), "not gold"),
        Line("shots with borders", len(caught["borders"]), sum(caught["borders"]), "not gold"),
        Line("damaged files", 1, int(bool(whole["damaged"]["error"])), str(whole["damaged"]["error"] or "")[:70]),
        Line("camera moves named right", len(moves), sum(planted == said for _, planted, said in moves)),
        Line("cuts that are none", 0, false_cuts),
    ]
    return lines, moves


def _pairs(clips: Sequence[dict[str, Any]], films: Sequence[Film]) -> Iterable[tuple[bool, bool]]:
    """For each shot of the copied film whether its clip, and the copy's clip, is marked as a duplicate."""
    original, copy = (next(f for f in films if f.name == name) for name in ("film-1", "copy-of-film-1"))
    for shot in original.shots:
        marks = []
        for made in (original, copy):
            inside = [
                c for c in clips if c["key"].startswith(f"{made.name}#") and shot[0] <= (c["span_start_s"] + c["span_end_s"]) / 2 < shot[1]
            ]
            marks.append(any(c["is_duplicate"] for c in inside))
        yield marks[0], marks[1]


def describe_video(result: VideoDemoResult, width: int = 120) -> str:
    """The table, the moves that were named wrong, and where everything is."""
    text = io.StringIO()
    console = Console(file=text, width=width, highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for title, side in (("planted", "left"), ("there", "right"), ("found", "right"), ("", "left")):
        table.add_column(title, justify=side)  # type: ignore[arg-type]
    for line in result.lines:
        table.add_row(line.what, str(line.planted), str(line.found), line.note)
    console.print(table)
    for key, planted, said in result.moves:
        if planted != said:
            console.print(f"{key}: the camera's move is {planted}, measured as {said or 'none'}.", markup=False)
    console.print()
    console.print(", ".join(f"{count} {tier}" for tier, count in result.run.tiers.items()), markup=False)
    for what, where in (
        ("the films and what is in them", "labels.json"),
        ("the recipe, to change and run again", "recipe.yaml"),
        ("the lake", "lake"),
        ("the gold clips", "gold"),
    ):
        console.print(f"{what + ':':<37}{result.directory / where}", markup=False)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())
