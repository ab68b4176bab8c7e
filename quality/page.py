"""What all pages share: templates, and how numbers, bars and addresses are written in them."""

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from manifests import Lake
from quality.distributions import Distribution
from quality.why_text import evidence_text, signal_text

TEMPLATES = Path(__file__).parent / "templates"


def short_address(lake: Lake) -> str:
    """The end of a lake's path: a page that is sent to others need not tell how a disk is arranged."""
    return "/".join(lake.address.folder.parts[-2:]) if lake.address.folder else str(lake.address)


def short(value: Any) -> str:
    """A number as a person wants to read it: four digits, thousands separated."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def script_json(value: Any) -> Markup:
    """JSON that cannot end the element it stands in, whatever a caption says."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").replace("\u2028", "\\u2028"))


def bars(one: Distribution) -> list[tuple[str, str]]:
    """(tier, SVG path) of the stacked histogram in a box of one unit a bar and 100 units of height, lowest tier on top."""
    tallest = one.tallest or 1
    base = np.zeros(len(one.edges) - 1)
    paths = []
    for tier, counts in one.bars.items():
        parts = []
        for x, n in enumerate(counts):
            if n:
                height = max(100 * n / tallest, 0.6)
                parts.append(f"M{x + 0.06:.2f} {100 - base[x]:.2f}v-{height:.2f}h.88v{height:.2f}z")
                base[x] += height
        paths.append((tier, "".join(parts)))
    return paths


def ticks(one: Distribution) -> list[tuple[float, str]]:
    """(place 0-100, number) of five marks along the axis."""
    low, high = float(one.edges[0]), float(one.edges[-1])
    found = []
    for place in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = low * (high / low) ** place if one.log else low + (high - low) * place
        found.append((100 * place, short(float(f"{value:.3g}"))))
    return found


@functools.lru_cache(maxsize=1)
def environment() -> Environment:
    """Jinja with the filters of the templates; everything is escaped."""
    made = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    made.filters.update(
        n=lambda value: "" if value is None else f"{value:,}",
        pc=lambda share: f"{100 * share:.1f} %",
        short=short,
        bars=bars,
        ticks=ticks,
        script_json=script_json,
        source=lambda name: Markup((TEMPLATES / name).read_text(encoding="utf-8")),
        rejectempty=lambda values: {name: value for name, value in values.items() if value},
        nearness=evidence_text,
        signal=signal_text,
        megabytes=lambda size: f"{size / 1e6:,.1f} MB",
    )
    return made
