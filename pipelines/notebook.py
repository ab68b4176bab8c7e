"""Helpers for notebooks: a lake that answers in pandas, and galleries, histograms and stories that Jupyter shows by themselves."""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from manifests import Lake, open_lake
from manifests.wide import PLACE_COLUMNS
from pipelines.thumbnails import Picture, small_reader, thumbnails
from quality.sql_guard import check_query
from quality.why import Story, why
from quality.why_text import story_text

MOST_SHOWN = 200


@dataclass(frozen=True)
class Shown:
    """A piece of HTML that Jupyter displays; ``text`` is what a terminal prints."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Explorer:
    """``lake`` for people. All methods read; for writing use `pipelines.run`."""

    lake: Lake

    def sql(self, query: str) -> pd.DataFrame:
        """Rows of a SELECT over ``wide`` and the other tables. Raises `SqlError`."""
        check_query(self.lake.connection, query)
        return self.lake.query(query).to_pandas()

    def gallery(self, query: str, most: int = 24, side: int = 160, below: Sequence[str] = ("key", "tier")) -> Shown:
        """The samples of a query (it must return sample_id) as pictures, in its order; ``below``: columns of ``wide`` under each."""
        ids = [str(value) for value in self.sql(query)["sample_id"][: min(most, MOST_SHOWN)]]
        if not ids:
            return Shown("<p>No sample is like that.</p>", "No sample is like that.")
        listed = ", ".join(f"CAST('{i}' AS UUID)" for i in ids)
        columns = dict.fromkeys((*PLACE_COLUMNS, "caption", '"error"', *below))
        rows = self.lake.rows(f"SELECT CAST(sample_id AS VARCHAR) AS id, {', '.join(columns)} FROM wide WHERE sample_id IN ({listed})")
        with small_reader() as reader:
            drawn = {row["id"]: _figure(row, picture, side, below) for row, picture in thumbnails(rows, reader, side)}
        figures = "".join(drawn[i] for i in ids if i in drawn)
        return Shown(f'<div style="display:flex;flex-wrap:wrap;gap:8px">{figures}</div>', f"{len(drawn)} samples")

    def histogram(self, signal: str, threshold: float | None = None, bins: int = 40) -> Any:
        """A histogram of a signal by tier (matplotlib axes), with a line at ``threshold``. Raises `SqlError`."""
        import matplotlib.pyplot as plt

        rows = self.sql(
            f"""SELECT coalesce(tier, 'no tier') AS tier, CAST({signal} AS DOUBLE) AS value FROM wide
            WHERE "error" IS NULL AND ({signal}) IS NOT NULL"""
        )
        tiers = [t for t in ("gold", "silver", "bronze", *sorted(set(rows["tier"]) - set(COLOURS))) if (rows["tier"] == t).any()]
        figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
        values, colours = [rows.loc[rows["tier"] == t, "value"] for t in tiers], [COLOURS.get(t, "#999") for t in tiers]
        axes.hist(values, bins=bins, stacked=True, label=tiers, color=colours)
        if threshold is not None:
            axes.axvline(threshold, color="black", linestyle="--")
        axes.set(xlabel=signal, ylabel="samples")
        axes.legend()
        plt.close(figure)  # else Jupyter shows it twice
        return figure

    def sample(self, name: str) -> Shown:
        """The story of one sample, by id, key or end of a file name, with its picture. Raises `UsageError`."""
        story: Story = why(self.lake, name)
        with small_reader() as reader:
            ((_, picture),) = thumbnails([{**story.sample, "id": story.sample["sample_id"]}], reader, 320)
        figure = _figure({**story.sample}, picture, 320, ("key", "tier"))
        text = story_text(story)
        return Shown(f'<div style="display:flex;gap:16px">{figure}<pre style="white-space:pre-wrap">{html.escape(text)}</pre></div>', text)


COLOURS = {"gold": "#c8951a", "silver": "#8796a8", "bronze": "#b97a4b"}


def explore(lake: Path | str) -> Explorer:
    """Open a lake to look at. Raises `LakeError`."""
    return Explorer(open_lake(lake))


def _figure(row: Mapping[str, Any], picture: Picture, side: int, below: Sequence[str]) -> str:
    """One picture with lines below it; whatever comes from data is escaped."""
    alt = html.escape(str(row.get("caption") or row.get("key") or ""), quote=True)
    if picture.data:
        data = base64.b64encode(picture.data).decode("ascii")
        shown = f'<img src="data:image/webp;base64,{data}" alt="{alt}" title="{alt}" style="max-width:{side}px;max-height:{side}px">'
    else:
        shown = f'<div style="width:{side}px;color:#a33">{html.escape(picture.why)}</div>'
    values = ((name, row.get(name)) for name in below)
    lines = "<br>".join(html.escape(f"{name} {value:.4g}" if isinstance(value, float) else str(value or "")) for name, value in values)
    return f'<figure style="margin:0;width:{side}px;font-size:12px">{shown}<figcaption>{lines}</figcaption></figure>'
