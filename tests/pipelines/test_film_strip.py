"""Strips, curves and timelines of videos."""

import io
from pathlib import Path

from PIL import Image

from manifests import open_lake
from operators.testing import film, panning
from operators.video.source import VideoFile
from pipelines.film_strip import clip_fragment, film_strip, motion_curve, timeline, video_fragment
from pipelines.progress import Reporter
from pipelines.recipe import load_recipe
from pipelines.report import render
from pipelines.run import run_recipe

FILE = VideoFile("film", data=film(panning(20, 96, 64)))


def test_a_strip_has_its_frames_side_by_side() -> None:
    with Image.open(io.BytesIO(film_strip(FILE, (0.5, 1.5), frames=4, height=32))) as strip:
        assert strip.size == (4 * (48 + 2), 32)


def test_curves_and_timelines_are_drawings() -> None:
    assert motion_curve([]) == ""
    assert "at most 0.300" in motion_curve([0.1, 0.3, 0.2])
    shots = [{"start_s": 0.0, "end_s": 2.0, "entry": "start"}, {"start_s": 2.5, "end_s": 4.0, "entry": "<fade>"}]
    drawn = timeline(4.0, shots, [{"start_s": 2.5, "end_s": 4.0}])
    assert drawn.count("<rect") == 3
    assert drawn.count("<line") == 1
    assert "&lt;fade&gt;" in drawn
    assert timeline(0.0, shots) == ""


def test_fragments_escape_what_they_show() -> None:
    row = {"key": "<b>", "span_start_s": 0.0, "span_end_s": 1.0, "tier": "silver", "failed_rules": ["gold.<x>"], "motion": 0.25}
    fragment = clip_fragment(row, FILE)
    assert "data:image/jpeg;base64," in fragment
    assert "&lt;b&gt;" in fragment
    assert "failed: gold.&lt;x&gt;" in fragment
    assert "motion 0.25" in fragment
    assert "empty file" in clip_fragment(row, VideoFile("x", data=b""))
    assert "<svg" in video_fragment({"key": "film", "shots": [], "clips": None, "video_damage": None}, 2.0)


def test_the_report_shows_videos_and_clips(tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    parameters = "a fox\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 64x64, Model: foxy"
    (folder / "one.mp4").write_bytes(film(panning(40, 96, 64), metadata={"comment": parameters}))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"lake: {tmp_path / 'lake'}\nsources: [{{path: {folder}}}]\n"
        "operators: [video_provenance, shots, {clips: {min_s: 0.2}}, motion]\ntiers: {gold: {clip: parent_id is not null}}\n"
    )
    run_recipe(load_recipe(recipe), engine="inline", reporter=Reporter(quiet=True))
    with open_lake(tmp_path / "lake") as lake:
        page = render(lake)
        clips = lake.value("SELECT count(*) FROM wide WHERE parent_id IS NOT NULL")
    assert clips
    assert "MP4 ilst comment" in page.partition('id="generated"')[2]
    assert page.count('class="film"') == 1
    assert page.count('class="film-clip"') == clips
