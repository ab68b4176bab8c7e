"""One HTML page about a lake: what was kept, what was not and why, and what another threshold would do.

The page is one file that works offline and asks nothing of a network. Whatever the size of the lake it holds a bounded number
of small pictures; everything else on it is counts. Bars are drawn as one SVG path a tier: a plotting library would be larger
than all the data of the page, and could not be moved by a slider whose counts are exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from markupsafe import Markup

from manifests import Lake
from quality import report_data as data
from quality.caption_report import caption_part
from quality.flat import AIGC_EVIDENCE, FLAT, flattened
from quality.leaves import leaves
from quality.page import environment, short_address
from quality.report_cards import cards_of, slider
from quality.report_pictures import Draw, Wanted, crops_of, pictures_of
from quality.simulation import simulation
from quality.timings import recorded_passes, slowest, timings

ARTIFACTS = ("over_smooth", "missing_grain", "texture_loss", "moire", "upsampling_grid", "banding", "oversharpen_halo")
CATEGORIES = ("format", "style", "caption_language", "colour_mode", "duplicate_kind", "aigc_generator", "shot_size", "camera_movement")
TOP_PICTURES, GROUP_PICTURES, GROUPS, CROPS, EVIDENCE_PICTURES = 18, 6, 8, 6, 4
MOST_RULE_PICTURES, PER_RULE = 160, 8
"""Pictures of all rules together and of each rule."""


@dataclass(frozen=True)
class Fragment:
    """A section that another module wrote: ``html`` is put into the page as it is and must hold all it needs."""

    title: str
    html: str


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
    cards, moved = cards_of(lake, kinds, found, [t for t in reversed(order) if t != "rejected"], documented)
    total = sum(tiers.values())
    readable = total - int(lake.value(f'SELECT count("error") FROM {FLAT}'))
    wanted = Wanted()
    per_rule = max(2, min(PER_RULE, MOST_RULE_PICTURES // max(1, len(rules))))
    failing = [(rule, n, wanted(ids)) for rule, n, ids in data.failing(lake, rules, per_rule)]
    kept = wanted(data.examples(lake, top, TOP_PICTURES))
    copies, groups = data.groups(lake, GROUPS, GROUP_PICTURES)
    told = [column for column in AIGC_EVIDENCE if column in kinds]
    evidence = data.evidence(lake, told, EVIDENCE_PICTURES) if told else []
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
    pictures = pictures_of(lake, kinds, draw, wanted.ids, [*shown, *extra], documented)
    crops = crops_of(lake, draw, artifacts)
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
            "signals": [slider(card) for card in cards],
            "simulation": simulation(lake, bases, rules, moved, readable),
            "pictures": pictures,
        },
    )  # fmt: skip
