"""Videos whose transitions are known: made from photographs and real clips, with what is easily taken for a cut.

`make(folder, seed, materials)` writes one video of about half a minute and returns what is in it.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

WIDTH, HEIGHT, FPS = 640, 360, 25
Shot = Callable[[int], np.ndarray]
"""Frame ``i`` of a shot: (360, 640, 3) float32, 0-255."""


@dataclass
class Truth:
    """``hard``: first frames of new shots; ``gradual``: (first, last) of transitions that take time; ``flashes``: (first, last).
    ``ignored``: cuts that nobody sees (see `benchmarks.video_shots`)."""

    path: str
    frames: int = 0
    hard: list[int] = field(default_factory=list)
    gradual: list[tuple[int, int, str]] = field(default_factory=list)
    flashes: list[tuple[int, int, str]] = field(default_factory=list)
    ignored: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Materials:
    """``photos``: pictures (h, w, 3), RGB; ``clips``: sequences of frames of one shot each."""

    photos: Sequence[np.ndarray]
    clips: Sequence[Sequence[np.ndarray]]


def load_materials(data: Path, half: int) -> Materials:
    """Every second photograph, and all frames of the real shots (the same in both halves: there are few)."""
    photos = []
    for path in sorted((data / "photos").glob("*"))[half::2]:
        picture = cv2.imread(str(path))
        if picture is not None and min(picture.shape[:2]) >= 300:
            photos.append(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
    clips = []
    for name, first, last in (
        ("carphone_pristine.mp4", 0, 120),
        ("bikes.mp4", 30, 76),
        ("bikes.mp4", 76, 137),
        ("bikes.mp4", 187, 240),
        ("goldeneye-vfr-drop3.mp4", 60, 140),
    ):
        with av.open(str(data / "video" / name)) as container:
            frames = [f.to_ndarray(format="rgb24") for i, f in enumerate(container.decode(video=0)) if first <= i < last]
        clips.append([fit(f) for f in frames])
    return Materials(photos, clips)


def fit(picture: np.ndarray) -> np.ndarray:
    """The middle of a picture at 640 x 360."""
    height, width = picture.shape[:2]
    scale = max(WIDTH / width, HEIGHT / height)
    grown = cv2.resize(picture, (round(width * scale + 0.5), round(height * scale + 0.5)), interpolation=cv2.INTER_AREA)
    top, left = (grown.shape[0] - HEIGHT) // 2, (grown.shape[1] - WIDTH) // 2
    return grown[top : top + HEIGHT, left : left + WIDTH]


def photo_shot(photo: np.ndarray, rng: random.Random, length: int, whip: bool) -> Shot:
    """A camera that moves over a photograph: slowly, or so fast that everything changes within half a second."""
    height, width = photo.shape[:2]
    zoom = rng.uniform(1.25, 2.2) if whip else rng.uniform(1.05, 1.5)
    window = min(width / WIDTH, height / HEIGHT) / zoom
    centre = np.array([rng.uniform(0.35, 0.65) * width, rng.uniform(0.35, 0.65) * height])
    drift = np.array([rng.uniform(-1, 1), rng.uniform(-0.5, 0.5)]) * WIDTH * window * (0.0 if rng.random() < 0.3 else 0.12)
    grow = rng.uniform(-0.08, 0.08)
    sweep_at, sweep = rng.randint(length // 4, length // 2), rng.choice((-1, 1)) * 0.7 * WIDTH * window
    grain = np.random.default_rng(rng.randint(0, 1 << 30)).standard_normal((4, HEIGHT, WIDTH, 1), np.float32) * 1.5

    def frame(i: int) -> np.ndarray:
        share = i / max(length - 1, 1)
        at = centre + drift * (share - 0.5)
        if whip:
            at = at + np.array([sweep * (np.clip((i - sweep_at) / 9, 0, 1) - 0.5), 0])
        scale = window * (1 + grow * share)
        matrix = np.array([[scale, 0, at[0] - scale * WIDTH / 2], [0, scale, at[1] - scale * HEIGHT / 2]])
        shown = cv2.warpAffine(photo, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT)
        return shown.astype(np.float32) + np.roll(grain[i % 4], 37 * i, axis=1)

    return frame


def clip_shot(frames: Sequence[np.ndarray], rng: random.Random) -> Shot:
    begin, mirrored = rng.randint(0, max(0, len(frames) - 40)), rng.random() < 0.5
    used = frames[begin:]

    def frame(i: int) -> np.ndarray:
        at = i % (2 * len(used) - 2)  # there and back again
        shown = used[at if at < len(used) else 2 * len(used) - 2 - at]
        return (shown[:, ::-1] if mirrored else shown).astype(np.float32)

    return frame


def flash(rng: random.Random, length: int) -> tuple[int, np.ndarray, str]:
    """Where in a shot it begins, the light added to each frame (0-1), and its kind."""
    if rng.random() < 0.6:
        peak, spread = rng.uniform(0.5, 1.0), rng.randint(1, 4)
        light = peak * np.exp(-np.arange(spread + 2) / rng.uniform(0.6, 1.6))
        kind = "camera flash"
    else:
        rise, fall = rng.randint(1, 3), rng.randint(10, 30)
        light = rng.uniform(0.5, 0.95) * np.concatenate([np.linspace(0.5, 1, rise), np.exp(-np.arange(fall) / (fall / 3))])
        kind = "explosion"
    light = light[light > 0.03]
    return rng.randint(8, max(9, length - len(light) - 8)), light, kind


def lit(picture: np.ndarray, light: float, kind: str, glow: np.ndarray) -> np.ndarray:
    tint = np.array([255, 255, 255] if kind == "camera flash" else [255, 190, 110], np.float32)
    return picture * (1 + light) + light * glow[..., None] * tint


def make(folder: Path, seed: int, materials: Materials) -> Truth:
    """One video and its truth, both kept: a second call reads what the first wrote."""
    path = folder / f"truth-{seed:04d}.mp4"
    note = path.with_suffix(".json")
    if note.exists():
        said: dict[str, Any] = json.loads(note.read_text())
        return Truth(**said)
    rng = random.Random(seed)
    truth = Truth(str(path))
    yy, xx = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "23", "preset": "veryfast"}

        def write(picture: np.ndarray) -> None:
            made = np.clip(picture, 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(made, "rgb24")))
            truth.frames += 1

        tail: list[np.ndarray] = []  # the end of the shot before, to be mixed with the next
        pending, kept = "cut", None
        shots = 14
        for number in range(shots):
            length = rng.randint(24, 90)
            if kept is not None and rng.random() < 0.15:
                shot: Shot = kept  # back to an earlier shot
            elif rng.random() < 0.25:
                shot = clip_shot(rng.choice(materials.clips), rng)
            else:
                shot = photo_shot(rng.choice(materials.photos), rng, length, whip=rng.random() < 0.15)
            before, kept = kept, shot
            if rng.random() < 0.3 and before is not None:
                kept = before
            frames = [shot(i) for i in range(length)]
            if rng.random() < 0.5:
                at, light, kind = flash(rng, length)
                where = np.exp(-(((xx - rng.uniform(0, WIDTH)) / WIDTH) ** 2 + ((yy - rng.uniform(0, HEIGHT)) / HEIGHT) ** 2) * 1.5)
                for i, amount in enumerate(light):
                    if at + i < length:
                        frames[at + i] = lit(frames[at + i], float(amount), kind, where)
                flashed = (at, min(at + len(light), length), kind)
            else:
                flashed = None
            begins = truth.frames - 0
            if pending == "cut":
                for picture in tail:
                    write(picture)
                begins = truth.frames
                if number:
                    truth.hard.append(begins)
                offset = 0
            elif pending == "dissolve":
                count = min(len(tail), length // 2)
                for picture in tail[: len(tail) - count]:
                    write(picture)
                begins = truth.frames
                for i in range(count):
                    share = (i + 1) / (count + 1)
                    write(tail[len(tail) - count + i] * (1 - share) + frames[i] * share)
                truth.gradual.append((begins, truth.frames, "dissolve"))
                offset = count
            else:
                ground = 0.0 if pending == "fade black" else 255.0
                count = len(tail)
                begins_fade = truth.frames
                for i, picture in enumerate(tail):
                    share = (i + 1) / count
                    write(picture * (1 - share) + ground * share)
                for _ in range(rng.randint(0, 8)):
                    write(np.full((HEIGHT, WIDTH, 3), ground, np.float32))
                rise = min(count, length // 2)
                begins = truth.frames
                for i in range(rise):
                    share = (i + 1) / rise
                    write(frames[i] * share + ground * (1 - share))
                truth.gradual.append((begins_fade, truth.frames, pending))
                offset = rise
            if flashed and flashed[0] >= offset:
                truth.flashes.append((begins + flashed[0], begins + flashed[1], flashed[2]))
            pending = (
                rng.choices(("cut", "dissolve", "fade black", "fade white"), (0.62, 0.2, 0.1, 0.08))[0] if number < shots - 1 else "cut"
            )
            held = 0 if pending == "cut" else min(rng.randint(8, 30), (length - offset) // 2)
            if flashed and flashed[1] > length - held:
                held, pending = 0, "cut"  # a flash within a transition would be neither
            if held < 6 and pending != "cut":
                held, pending = 0, "cut"
            for picture in frames[offset : length - held]:
                write(picture)
            tail = frames[length - held :]
        for picture in tail:
            write(picture)
        out.mux(stream.encode(None))
    note.write_text(json.dumps(asdict(truth)))
    return truth
