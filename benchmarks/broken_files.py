"""Every file of the evaluation data's `broken` folder ends with signals or a named error; nothing crashes, hangs or chatters.

python -m benchmarks.broken_files [--data ../shared/data/broken] [--engine inline] [--folder DIR]
"""

import argparse
import re
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.common import DATA, GOLDSIEVE, Checks, write_recipe
from benchmarks.programs import MemoryWatch
from manifests import open_lake

OURS = re.compile(r"[\w, ]+: [\d,]+ (samples|references) in [\d.]+ s \([\d,]+/s\)(, [\d,]+ failed)?|goldsieve: .*carry an error.*")
"""Lines that `goldsieve run` writes to stderr when it is no terminal."""
LIMIT_BYTES = 2 << 30


def watched(command: list[str], timeout: float) -> tuple[int | None, str, str, float, int]:
    """Exit code (None: stopped after ``timeout``), output, errors, seconds, peak memory of the tree of processes in bytes."""
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        watch = MemoryWatch(process.pid, 0.1)
        watch.start()
        try:
            out, err = process.communicate(timeout=timeout)
            code: int | None = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            code = None
        watch.ended.set()
        watch.join()
    return code, out, err, time.monotonic() - started, watch.peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA / "broken")
    parser.add_argument("--engine", choices=("inline", "ray"), default="inline")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--timeout", type=float, default=600)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="broken-"))
    lake_folder = folder / "lake"
    recipe = write_recipe(folder / "recipe.yaml", lake=lake_folder, sources=[{"path": str(options.data), "kind": "folder"}])
    command = [GOLDSIEVE, "run", str(recipe), "--engine", options.engine, "--max-error-rate", "1"]
    code, out, err, seconds, peak = watched(command, options.timeout)
    check = Checks()
    check("exit code", code, "0", code == 0)
    check("seconds", f"{seconds:.1f}", f"< {options.timeout:.0f} (no hang)", code is not None)
    foreign = [line for line in err.splitlines() if line.strip() and not OURS.fullmatch(line.strip())]
    check("lines on stderr that are not our progress", len(foreign), "0", not foreign)
    loud = [line for line in out.splitlines() if re.search(r"warn|traceback|exception|libpng|corrupt jpeg|deprecat", line, re.IGNORECASE)]
    check("warnings on stdout", len(loud), "0", not loud)
    check("peak memory of all processes, MiB", peak >> 20, "< 2048", peak < LIMIT_BYTES)
    for line in [*foreign, *loud][:20]:
        print(f"      {line}")
    with open_lake(lake_folder) as lake:
        samples, failed = lake.connection.execute('SELECT count(*), count("error") FROM wide').fetchone() or (0, 0)
        neither = lake.rows(
            """SELECT key FROM wide WHERE "error" IS NULL AND (phash IS NULL OR sharpness IS NULL OR brightness IS NULL
            OR entropy IS NULL OR bytes_per_pixel IS NULL OR is_duplicate IS NULL)"""
        )
        killed = lake.value("SELECT count(*) FROM wide WHERE contains(error, 'killed the worker')")
        blank = lake.value("SELECT count(*) FROM wide WHERE trim(error) = ''")
        untold = [path.name for path in options.data.rglob("*") if path.is_file() and path.suffix.lower() in SUFFIXES]
        known = {row["uri"] for row in lake.rows("SELECT uri FROM wide")}
        missing = [name for name in untold if not any(uri.endswith(name) for uri in known)]
        reasons = lake.rows(
            """SELECT regexp_replace(left("error", 90), '[0-9]+', 'N', 'g') AS reason, count(*) AS n FROM wide
            WHERE "error" IS NOT NULL GROUP BY reason ORDER BY n DESC LIMIT 12"""
        )
    check("samples", samples, "> 0", samples > 0)
    check("picture files that are no sample", len(missing), "0", not missing)
    check("samples with neither all signals nor an error", len(neither), "0", not neither)
    check("samples that killed a process", killed, "0", killed == 0)
    check("errors without words", blank, "0", blank == 0)
    print(f"      {samples - failed} with every signal, {failed} with an error; {neither[:5] or ''}{missing[:5] or ''}")
    for row in reasons:
        print(f"      {row['n']:4}  {row['reason']}")
    check.end()


SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".avif", ".heic"}

if __name__ == "__main__":
    main()
