"""Part `images`: the cheap pass over pictures of 640x480."""

from pathlib import Path

from benchmarks.pictures import make_pictures, warm
from benchmarks.programs import ONE_THREAD
from benchmarks.scores.rows import Bench, Contender, Part, compare, ours

SMALL = 64


def images(bench: Bench) -> Part:
    count, few, all_of = 5000 if bench.full else 2000, bench.scratch / "few", bench.scratch / "pictures"
    make_pictures(few, SMALL, 85)
    make_pictures(all_of, count, 85)
    warm(all_of)
    pictures = f"{count:,} JPEGs of 640x480, {size(all_of) / count / 1000:.0f} kB each on average, in the page cache"
    hashes = "ingest, SHA-256, two perceptual hashes, eight measures, Parquet and commits; JPEG decoded at half scale"
    contenders = [
        ours("Goldsieve, inline", "images", all_of, "inline", small=(few, "inline"), differs=hashes),
        ours("Goldsieve, Ray", "images", all_of, "ray", differs="the same; the first blocks wait for Ray's workers, so a short run understates it"),
        Contender("daft", ("daft_hash.py", str(all_of)), "daft", small=("daft_hash.py", str(few)), differs="decoding and one hash only"),
        Contender(
            "Data-Juicer",
            ("data_juicer_dedup.py", str(all_of)),
            "data-juicer",
            small=("data_juicer_dedup.py", str(few)),
            variables=ONE_THREAD,
            differs="`image_deduplicator`: one hash, equal hashes dropped; time of the operator alone",
        ),
        Contender(
            "cleanvision",
            ("cleanvision_issues.py", str(all_of)),
            "cleanvision",
            small=("cleanvision_issues.py", str(few)),
            variables=ONE_THREAD,
            differs="blurry, dark, light, low information; time of `find_issues` alone",
        ),
    ]
    return Part("images", "Cheap pass over pictures", "pictures/s", pictures, compare(bench, contenders))


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.jpg"))
