"""Camera movement on clips rendered from photographs with known moves; shot size on crops with and without a person.

Half of the clips are plain; of the other half each has a part of another photograph that moves by itself over about a sixth of the
picture, and a hand that shakes by 2 pixels (standard deviation, 640 x 360).
"""

import argparse
import random
from collections import Counter
from pathlib import Path

import av
import cv2
import numpy as np

from benchmarks.common import Checks
from operators.testing import MediaRow
from operators.video.camera_movement import CameraMovement
from operators.video.media import VideoMedia
from operators.video.source import VideoFile

WIDTH, HEIGHT, FPS, SECONDS = 640, 360, 15, 2.4
MOVES = ("static", "pan_left", "pan_right", "tilt_up", "tilt_down", "zoom_in", "zoom_out", "roll", "complex", "handheld")


def photographs(data: Path) -> list[np.ndarray]:
    found = [cv2.imread(str(path)) for path in sorted((data / "photos").glob("*"))]
    return [cv2.cvtColor(p, cv2.COLOR_BGR2RGB) for p in found if p is not None and min(p.shape[:2]) >= 330]


def path_of(move: str, rng: random.Random, frames: int) -> np.ndarray:
    """(frames, 4): the view's place in widths to the right and down, logarithm of its magnification, its turn in radians."""
    speed = rng.uniform(0.04, 0.14)  # widths a second
    time = np.arange(frames) / FPS
    sign = {"pan_left": -1, "tilt_up": -1, "zoom_out": -1}.get(move, 1)
    path = np.zeros((frames, 4))
    if move.startswith("pan"):
        path[:, 0] = sign * speed * time
    elif move.startswith("tilt"):
        path[:, 1] = sign * speed * 0.6 * time
    elif move.startswith("zoom"):
        path[:, 2] = sign * speed * 1.6 * time
    elif move == "roll":
        path[:, 3] = rng.choice((-1, 1)) * np.radians(rng.uniform(5, 14)) * time
    elif move == "complex":
        path[:, 0] = rng.choice((-1, 1)) * speed * time
        path[:, 2] = rng.choice((-1, 1)) * speed * rng.uniform(2.4, 3.4) * time
    elif move == "handheld":
        rates = rng.uniform(1.6, 3.0), rng.uniform(1.6, 3.0)
        for axis, rate in enumerate(rates):
            path[:, axis] = rng.uniform(0.008, 0.014) * np.sin(2 * np.pi * rate * time + rng.uniform(0, 6))
    return path


def render(path: Path, move: str, photo: np.ndarray, other: np.ndarray, rng: random.Random, disturbed: bool) -> None:
    frames = round(SECONDS * FPS)
    way = path_of(move, rng, frames)
    way[:, :2] -= way[:, :2].mean(axis=0)
    way[:, 2] -= way[:, 2].mean()
    noise = np.random.default_rng(rng.randint(0, 1 << 30))
    if disturbed:
        way[:, :2] += noise.normal(0, 2 / WIDTH, (frames, 2))
    height, width = photo.shape[:2]
    window = min(width / WIDTH, height / HEIGHT) / 1.45
    side = round(HEIGHT * 0.55)
    thing = cv2.resize(other, (side, side), interpolation=cv2.INTER_AREA)
    at, velocity = np.array([rng.uniform(0.1, 0.6) * WIDTH, rng.uniform(0.1, 0.4) * HEIGHT]), noise.normal(0, 60, 2)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt, stream.options = WIDTH, HEIGHT, "yuv420p", {"crf": "23", "preset": "veryfast"}
        for i in range(frames):
            scale = window / np.exp(way[i, 2])
            cos, sin = np.cos(way[i, 3]) * scale, np.sin(way[i, 3]) * scale
            middle = np.array([width / 2, height / 2]) + way[i, :2] * WIDTH * window
            # From a point of the frame to the photograph; a camera that rolls clockwise sees the world turn the other way.
            matrix = np.array([[cos, -sin, middle[0]], [sin, cos, middle[1]]])
            matrix[:, 2] -= matrix[:, :2] @ np.array([WIDTH / 2, HEIGHT / 2])
            flags = cv2.INTER_AREA | cv2.WARP_INVERSE_MAP
            shown = cv2.warpAffine(photo, matrix, (WIDTH, HEIGHT), flags=flags, borderMode=cv2.BORDER_REFLECT)
            if disturbed:
                x, y = (at + velocity * i / FPS).round().astype(int)
                x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + side, WIDTH), min(y + side, HEIGHT)
                if x1 > x0 and y1 > y0:
                    shown[y0:y1, x0:x1] = thing[y0 - y : y1 - y, x0 - x : x1 - x]
            shown = np.clip(shown + noise.normal(0, 1.5, (HEIGHT, WIDTH, 1)), 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(shown, "rgb24")))
        out.mux(stream.encode(None))


def camera(options: argparse.Namespace, scratch: Path, check: Checks) -> None:
    photos, rng = photographs(options.data), random.Random(options.seed)
    right: Counter[bool] = Counter()
    total: Counter[bool] = Counter()
    confused: Counter[tuple[str, str]] = Counter()
    operator = CameraMovement()
    for number in range(options.clips):
        move, disturbed = MOVES[number % len(MOVES)], number // len(MOVES) % 2 == 1
        path = scratch / "clip.mp4"
        render(path, move, *rng.sample(photos, 2), rng, disturbed)
        said = operator._measure(MediaRow({}, VideoMedia(VideoFile(str(path)))))
        total[disturbed] += 1
        right[disturbed] += said.get("camera_movement") == move
        if said.get("camera_movement") != move:
            confused[move, str(said.get("camera_movement"))] += 1
            if options.verbose:
                values = {k: round(float(v), 4) for k, v in said.items() if not isinstance(v, str)}
                print(move, disturbed, said.get("camera_movement"), values)
    for disturbed in (False, True):
        what, least = ("moves named right, with an object and shake", 0.85) if disturbed else ("moves named right, plain", 0.92)
        share = right[disturbed] / max(1, total[disturbed])
        check(what, f"{right[disturbed]} of {total[disturbed]} ({share:.3f})", f">= {least}", share >= least)
    print("taken for another:", ", ".join(f"{a} for {b}: {n}" for (a, b), n in confused.most_common()))


def size(options: argparse.Namespace, scratch: Path, check: Checks) -> None:
    """Crops around the faces of portraits, of known height, and pictures of things at known distance."""
    import skimage.data

    from operators.mtcnn import load_detector
    from operators.video.shot_size import FACE_HEIGHT, SIZES, size_of_face

    picture = skimage.data.astronaut()
    detect = load_detector(0.04, 0.97)
    box = detect(picture)[0].box
    middle, face = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), box[3] - box[1]
    right = asked = 0
    for wanted in np.geomspace(0.03, 0.8, 24):
        frame = face / wanted
        canvas = cv2.copyMakeBorder(picture, 4000, 4000, 4000, 4000, cv2.BORDER_REFLECT)
        x0, y0 = round(middle[0] + 4000 - frame * 8 / 9), round(middle[1] + 4000 - frame / 2)
        crop = canvas[max(0, y0) : y0 + round(frame), max(0, x0) : x0 + round(frame * 16 / 9)]
        # Everything but the middle is blurred, or the mirrored border would show more faces.
        blurred = cv2.GaussianBlur(cv2.resize(crop, (1280, 720), interpolation=cv2.INTER_AREA), (0, 0), 25)
        sharp = cv2.resize(crop, (1280, 720), interpolation=cv2.INTER_AREA)
        keep = np.zeros((720, 1280), np.uint8)
        cv2.ellipse(keep, (640, 360), (round(720 * wanted * 0.7) + 8, round(720 * wanted * 0.9) + 8), 0, 0, 360, 255, -1)
        shown = np.where(keep[..., None] > 0, sharp, blurred)
        faces = detect(np.ascontiguousarray(shown))
        truth = size_of_face(wanted)
        near = min(abs(np.log(wanted / edge)) for edge in FACE_HEIGHT) < 0.08  # on the border of two sizes either will do
        said = size_of_face((faces[0].box[3] - faces[0].box[1]) / 720) if faces else "no face"
        asked += 1
        right += said == truth or (near and said in SIZES)
        print(f"face of {wanted:.3f} of the height: {truth:<18} said {said}")
    check("shot sizes by faces right (reported)", f"{right} of {asked}", "", True)
