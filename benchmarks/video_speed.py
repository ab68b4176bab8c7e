"""How fast shots and the full clip pass are at 1280 x 720, beside raw decoding and PySceneDetect; memory over hours of video."""

import argparse
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av

from benchmarks.common import GOLDSIEVE, Checks, memory, tree, write_recipe
from manifests import open_lake

ROUNDS = 3
TIERS = {"gold": {"clip": "parent_id is not null"}}


def loop(source: Path, target: Path, seconds: float) -> float:
    """The packets of ``source`` again and again; the length reached."""
    with av.open(str(source)) as given, av.open(str(target), "w") as out:
        stream = given.streams.video[0]
        copy = out.add_stream_from_template(stream)
        offset = 0
        while float(offset * stream.time_base) < seconds:
            given.seek(0, stream=stream)
            last = 0
            for packet in given.demux(stream):
                if packet.dts is None:
                    continue
                last = max(last, packet.pts + (packet.duration or 0))
                packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, copy
                out.mux(packet)
            offset += last
        return float(offset * stream.time_base)


def raw_decode(path: str, threads: int = 2) -> int:
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "AUTO" if threads > 1 else "NONE", threads
        return sum(1 for _ in container.decode(stream))


def raw_decode_twice(path: str) -> int:
    """Two decoders of a thread each, the whole film in each: the most that two processors can decode."""
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(raw_decode, [path] * 2, [1] * 2))


def our_shots(path: str) -> int:
    import cv2
    import pyarrow as pa

    from operators.base import Batch
    from operators.testing import MediaRow
    from operators.video.media import VideoMedia
    from operators.video.shots import Shots
    from operators.video.source import VideoFile

    operator = Shots()
    media = VideoMedia(VideoFile(path), None, operator.reads.views, threads=2)
    batch = Batch(pa.table({"row": [0]}), [MediaRow({}, media)])
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # as a pass does
    try:
        return int(operator.open()(batch)["decoded_frames"][0].as_py())
    finally:
        cv2.setNumThreads(threads)


def plain_pyscenedetect(path: str) -> int:
    import scenedetect

    scenes = scenedetect.detect(path, scenedetect.AdaptiveDetector())
    return scenes[-1][1].frame_num if scenes else 0


def best(run: Callable[[str], int], path: str, times: dict[str, list[float]], name: str) -> None:
    began = time.perf_counter()
    frames = run(path)
    times.setdefault(name, []).append(frames / (time.perf_counter() - began) if frames else 0.0)


def speed(options: argparse.Namespace, scratch: Path, check: Checks) -> None:
    source = options.data / "video" / "testvideo.mp4"
    film = scratch / "films" / "film.mp4"
    film.parent.mkdir()
    length = loop(source, film, 96)
    frames = raw_decode(str(film))
    import scenedetect  # noqa: F401  (not part of the time of the first that uses it)

    times: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        best(raw_decode, str(film), times, "raw decode")
        best(raw_decode_twice, str(film), times, "raw decode, two at once")
        best(our_shots, str(film), times, "shots")
        best(lambda path: plain_pyscenedetect(path) or frames, str(film), times, "PySceneDetect adaptive")
    median = {name: sorted(found)[len(found) // 2] for name, found in times.items()}
    for name, fps in median.items():
        print(f"      {name:<30}{fps:>8.0f} frames/s   {fps / median['raw decode']:.2f} of raw decode")
    check(
        "shots, share of raw decode speed (720p H.264)",
        f"{median['shots'] / median['raw decode']:.2f}",
        ">= 0.90",
        median["shots"] >= 0.9 * median["raw decode"],
    )

    recipe = write_recipe(
        scratch / "recipe.yaml",
        lake=scratch / "lake",
        sources=[{"path": str(film.parent), "kind": "video"}],
        operators=["video_facts", "shots", "clips"],
        tiers=TIERS,
    )
    run_goldsieve(recipe)
    clip_pass = ["motion", "camera_movement", "light", "video_quality", "audio", "clip_hashes", "frame_embeddings", "video_aesthetic"]
    operators = ["video_facts", "shots", "clips", *clip_pass]
    recipe = write_recipe(
        scratch / "recipe.yaml",
        lake=scratch / "lake",
        sources=[{"path": str(film.parent), "kind": "video"}],
        operators=operators,
        tiers=TIERS,
    )
    began = time.perf_counter()
    run_goldsieve(recipe)
    seconds = time.perf_counter() - began
    with open_lake(scratch / "lake") as lake:
        clips = lake.rows("SELECT count(*) AS n, sum(duration_s) AS s, count(motion) AS measured FROM wide WHERE parent_id IS NOT NULL")[0]
    print(f"      {clips['n']} clips of {clips['s']:.0f} s out of {length:.0f} s in {seconds:.1f} s with start-up: {', '.join(clip_pass)}")
    check("full clip pass on 8 frames, times real time", f"{clips['s'] / seconds:.1f}", ">= 5", clips["s"] >= 5 * seconds)
    check("every clip measured", f"{clips['measured']} of {clips['n']}", "all", clips["measured"] == clips["n"] > 0)


def run_goldsieve(recipe: Path) -> None:
    subprocess.run([GOLDSIEVE, "run", str(recipe), "--engine", "inline", "--max-error-rate", "1", "-q"], check=True, capture_output=True)


def memory_of_hours(options: argparse.Namespace, scratch: Path, check: Checks) -> None:
    films = scratch / "films"
    films.mkdir()
    length = loop(options.data / "video" / "testvideo.mp4", films / "long.mp4", options.hours * 3600)
    recipe = write_recipe(
        scratch / "recipe.yaml",
        lake=scratch / "lake",
        sources=[{"path": str(films), "kind": "video"}],
        operators=["video_facts", "shots", "clips"],
        tiers=TIERS,
    )
    peak, began = 0, time.perf_counter()
    with subprocess.Popen([GOLDSIEVE, "run", str(recipe), "--engine", "inline"]) as process:
        while process.poll() is None:
            peak = max(peak, memory(list(tree(process.pid))))
            time.sleep(0.5)
    seconds = time.perf_counter() - began
    with open_lake(scratch / "lake") as lake:
        found = lake.rows(
            "SELECT max(shot_count) AS shots, count(*) FILTER (parent_id IS NOT NULL) AS clips, max(decoded_s) AS s FROM wide"
        )[0]
    print(f"      {length / 3600:.2f} hours in {seconds:.0f} s: {found}")
    check("peak memory", f"{peak / 2**30:.2f} GiB", "< 1.5 GiB", peak < 1.5 * 2**30)
    check("all of it decoded", f"{found['s']:.0f} s", f"{length:.0f} s", abs(found["s"] - length) < 1)
