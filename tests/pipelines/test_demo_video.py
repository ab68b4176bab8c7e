"""The video demo, run once: what it plants is found, but for two of three dissolves."""

from pathlib import Path

from pipelines.demo_video import describe_video, run_video_demo
from pipelines.progress import Reporter


def test_what_the_video_demo_plants_is_found(tmp_path: Path) -> None:
    result = run_video_demo(tmp_path / "demo", reporter=Reporter(quiet=True))
    found = {line.what: (line.planted, line.found) for line in result.lines}
    assert found["cuts"][1] >= 0.9 * found["cuts"][0] > 10
    assert found.pop("cuts that are none") == (0, 0)
    for what in ("fades", "flashes that are no cut", "copied shots", "frozen shots", "shots with borders", "damaged files"):
        assert found[what][0] == found[what][1] > 0, what
    assert sum(planted == said for _, planted, said in result.moves) >= 0.9 * len(result.moves) > 10
    said = describe_video(result)
    for name in ("labels.json", "recipe.yaml", "lake", "gold"):
        assert (tmp_path / "demo" / name).exists()
        assert str(tmp_path / "demo" / name) in said
