"""Part `images`: the cheap pass over pictures of 640x480."""

from pathlib import Path

from benchmarks.pictures import make_pictures, warm
from benchmarks.scores.rows import Bench, Part, compare, ours, peer

SMALL = 64
OURS = "ingest, SHA-256, two perceptual hashes, eight measures, Parquet and commits; JPEG decoded at half scale"
RAY = "the same; the first blocks wait for Ray's workers, so a short run understates it"
DAFT = "decoding in full and one hash"
JUICER = "`image_deduplicator`: one hash, equal hashes dropped; time of the operator alone"
CLEANVISION = "blurry, dark, light, low information; time of `find_issues` alone"


def images(bench: Bench) -> Part:
    count, few, all_of = 5000 if bench.full else 2000, bench.scratch / "few", bench.scratch / "pictures"
    make_pictures(few, SMALL, 85)
    make_pictures(all_of, count, 85)
    warm(all_of)
    contenders = [
        ours("Goldsieve, inline", "images", all_of, "inline", small=(few, "inline"), differs=OURS),
        ours("Goldsieve, Ray", "images", all_of, "ray", differs=RAY),
    ]
    for tool, script, differs in (
        ("daft", "daft_hash.py", DAFT),
        ("Data-Juicer", "data_juicer_dedup.py", JUICER),
        ("cleanvision", "cleanvision_issues.py", CLEANVISION),
    ):
        contenders.append(peer(tool, tool.lower(), script, all_of, small=(script, few), differs=differs))
    given = f"{count:,} JPEGs of 640x480, {size(all_of) / count / 1000:.0f} kB each on average, in the page cache"
    return Part("images", "Cheap pass over pictures", "pictures/s", given, compare(bench, contenders))


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.jpg"))
