"""The video demo: films with known cuts, moves and defects, the whole pipeline over them, and what of it was caught and missed."""

import io
import itertools
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from manifests import open_lake
from pipelines.demo_films import Film, build_films
from pipelines.engine import EngineName
from pipelines.progress import Reporter
from pipelines.recipe import load_recipe
from pipelines.run import RunResult, run_recipe

CUT_SLACK_S = 0.2
GRADUAL_SLACK_S = 0.4


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
