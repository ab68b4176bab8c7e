"""One HTML page about a lake: what was kept, what was not and why, and what another threshold would do.

The page is one file that works offline and asks nothing of a network. Whatever the size of the lake it holds a bounded number
of small pictures; everything else on it is counts. Bars are drawn as one SVG path a tier: a plotting library would be larger
than all the data of the page, and could not be moved by a slider whose counts are exact.
"""

import base64
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from markupsafe import Markup

from manifests import Lake
from manifests.connection import identifier
from manifests.wide import EVIDENCE
from quality import report_data as data
from quality.caption_report import caption_part
from quality.distributions import Distribution, distribution
from quality.flat import FLAT, flattened, measures
from quality.leaves import Leaf, leaves
from quality.page import environment, short, short_address
from quality.simulation import simulation
from quality.sql_guard import relation_columns
from quality.timings import recorded_passes, slowest, timings
from quality.why_text import evidence_text

ARTIFACTS = ("over_smooth", "texture_loss", "moire", "upsampling_grid", "banding", "oversharpen_halo")
CATEGORIES = ("format", "style", "caption_language", "colour_mode", "duplicate_kind", "aigc_generator", "shot_size", "camera_movement")
TOP_PICTURES, GROUP_PICTURES, GROUPS, AROUND, CROPS, EVIDENCE_PICTURES = 18, 6, 8, 4, 6, 4
MOST_RULE_PICTURES, PER_RULE, MOST_AROUND = 160, 8, 12
"""Pictures of all rules together and of each rule; thresholds that get a strip of pictures."""
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


@dataclass(frozen=True)
class Fragment:
    """A section that another module wrote: ``html`` is put into the page as it is and must hold all it needs."""

    title: str
    html: str


@dataclass(frozen=True, eq=False)
class Card:
    """A signal with its histogram; ``leaf`` is the threshold of a rule on it, ``number`` its place in the simulation."""

    one: Distribution
    leaf: Leaf | None
    number: int | None
    unit: str
    doc: str
    strips: Sequence[tuple[str, Sequence[str]]] = ()


def render(
    lake: Lake,
    draw: Draw,
    title: str = "Goldsieve report",
    documented: Mapping[str, tuple[str, str]] = MappingProxyType({}),
    fragments: Sequence[Fragment] = (),
) -> str:
    """The page as text.

    ``draw`` makes the pictures; what it cannot draw becomes a placeholder with the reason. ``documented``: column -> (text, unit).
    """
    with flattened(lake) as kinds:
        return _page(lake, kinds, draw, title, documented, fragments)


def _page(
    lake: Lake,
    kinds: Mapping[str, str],
    draw: Draw,
    title: str,
    documented: Mapping[str, tuple[str, str]],
    fragments: Sequence[Fragment],
) -> str:
    bases, rules, recipe = data.tiering(lake)
    tiers = data.tier_counts(lake)
    order = [name for name in ("rejected", "bronze", *bases) if name in tiers] + (["no tier"] if "no tier" in tiers else [])
    top = list(bases)[-1] if bases else "gold"
    found = [leaf for rule in rules for leaf in leaves(rule.tier, rule.name, rule.sql)]
    cards, moved = _cards(lake, kinds, found, [t for t in reversed(order) if t != "rejected"], documented)
    total = sum(tiers.values())
    readable = total - int(lake.value(f'SELECT count("error") FROM {FLAT}'))
    wanted = Wanted()
    per_rule = max(2, min(PER_RULE, MOST_RULE_PICTURES // max(1, len(rules))))
    failing = [(rule, n, wanted(ids)) for rule, n, ids in data.failing(lake, rules, per_rule)]
    kept = wanted(
        [
            r["id"]
            for r in lake.rows(f"SELECT {data.ID} AS id FROM {FLAT} WHERE tier = ? ORDER BY {data.SHUFFLED} LIMIT ?", [top, TOP_PICTURES])
        ]
    )
    copies, groups = data.groups(lake, GROUPS, GROUP_PICTURES)
    evidence = data.evidence(lake, EVIDENCE_PICTURES) if "aigc_evidence" in kinds else []
    captions = caption_part(lake)
    for ids in (
        *(g["ids"] for g in groups),
        *(e["ids"] for e in evidence),
        [c.id for c in captions.shown] if captions else [],
        *(ids for c in cards for _, ids in c.strips),
    ):
        wanted(ids)
    artifacts = [(column, rows) for column in ARTIFACTS if column in kinds and (rows := data.extremes(lake, column, CROPS))]
    shown = list(dict.fromkeys(leaf.signal for leaf in found))
    extra = [name for name in ("clip_score", "aesthetic", "aigc_score") if name in kinds and name not in shown]
    pictures = _pictures(lake, kinds, draw, wanted.ids, [*shown, *extra], documented)
    crops = _crops(lake, draw, artifacts)
    passes = recorded_passes(lake)
    template = environment().get_template("report.html.jinja")
    return template.render(
        title=title,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        lake=short_address(lake),
        snapshot=lake.snapshot(),
        recipe=recipe,
        total=total,
        readable=readable,
        tiers=[(name, tiers[name]) for name in reversed(order)],
        top=top,
        funnel=data.funnel(lake, bases, rules),
        cards=cards,
        tops=[rule for rule in rules if rule.sql.startswith(data.SET_RULES)],
        failing=failing,
        kept=kept,
        copies=copies,
        groups=groups,
        concepts=data.shares(lake, "concept", top, 40) if "concept" in kinds else None,
        categories=[s for name in CATEGORIES if name in kinds and (s := data.shares(lake, name, top, 12))],
        evidence=evidence,
        artifacts=artifacts,
        crops=crops,
        captions=captions,
        errors=data.errors(lake),
        sources=data.sources(lake, top),
        runs=data.runs(lake),
        times=timings(passes),
        slowest=slowest(lake, passes),
        fragments=[(f.title, Markup(f.html)) for f in fragments],
        pictures=pictures,
        state={
            "lake": short_address(lake),
            "signals": [_slider(card) for card in cards],
            "simulation": simulation(lake, bases, rules, moved, readable),
            "pictures": pictures,
        },
    )  # fmt: skip


class Wanted:
    """Ids of the samples whose pictures are on the page, each once."""

    def __init__(self) -> None:
        self.ids: dict[str, None] = {}

    def __call__(self, ids: Iterable[str]) -> list[str]:
        listed = list(ids)
        self.ids.update(dict.fromkeys(listed))
        return listed


def _cards(
    lake: Lake, kinds: Mapping[str, str], found: Sequence[Leaf], tiers: Sequence[str], documented: Mapping[str, tuple[str, str]]
) -> tuple[list[Card], list[tuple[Leaf, Distribution, str]]]:
    """A card for every threshold, then one for every signal without one; and what the simulation moves."""
    names = lake.query(f"SELECT coalesce(tier, 'no tier') AS tier FROM {FLAT} WHERE \"error\" IS NULL").column("tier").to_numpy()
    inside = {tier: names == tier for tier in tiers}
    cards: list[Card] = []
    moved: list[tuple[Leaf, Distribution, str]] = []

    def one_of(signal: str, thresholds: Sequence[float], exact: bool = False) -> tuple[Distribution | None, str]:
        kind = relation_columns(lake.connection, f"(SELECT TRY(({signal})) AS v FROM {FLAT} AS wide)")["v"]
        values = lake.query(f'SELECT CAST(TRY(({signal})) AS DOUBLE) AS v FROM {FLAT} AS wide WHERE "error" IS NULL').column("v")
        return distribution(signal, values.to_numpy(), inside, kind, thresholds, exact), kind

    for n, leaf in enumerate(found):
        same = [other.value for other in found if other.signal == leaf.signal]
        one, kind = one_of(leaf.signal, sorted(set(same)), leaf.exact)
        if one is None:
            continue
        strips = data.around(lake, leaf, AROUND) if n < MOST_AROUND else []
        doc, unit = documented.get(leaf.signal, ("", ""))
        cards.append(Card(one, leaf, len(moved), unit, doc, strips))
        moved.append((leaf, one, kind))
    for name in measures(kinds):
        if name not in {leaf.signal for leaf in found}:
            one, _ = one_of(identifier(name), ())
            if one is not None:
                doc, unit = documented.get(name, ("", ""))
                cards.append(Card(dataclasses.replace(one, signal=name), None, None, unit, doc))
    return cards, moved


def _slider(card: Card) -> dict[str, Any]:
    one, leaf = card.one, card.leaf
    return {
        "signal": one.signal,
        "cuts": [float(c) for c in one.cuts],
        "atLeast": one.at_least,
        "above": one.above,
        "low": float(one.edges[0]),
        "high": float(one.edges[-1]),
        "log": one.log,
        "known": one.known,
        "unknown": one.unknown,
        "op": leaf.op if leaf else ">=",
        "at": int(np.flatnonzero(one.cuts == leaf.value)[0]) if leaf else int(np.searchsorted(one.cuts, one.quantiles[3])),
        "leaf": card.number,
    }


def _rows(lake: Lake, ids: Sequence[str], columns: Sequence[str]) -> list[dict[str, Any]]:
    listed = ", ".join(f"'{i}'" for i in ids)  # they came out of the lake as UUIDs: nothing to escape
    return lake.rows(f"SELECT {data.ID} AS id, {', '.join(columns)} FROM {FLAT} AS wide WHERE {data.ID} IN ({listed})") if ids else []


def _pictures(
    lake: Lake, kinds: Mapping[str, str], draw: Draw, ids: Iterable[str], signals: Sequence[str], documented: Mapping[str, tuple[str, str]]
) -> dict[str, Any]:
    """id -> what the page shows of a sample."""
    columns = ["key", "source", "modality", "uri", "byte_offset", "byte_length", "caption", "format", "width", "height", "tier"]
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


def _crops(lake: Lake, draw: Draw, artifacts: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> dict[str, Any]:
    """id -> the middle of the picture, pixel for pixel: artifacts are not seen in a small picture."""
    ids = list(dict.fromkeys(row["id"] for _, rows in artifacts for row in rows))
    columns = ["key", "modality", "uri", "byte_offset", "byte_length", "caption", '"error"']
    return {
        row["id"]: {"url": _url(picture), "key": row["key"], "why": picture.why}
        for row, picture in draw(_rows(lake, ids, columns), CROP_SIDE, True)
    }


def _url(picture: Drawn) -> str:
    return "data:image/webp;base64," + base64.b64encode(picture.data).decode("ascii") if picture.data else ""
