"""Part `bad_file`: one broken file among 3,000 pictures. What does it cost the others, and is it named?"""

import os
from typing import Any

from benchmarks.one_bad_file import make_pictures
from benchmarks.scores.rows import Bench, Part, compare, ours, peer

CASES = {"cut": "cut in the middle", "garbage": "not a picture at all"}


def bad_file(bench: Bench) -> Part:
    count = 3000
    cut, garbage = (bench.scratch / name for name in CASES)
    bad = make_pictures(cut, count) + ".jpg"
    garbage.mkdir()
    for path in cut.iterdir():
        if path.name != bad:
            os.link(path, garbage / path.name)
    (garbage / bad).write_bytes(b"<html>404 Not Found</html>" * 100)
    contenders = []
    for case, folder in zip(CASES.values(), (cut, garbage), strict=True):
        contenders += [
            ours(f"Goldsieve: {case}", "bad_file", folder, differs="two hashes and eight measures"),
            peer(f"Data-Juicer: {case}", "data-juicer", "data_juicer_bad_file.py", folder, differs="`image_shape_filter` by `dj-process`"),
            peer(f"imagededup: {case}", "data-juicer", "imagededup_bad_file.py", folder, differs="PHash of a folder"),
            peer(f"cleanvision: {case}", "cleanvision", "cleanvision_issues.py", folder, differs="four checks"),
        ]
    given = f"{count:,} JPEGs of 320x240, one of them broken: cut in the middle, or not a picture at all"
    notes = (
        "Good samples lost: pictures without a result though nothing is wrong with them. Data-Juicer's filter reads headers only: a file "
        "cut in the middle stays in its output, and one without a header takes its whole batch with it: 1,000 rows, or the 500 that are "
        "left over when two processes share 3,000. cleanvision gives no result at all.",
    )
    rows = compare(bench, contenders, score=lambda found: lost(found, count))
    return Part("bad_file", "One bad file", "pictures/s", given, rows, notes)


def lost(found: dict[str, Any], count: int) -> dict[str, str]:
    kept = found.get("kept", found["count"])
    if "named" in found:
        said = f"{found['named']} error named" if found["named"] == 1 else f"{found['named']} errors named"
    else:
        said = "in the output, unnoticed" if kept == count else "left out"
    return {"good samples lost": f"{max(0, count - 1 - kept):,}", "the bad one": said}
