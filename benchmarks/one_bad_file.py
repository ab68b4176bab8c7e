"""One corrupt JPEG among 3,000 costs one sample, with a named error, and no other sample any signal.

python -m benchmarks.one_bad_file [--files 3000] [--folder DIR]
"""

import argparse
import io
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import Checks, goldsieve, write_recipe
from manifests import open_lake

BAD = 1234
OPERATORS = ["media_facts", "phash", "image_quality", "caption_quality", "exact_duplicates", "near_duplicates"]


def make_pictures(folder: Path, files: int) -> str:
    """Distinct JPEGs with captions; the body of one is overwritten in the middle and cut. Returns its name."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(3)
    bad = min(BAD, files - 1)
    for n in range(files):
        out = io.BytesIO()
        coarse = random.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC).save(out, "JPEG", quality=88)
        data = out.getvalue()
        if n == bad:
            middle = len(data) // 2
            data = data[:middle] + random.bytes(200)
        (folder / f"{n:05d}.jpg").write_bytes(data)
        (folder / f"{n:05d}.txt").write_text(f"a made picture with the number {n} on a shelf")
    return f"{bad:05d}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=3000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="one-bad-"))
    bad = make_pictures(folder / "pictures", options.files)
    check = Checks()
    for engine in ("inline", "ray"):
        lake_folder = folder / engine / "lake"
        recipe = write_recipe(folder / engine / "recipe.yaml", lake=lake_folder, sources=[{"path": str(folder / "pictures")}])
        ran = goldsieve("run", recipe, "--engine", engine)
        check(f"{engine}: exit code", ran.code, "0", ran.code == 0)
        with open_lake(lake_folder) as lake:
            joins = " ".join(
                f"JOIN signal_{name} t{i} ON t{i}.key = w.{key} AND t{i}.error IS NULL"
                for i, (name, key) in enumerate(
                    zip(OPERATORS, ("media_hash", "media_hash", "media_hash", "caption_hash", "sample_id", "sample_id"), strict=True)
                )
            )
            whole = (
                "w.error IS NULL AND w.phash IS NOT NULL AND w.sharpness IS NOT NULL AND w.brightness IS NOT NULL "
                "AND w.contrast IS NOT NULL AND w.entropy IS NOT NULL AND w.bytes_per_pixel IS NOT NULL "
                "AND w.caption_words IS NOT NULL AND w.is_duplicate IS NOT NULL"
            )
            complete = lake.value(f"SELECT count(*) FROM wide w {joins} WHERE {whole}")
            failed = lake.rows('SELECT key, "error" FROM wide WHERE "error" IS NOT NULL')
            rejected = lake.value("SELECT count(*) FROM wide WHERE tier = 'rejected'")
        check(f"{engine}: samples with every signal", complete, f"{options.files - 1}", complete == options.files - 1)
        named = len(failed) == 1 and failed[0]["key"].startswith(bad)
        check(f"{engine}: samples with an error, and it is the corrupt one", len(failed), "1", named)
        check(f"{engine}: samples rejected", rejected, "1", rejected == 1)
        for row in failed[:3]:
            print(f"      {row['key']}: {row['error']}")
    check.end()


if __name__ == "__main__":
    main()
