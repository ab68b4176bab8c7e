"""Inline and Ray give the same manifest and the same shards; a second run does nothing; one more tar is all that is measured.

python -m benchmarks.equality [--tars '../shared/data/flickr8k/*.tar'] [--folder DIR]
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

from benchmarks.common import DATA, Checks, differing, files, goldsieve, lake_content, write_recipe
from manifests import open_lake


def measured(lake: Path) -> int:
    """Samples that the last run measured in passes over media, largest pass."""
    with open_lake(lake) as opened:
        counts = json.loads(opened.value("SELECT counts FROM runs ORDER BY started_at DESC LIMIT 1"))
    return max((p["samples"] for p in counts["passes"] if "phash" in p["name"].split(", ")), default=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tars", default=str(DATA / "flickr8k" / "*.tar"))
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="equality-"))
    check = Checks()
    crawl = folder / "crawl"
    crawl.mkdir(parents=True)
    tars = sorted(Path(options.tars).parent.glob(Path(options.tars).name))
    for tar in tars[:-1]:
        shutil.copy2(tar, crawl)
    lakes, outs, recipes = {}, {}, {}
    for engine in ("inline", "ray"):
        lakes[engine], outs[engine] = folder / engine / "lake", folder / engine / "gold"
        source = [{"path": str(crawl / "*.tar"), "name": "crawl"}]
        recipes[engine] = write_recipe(folder / engine / "recipe.yaml", lake=lakes[engine], sources=source, to=outs[engine])

    def run(engine: str, *more: str) -> float:
        ran = goldsieve("run", recipes[engine], "--engine", engine, *more)
        if ran.code:
            raise SystemExit(f"goldsieve run ended with {ran.code}: {ran.err}")
        return ran.seconds

    for step, tars_now in (("all tars but one", tars[:-1]), ("all tars", tars)):
        for tar in tars_now:
            if not (crawl / tar.name).exists():
                shutil.copy2(tar, crawl)
        for engine in ("inline", "ray"):
            seconds = run(engine, "--overwrite")
            with open_lake(lakes[engine]) as lake:
                samples = lake.value("SELECT count(*) FROM wide")
                last = lake.value("SELECT count(*) FROM wide WHERE uri = ?", [str(crawl / tars[-1].name)])
                distinct_new = lake.value(
                    "SELECT count(DISTINCT media_hash) FROM wide WHERE uri = $1 "
                    "AND media_hash NOT IN (SELECT media_hash FROM wide WHERE uri <> $1)",
                    [str(crawl / tars[-1].name)],
                )
            found = measured(lakes[engine])
            if step == "all tars":
                # Bytes are hashed when they are read: a copy of a known picture is read, too.
                check(
                    f"{engine}: samples measured for one more tar of {last}", found, f"{distinct_new}-{last}", distinct_new <= found <= last
                )
            else:
                check(f"{engine}: samples measured of {samples}", found, f"{samples}", found == samples)
            print(f"      {engine}, {step}: {seconds:.1f} s", flush=True)
        unlike = differing(lake_content(lakes["inline"]), lake_content(lakes["ray"]))
        check(f"tables that differ between the engines, {step}", unlike or 0, "0", not unlike)
        inline, ray = files(outs["inline"]), files(outs["ray"])
        check(f"shards and index that differ, {step}, of {len(inline)}", differing(inline, ray) or 0, "0", bool(inline) and inline == ray)
    before = lake_content(lakes["ray"])
    for engine in ("inline", "ray"):
        seconds = run(engine)
        check(f"{engine}: samples measured by a second run", measured(lakes[engine]), "0", measured(lakes[engine]) == 0)
        check(f"{engine}: seconds of a second run", f"{seconds:.1f}", "<= 10", seconds <= 10)
    unlike = differing(before, lake_content(lakes["ray"]))
    check("tables that the second run changed", unlike or 0, "0", not unlike)
    check.end()


if __name__ == "__main__":
    main()
