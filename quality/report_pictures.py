"""The small pictures of the report: which samples are shown, and what the page says beside each."""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from manifests import Lake
from manifests.wide import EVIDENCE, PLACE_COLUMNS
from quality import report_data as data
from quality.flat import FLAT
from quality.page import short
from quality.why_text import evidence_text

SIDE, CROP_SIDE = 208, 224
"""Longer side of a picture, side of a crop, in pixels."""


class Drawn(Protocol):
    """A small picture: encoded bytes and size, or None and why there is none."""

    @property
    def data(self) -> bytes | None: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def why(self) -> str: ...


Draw = Callable[[Sequence[Mapping[str, Any]], int, bool], Iterable[tuple[Mapping[str, Any], Drawn]]]
"""Rows of ``wide``, side in pixels, whether to crop the middle -> every row with its picture (WebP)."""


class Wanted:
    """Ids of the samples whose pictures are on the page, each once."""

    def __init__(self) -> None:
        self.ids: dict[str, None] = {}

    def __call__(self, ids: Iterable[str]) -> list[str]:
        listed = list(ids)
        self.ids.update(dict.fromkeys(listed))
        return listed


def _rows(lake: Lake, ids: Sequence[str], columns: Sequence[str]) -> list[dict[str, Any]]:
    listed = ", ".join(f"'{i}'" for i in ids)  # they came out of the lake as UUIDs: nothing to escape
    return lake.rows(f"SELECT {data.ID} AS id, {', '.join(columns)} FROM {FLAT} AS wide WHERE {data.ID} IN ({listed})") if ids else []


def pictures_of(
    lake: Lake, kinds: Mapping[str, str], draw: Draw, ids: Iterable[str], signals: Sequence[str], documented: Mapping[str, tuple[str, str]]
) -> dict[str, Any]:
    """id -> what the page shows of a sample."""
    columns = ["key", "source", *PLACE_COLUMNS, "caption", "format", "width", "height", "tier"]
    columns += ["failed_rules", "is_duplicate", "duplicate_group", "duplicate_kind", '"error"', *(c for c in EVIDENCE if c in kinds)]
    columns += [f"TRY(({signal})) AS signal_{n}" for n, signal in enumerate(signals)]
    found = {}
    for row, picture in draw(_rows(lake, list(ids), columns), SIDE, False):
        size = f"{row['width']:,} × {row['height']:,}" if row["width"] else ""
        copy = f"{row['duplicate_kind']} copy{evidence_text(row)}" if row["is_duplicate"] else ""
        found[row["id"]] = {
            "key": row["key"],
            "source": row["source"],
            "caption": (row["caption"] or "")[:400],
            "alt": " ".join((row["caption"] or f"sample {row['key']}, without caption").split())[:160],
            "facts": " · ".join(part for part in (size, row["format"], row["tier"]) if part),
            "copy": copy,
            "tier": row["tier"] or "",
            "failed": row["failed_rules"] or [],
            "kept": row["duplicate_group"] is not None and row["is_duplicate"] is False,
            "why": picture.why or row["error"] or "",
            "values": [[signal, short(row[f"signal_{n}"])] for n, signal in enumerate(signals) if row[f"signal_{n}"] is not None],
            "url": _url(picture),
            "width": picture.width,
            "height": picture.height,
        }
    return found


def crops_of(lake: Lake, draw: Draw, artifacts: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> dict[str, Any]:
    """id -> the middle of the picture, pixel for pixel: artifacts are not seen in a small picture."""
    ids = list(dict.fromkeys(row["id"] for _, rows in artifacts for row in rows))
    columns = ["key", *PLACE_COLUMNS, "caption", '"error"']
    return {
        row["id"]: {"url": _url(picture), "key": row["key"], "why": picture.why}
        for row, picture in draw(_rows(lake, ids, columns), CROP_SIDE, True)
    }


def _url(picture: Drawn) -> str:
    return "data:image/webp;base64," + base64.b64encode(picture.data).decode("ascii") if picture.data else ""
