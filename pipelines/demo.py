"""The demo: builds the labelled set, runs the whole pipeline on it, and compares the outcome with the labels."""

import io
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from manifests import open_lake
from pipelines.demo_data import build_demo, read_labels
from pipelines.demo_score import Score, clean_in_gold, score
from pipelines.engine import EngineName
from pipelines.progress import Reporter
from pipelines.recipe import load_recipe
from pipelines.report import write_report
from pipelines.run import RunResult, run_recipe
from quality.funnel import FunnelRow, funnel
from quality.tiers import UNREADABLE, compile_tiers
from quality.why import Story, why


@dataclass(frozen=True)
class DemoResult:
    """What the demo found, and where it left what it made."""

    directory: Path
    run: RunResult
    scores: tuple[Score, ...]
    funnel: tuple[FunnelRow, ...]
    clean: int
    clean_gold: int
    clean_through_copy: int
    stories: tuple[Story, ...]
    recipe: Path
    lake: Path
    shards: Path
    report: Path

    @property
    def text(self) -> str:
        return describe(self)


def run_demo(
    directory: Path, samples: int = 300, seed: int = 7, engine: EngineName = "inline", reporter: Reporter | None = None
) -> DemoResult:
    """Builds the set in ``directory``, runs the recipe it leaves beside it, and scores the outcome.

    An existing recipe is kept, so that a threshold can be changed and the demo run again. Raises what `build_demo` and
    `pipelines.run.run_recipe` raise.
    """
    demo = build_demo(directory, samples, seed)
    recipe_path = directory / "recipe.yaml"
    if not recipe_path.exists():
        shutil.copyfile(Path(__file__).parent / "demo_recipe.yaml", recipe_path)
    recipe = load_recipe(recipe_path)
    run = run_recipe(recipe, engine=engine, reporter=reporter, overwrite=True)
    labels = read_labels(demo.labels)
    rules = [UNREADABLE, *(f"{tier}.{rule}" for tier, texts in recipe.tiers.as_dict().items() for rule in texts)]
    with open_lake(recipe.lake) as lake:
        wide = lake.rows("SELECT key, tier, failed_rules, CAST(duplicate_group AS VARCHAR) AS duplicate_group FROM wide")
        steps = funnel(lake.connection, compile_tiers(lake.connection, recipe.tiers))
        stories = tuple(why(lake, key) for key in _tellable(labels))
        report = write_report(lake, directory / "report.html", title=f"Goldsieve report: {directory.name}")
    gold, through_copy = clean_in_gold(labels, wide)
    return DemoResult(
        directory=directory,
        run=run,
        scores=tuple(score(labels, wide, rules)),
        funnel=tuple(steps),
        clean=sum(not label["defect"] for label in labels),
        clean_gold=gold,
        clean_through_copy=through_copy,
        stories=stories,
        recipe=recipe_path,
        lake=directory / "lake",
        shards=directory / "gold",
        report=report,
    )


def _tellable(labels: Iterable[Mapping[str, str]]) -> list[str]:
    """Keys of the first blurred sample, the first smaller copy and the first truncated file."""
    first: dict[str, str] = {}
    for label in labels:
        first.setdefault(label["defect"], label["key"])
    return [first[defect] for defect in ("blurred", "resized copy", "truncated file")]


def describe(result: DemoResult, width: int = 120) -> str:
    """The table, the funnel, three stories, and where everything is."""
    text = io.StringIO()
    console = Console(file=text, width=width, highlight=False, soft_wrap=True)
    _table(console, ("planted defect", "planted", "caught", "missed", "false alarms", "rule"), map(_line, result.scores))
    measured = [line for line in result.scores if line.caught is not None]
    console.print(
        f"{sum(line.caught or 0 for line in measured)} of {sum(line.planted for line in measured)} measured defects were caught. "
        f"Of {result.clean} clean samples {result.clean_gold} are gold, {result.clean_through_copy} gave way to a copy of theirs.\n"
        "False alarms are clean samples that failed the rule. Of a copy and its original either may be kept."
    )
    for line in result.scores:
        if line.caught is None:
            console.print(
                f"Nothing in the recipe looks for '{line.defect}' yet: {line.gold} of the {line.planted} planted ones are in gold."
            )
    console.print()
    _table(
        console, ("tier", "rule", "pass it", "left"), ((row["tier"], row["rule"], row["passed"], row["remaining"]) for row in result.funnel)
    )
    _table(console, ("tier", "samples"), result.run.tiers.items())
    for story in result.stories:
        console.print("\n".join(tell(story)) + "\n", markup=False)
    for what, where in (
        ("the samples and their labels", result.directory / "labels.csv"),
        ("the recipe, to change and run again", result.recipe),
        ("the lake", result.lake),
        ("the gold shards", result.shards),
        ("the report, for a browser", result.report),
    ):
        console.print(f"{what + ':':<37}{where}", markup=False)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def tell(story: Story) -> Iterator[str]:
    """A sample's story in a few lines: what it is, where it ended, and the numbers behind each failed rule."""
    sample = story.sample
    yield f"why {sample['key']}: {sample['tier']}"
    yield f"    caption   {sample['caption']}"
    if sample["error"]:
        yield f"    error     {sample['error']}"
    values = {**sample, **{name: value for signal in story.signals.values() for name, value in signal.items()}}
    for verdict in story.verdicts:
        # Without a readable picture every rule about its pixels fails too; the error says it all.
        if verdict.passed is False and not (sample["error"] and verdict.note):
            numbers = [f"{name} = {_short(values[name])}" for name in dict.fromkeys(re.findall(r"[a-z_]+", verdict.sql)) if name in values]
            yield f"    failed    {verdict.tier}.{verdict.rule}: {verdict.sql}" + (f"   ({', '.join(numbers)})" if numbers else "")
    for other in story.duplicates:
        if other["key"] != sample["key"]:
            kept = "" if other["is_duplicate"] else ", which is kept"
            yield f"    copy of   {other['key']} ({other['width']} x {other['height']} pixels{kept})"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _line(score: Score) -> tuple[Any, ...]:
    if score.caught is None:
        return score.defect, score.planted, "-", "-", "-", "not yet measured"
    return score.defect, score.planted, score.caught, score.missed, score.false_alarms, ", ".join(score.rules)


def _table(console: Console, titles: tuple[str, ...], rows: Iterable[Iterable[Any]]) -> None:
    """Numbers to the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    cells = [[str(cell) for cell in row] for row in rows]
    for i, title in enumerate(titles):
        table.add_column(title, justify="right" if any(row[i].isdigit() for row in cells) else "left")
    for row in cells:
        table.add_row(*row)
    console.print(table)
    console.print()
