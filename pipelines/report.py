"""The report with its pictures: `quality.report` asks, this module draws."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from manifests import Lake
from operators.catalogue import rows as catalogue_rows
from pipelines.data_card import BASE_COLUMNS
from pipelines.thumbnails import Picture, small_reader, thumbnails
from quality import report

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

        return report.render(lake, draw, title, documented(), fragments)


def write_report(lake: Lake, path: Path, title: str = "Goldsieve report", fragments: Sequence[report.Fragment] = ()) -> Path:
    """Writes the page to ``path``."""
    page = render(lake, title, fragments)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path
