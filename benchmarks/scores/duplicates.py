"""Part `duplicates`: copies planted among photographs; how fast they are found, how many, and what else is dropped."""

import io
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import DATA
from benchmarks.dedup_pictures import EDITS, jpeg, photographs
from benchmarks.dedup_quality import SAME_SCENE
from benchmarks.scores.rows import Bench, Part, Row, compare, left_out, ours, peer

ORIGINALS, COPIED = 2400, 40
"""Of each of the copied pictures one copy a kind of edit is planted."""


def duplicates(bench: Bench) -> Part:
    few, all_of = bench.scratch / "few", bench.scratch / "planted"
    some, more = (4800, 200) if bench.full else (ORIGINALS, COPIED)
    originals = photographs(DATA) if (DATA / "flickr8k").is_dir() else made(some)
    plant(few, dict(list(originals.items())[:64]), 4)
    planted = plant(all_of, dict(list(originals.items())[:some]), more)
    kind = "photographs of Flickr8k, 224x224" if (DATA / "flickr8k").is_dir() else "made pictures (the evaluation data is not here)"
    given = f"{min(some, len(originals)):,} {kind}, and {planted:,} copies of {more} of them, {len(EDITS)} kinds of edit, in one folder"
    ours_differs, strong = "hashes: phash within 10 and dhash within 12 bits", "also key points, and embeddings of `starter`"
    contenders = [
        ours("Goldsieve", "duplicates", all_of, "default", small=(few, "default"), differs=ours_differs),
        ours("Goldsieve, strong", "duplicates", all_of, "strong", small=(few, "strong"), differs=strong),
        peer("imagededup", "data-juicer", "dedup_folder.py", "imagededup", all_of, differs="phash within 10 bits, all pairs compared"),
        peer("fastdup", "fastdup", "fastdup_pairs.py", all_of, differs="its embeddings, similarity 0.9; groups are connected pairs"),
        peer("Data-Juicer", "data-juicer", "dedup_folder.py", "data-juicer", all_of, differs="equal phash only"),
    ]
    rows: tuple[Row, ...] = compare(bench, contenders, score=lambda found: scored(found["pairs"], sorted(all_of.iterdir())))
    rows += left_out({"imagededup, CNN": "not run: its model is downloaded when it is first used, not possible offline"})
    notes = (
        "Copies found: of each group of a picture and its copies all but one should go; the share that does. Wrongly dropped: unlike "
        "pictures that would go with them.",
    )
    return Part("duplicates", "Planted copies", "pictures/s", given, rows, notes)


def made(count: int) -> dict[str, bytes]:
    """Distinct smooth random pictures, 224x224, where there are no photographs."""
    random = np.random.default_rng(11)
    coarse = random.integers(0, 256, (count, 14, 14, 3), dtype=np.uint8)
    return {f"made{n:06d}": jpeg(Image.fromarray(one).resize((224, 224), Image.Resampling.BICUBIC)) for n, one in enumerate(coarse)}


def plant(folder: Path, originals: Mapping[str, bytes], copied: int) -> int:
    """Write the pictures, and a copy a kind of edit of some of them; the number of copies. Names are PICTURE--NUMBER OF THE EDIT."""
    folder.mkdir()
    for stem, data in originals.items():
        (folder / f"{stem}--00.jpg").write_bytes(data)
    stems = list(originals)[:: max(1, len(originals) // copied)][:copied]
    for stem in stems:
        image = Image.open(io.BytesIO(originals[stem])).convert("RGB")
        for number, edit in enumerate(EDITS.values(), 1):
            data = edit(image)
            (folder / f"{stem}--{number:02d}.{'webp' if data[:4] == b'RIFF' else 'jpg'}").write_bytes(data)
    return len(stems) * len(EDITS)


def scored(pairs: Iterable[tuple[str, str]], paths: Iterable[Path]) -> dict[str, str]:
    """Recall, and how many unlike pictures would go, when one of each group of connected pairs is kept."""
    group: dict[str, str] = {path.stem: path.stem for path in paths}

    def root(name: str) -> str:
        while group[name] != name:
            name = group[name]
        return name

    for one, two in pairs:
        one, two = (os.path.basename(name).partition(".")[0] for name in (one, two))
        if {one.partition("--")[0], two.partition("--")[0]} not in SAME_SCENE:
            group[root(one)] = root(two)
    pictures: dict[str, set[str]] = defaultdict(set)  # groups a picture's files are in
    together: dict[str, set[str]] = defaultdict(set)  # pictures a group has
    for name in group:
        stem = name.partition("--")[0]
        pictures[stem].add(root(name))
        together[root(name)].add(stem)
    copies = len(group) - len(pictures)
    missed = sum(len(groups) - 1 for groups in pictures.values())
    wrong = sum(len(stems) - 1 for stems in together.values())
    return {"copies found": f"{1 - missed / copies:.1%}", "wrongly dropped": str(wrong)}
