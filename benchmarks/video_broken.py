"""Broken videos: each ends with signals or a named error, their neighbours are unharmed, nothing hangs or crashes."""

import argparse
import random
import re
from pathlib import Path

import numpy as np

from benchmarks.broken_files import watched
from benchmarks.common import GOLDSIEVE, Checks, write_recipe
from manifests import open_lake
from operators.testing import encode, film, panning, picture

NAMED = re.compile(
    r"empty file|not a video|no video track|truncated or damaged mp4|no frame can be decoded|a single frame|implausible frame rate"
    r"|too large|time limit|the audio"
)
GOOD = 5


def planted(folder: Path, data: Path, fuzzed: int) -> dict[str, str]:
    """Writes the files; name -> what is wrong with it ("" for good ones, "fuzzed" where damage may or may not matter)."""
    folder.mkdir(parents=True)
    made: dict[str, bytes] = {}
    kinds: dict[str, str] = {}
    good = film(panning(24, seed=1), sound=np.zeros(16000, np.float32))

    def add(name: str, content: bytes, kind: str) -> None:
        made[name], kinds[name.rpartition(".")[0]] = content, kind

    for i in range(GOOD):
        add(f"good-{i}.mp4", film(panning(24, seed=i)), "")
    add("wrong-ending.avi", good, "")
    add("zero.mp4", b"", "empty")
    add("zeros.mp4", bytes(100_000), "no video")
    add("half.mp4", good[: len(good) // 2], "truncated")
    add("cut-short.mkv", film(panning(60, seed=6), format="matroska")[:9000], "cut short")
    add("one-frame.mp4", film(panning(1)), "one frame")
    add("audio-only.mp4", audio_only(), "no video")
    add("fast.mp4", film(panning(12), fps=20_000), "too fast")
    add("tag.mp4", good.replace(b"avc1", b"hvc1"), "wrong codec tag")
    add("unknown-tag.mp4", good.replace(b"avc1", b"zzzz"), "wrong codec tag")
    add("picture.mp4", encode(picture(64, 64)), "no video")
    add("text.mov", b"this is no film\n" * 999, "no video")
    add("playlist.mp4", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n" * 20, "no video")
    rng = random.Random(7)
    seeds = [good, film(panning(24, seed=3), format="matroska"), film(panning(24, seed=4), format="avi", codec="mpeg4")]
    seeds += [path.read_bytes() for path in sorted((data / "video").glob("carphone*.mp4"))]
    for number in range(fuzzed):
        content = bytearray(seeds[number % len(seeds)])
        for _ in range(rng.choice((1, 3, 20, 200))):
            content[rng.randrange(len(content))] = rng.randrange(256)
        if rng.random() < 0.2:
            at = rng.randrange(len(content))
            del content[at : at + rng.randrange(1, 2000)]
        add(f"fuzzed-{number:03d}.{('mp4', 'mkv', 'avi', 'mp4')[number % len(seeds)]}", bytes(content), "fuzzed")
    for name, content in made.items():
        (folder / name).write_bytes(content)
    return kinds


def audio_only() -> bytes:
    import io

    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=16000, layout="mono")
        for start in range(0, 16384, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 16000, start
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def broken(options: argparse.Namespace, scratch: Path, check: Checks) -> None:
    kinds = planted(scratch / "films", options.data, options.fuzzed)
    recipe = write_recipe(
        scratch / "recipe.yaml",
        lake=scratch / "lake",
        sources=[{"path": str(scratch / "films"), "kind": "video"}],
        operators=["video_facts", "shots", "clips", "motion", "light", "audio", "clip_hashes"],
        tiers={"gold": {"clip": "parent_id is not null"}},
    )
    command = [GOLDSIEVE, "run", str(recipe), "--engine", "inline", "--max-error-rate", "1"]
    code, _, err, seconds, peak = watched(command, 900)
    check("exit code", code, "0", code == 0)
    if code:
        print(err[-2000:])
        return
    with open_lake(scratch / "lake") as lake:
        whole = {row["key"]: row for row in lake.rows('SELECT key, "error", shot_count, video_damage FROM wide WHERE parent_id IS NULL')}
        clips = lake.rows("SELECT key, error, motion FROM wide WHERE parent_id IS NOT NULL AND starts_with(key, 'good')")
    good = [name for name, kind in kinds.items() if not kind]
    well = [name for name in good if whole[name]["error"] is None and whole[name]["shot_count"] == 1]
    check("good neighbours measured", f"{len(well)} of {len(good)}", "all", len(well) == len(good))
    check("their clips measured", sum(c["motion"] is not None for c in clips), str(len(clips)), all(c["motion"] is not None for c in clips))
    for name, kind in kinds.items():
        if kind and kind != "fuzzed":
            said = whole[name]["error"] or whole[name]["video_damage"] or "measured"
            print(f"      {name:<16}{kind:<18}{said}")
    must = [n for n, k in kinds.items() if k in ("empty", "no video", "truncated", "one frame", "too fast")]
    named = [n for n in must if NAMED.search(whole[n]["error"] or "")]
    check("broken files with a named error", f"{len(named)} of {len(must)}", "all", len(named) == len(must))
    fuzzed = [n for n, k in kinds.items() if k == "fuzzed"]
    failed = [n for n in fuzzed if whole[n]["error"]]
    other = sorted({whole[n]["error"] for n in failed if not NAMED.search(whole[n]["error"])})
    print(f"      fuzzed: {len(fuzzed)}, errors {len(failed)}, damage noted {sum(bool(whole[n]['video_damage']) for n in fuzzed)}")
    check("fuzzed files without a named error", len(other), "0", not other)
    print("\n".join(f"      {text}" for text in other[:10]))
    check("seconds", f"{seconds:.0f}", "< 900", seconds < 900)
    check("peak memory", f"{peak / 2**30:.2f} GiB", "< 1.5 GiB", peak < 1.5 * 2**30)
