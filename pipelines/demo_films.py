"""The films of the video demo, made of packaged pictures, with cuts, moves and defects that are known."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from operators.testing import film
from pipelines.demo_pictures import PICTURES

WIDTH, HEIGHT, FPS = 384, 216, 12
"""Size in pixels, frames a second."""
Frames = list[npt.NDArray[np.uint8]]
"""Each of shape (height, width, 3), RGB."""
MOVES = ("static", "pan_right", "zoom_in", "tilt_down", "pan_left", "zoom_out", "tilt_up")


@dataclass
class Film:
    """A film that was made: ``cuts``: (seconds, kind) of its transitions; ``shots``: (start, end, move, defect) of what lies between."""

    name: str
    cuts: list[tuple[float, str]] = field(default_factory=list)
    shots: list[tuple[float, float, str, str]] = field(default_factory=list)
    flashes: list[float] = field(default_factory=list)
    defect: str = ""


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
    """A video and its caption. One that is there already keeps its time of change, so that it is not measured again."""
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
    """The frame with black bars above and below."""
    made = frame.copy()
    made[:28] = made[-28:] = 0
    return made


def joined(frames: Frames, shot: Frames, kind: str, made: Film) -> Frames:
    """``frames`` and the shot after them, joined by a transition of this kind, which is noted in ``made``."""
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
