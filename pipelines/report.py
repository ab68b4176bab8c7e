"""The report with its pictures and film strips: `quality.report` asks, this module draws."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from manifests import Lake
from manifests.errors import MediaError
from manifests.wide import current_operators
from operators.catalogue import rows as catalogue_rows
from pipelines.data_card import BASE_COLUMNS
from pipelines.film_strip import clip_fragment, video_fragment
from pipelines.reader import Reader
from pipelines.thumbnails import Picture, small_reader, thumbnails
from quality import report

VIDEOS, CLIPS = 6, 12
"""Timelines and film strips on the page."""
SECONDS = 300.0
"""Pictures that are not made in this time are left out, with a note."""


def documented() -> dict[str, tuple[str, str]]:
    """Text and unit of every column that is described somewhere."""
    return {**BASE_COLUMNS, **{row["column"]: (row["doc"], row["unit"]) for row in catalogue_rows()}}


def render(lake: Lake, title: str = "Goldsieve report", fragments: Sequence[report.Fragment] = ()) -> str:
    """The page about ``lake``. ``fragments``: sections that others wrote, put behind the captions."""
    with small_reader() as reader:

        def draw(rows: Sequence[Mapping[str, Any]], side: int, crop: bool) -> Iterable[tuple[Mapping[str, Any], Picture]]:
            return thumbnails(rows, reader, side, crop=crop, seconds=SECONDS)

        return report.render(lake, draw, title, documented(), [*fragments, *video_fragments(lake, reader)])


def video_fragments(lake: Lake, reader: Reader) -> list[report.Fragment]:
    """Timelines of some videos and film strips of some clips, the same ones every time; nothing for a lake without videos."""
    if not lake.value("SELECT count(*) FROM refs WHERE modality = 'video' AND NOT vanished"):
        return []
    whole = "parent_id IS NULL" if "shots" in {o.name for o in current_operators(lake.connection)} else "false"
    some = "SELECT * FROM wide WHERE modality = 'video' AND {} ORDER BY md5(CAST(sample_id AS VARCHAR)) LIMIT {}"
    videos = [video_fragment(row, row["duration_s"] or 0.0) for row in lake.rows(some.format(whole, VIDEOS))]
    clips = []
    for row in lake.rows(some.format("parent_id IS NOT NULL", CLIPS)):
        try:
            clips.append(clip_fragment(row, reader.video(row["uri"], row["byte_offset"], row["byte_length"])))
        except MediaError as error:
            clips.append(f"<p>{escape(row['key'])}: {escape(str(error))}</p>")
    parts = [("Videos and their cuts", videos), ("Clips", clips)]
    return [report.Fragment(title, "".join(made)) for title, made in parts if made]


def write_report(lake: Lake, path: Path, title: str = "Goldsieve report", fragments: Sequence[report.Fragment] = ()) -> Path:
    """Writes the page to ``path``."""
    page = render(lake, title, fragments)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path
