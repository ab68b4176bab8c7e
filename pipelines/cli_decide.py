"""Commands that help to decide: calibrate, presets."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from manifests.errors import UsageError
from pipelines.cli_options import JsonOption
from pipelines.cli_output import cell, emit_json, emit_rows, out


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    for command in (calibrate, presets):
        app.command()(command)


def calibrate(
    lake: Annotated[str, typer.Argument(help="The lake's folder.")],
    signal: Annotated[str, typer.Option(help="A column of wide, or a numeric SQL expression over it.")],
    labels: Annotated[
        str,
        typer.Option(help="CSV, JSONL or Parquet with key (or sample_id) and label; or: lake, for its table labels; none, with --next."),
    ],
    precision: Annotated[str | None, typer.Option(help="Wanted share of good samples among those kept: 0.95 or 95%.")] = None,
    recall: Annotated[str | None, typer.Option(help="Wanted share of the good samples that is kept: 0.9 or 90%.")] = None,
    keep: Annotated[str | None, typer.Option(help="Wanted share of the lake's samples that is kept: 0.3 or 30%.")] = None,
    good: Annotated[list[str] | None, typer.Option(help="A label that means good. May be given several times; '' is an empty one.")] = None,
    bad: Annotated[
        list[str] | None,
        typer.Option(help="A label that means bad. With only --good or only --bad, all others are the opposite."),
    ] = None,
    key_column: Annotated[str | None, typer.Option(help="Column with the key. Default: sample_id or key.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column (or name, in the lake) of the label. Default: label.")] = None,
    direction: Annotated[Literal["auto", "higher", "lower"], typer.Option(help="Which values are better.")] = "auto",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for a picture and a JSON file.")] = None,
    format: Annotated[Literal["png", "svg"], typer.Option(help="Kind of picture.")] = "png",
    next_samples: Annotated[int, typer.Option("--next", help="Print this many samples to label next, and do not calibrate.", min=0)] = 0,
    as_json: JsonOption = False,
) -> None:
    """Find a threshold: compare a signal with labels, and print the rule that reaches a precision, a recall or a share.

    Examples:

      goldsieve calibrate ./lake --signal clip_score --labels looked-at.csv --precision 0.95 -o out

      goldsieve calibrate ./lake --signal clip_score --labels lake --next 100
    """
    from manifests import open_lake
    from quality.calibrate import calibrate as find
    from quality.label_next import next_to_label
    from quality.labels import given_labels
    from quality.threshold import Goal

    goal = Goal(share(precision, "--precision"), share(recall, "--recall"), share(keep, "--keep"))
    with open_lake(lake) as opened:
        if next_samples:
            none = labels == "none" or (labels == "lake" and not opened.value("SELECT count(*) FROM labels"))
            known = None if none else given_labels(opened, labels, key_column, label_column)
            emit_rows([vars(one) for one in next_to_label(opened, signal, next_samples, known)], as_json)
            return
        found = find(
            opened,
            signal,
            labels,
            goal,
            direction=direction,
            key_column=key_column,
            label_column=label_column,
            good=tuple(good or ()),
            bad=tuple(bad or ()),
        )
    facts = found.as_dict()
    written = []
    if output is not None:
        from quality.calibration_plot import plot

        output.mkdir(parents=True, exist_ok=True)
        stem = "calibration-" + "".join(c if c.isalnum() else "_" for c in signal)[:60]
        written = [output / f"{stem}.json", output / f"{stem}.{format}"]
        written[0].write_text(json.dumps(facts, indent=2, default=str, ensure_ascii=False) + "\n", encoding="utf-8")
        plot(found, written[1])
    if as_json:
        emit_json(facts)
        return
    for line in summary(facts):
        out().print(line, markup=False)
    for path in written:
        out().print(f"wrote {path}", markup=False)


def share(text: str | None, option: str) -> float | None:
    """``0.3`` or ``30%`` as a number."""
    if text is None:
        return None
    try:
        return float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError as error:
        raise UsageError(f"{option} is {text!r}; a share such as 0.3 or 30% is needed.") from error


def summary(facts: dict[str, Any]) -> list[str]:
    """A calibration in words."""

    def counted(name: str) -> str:
        low, high = facts[f"{name}_interval"]
        return f"{facts[name]:.3f} ({low:.3f} to {high:.3f})"

    labels = facts["labels"]
    lines = [f"labels      {cell(labels['good'])} good, {cell(labels['bad'])} bad"]
    words = {
        "unmatched": "match no sample",
        "ambiguous": "match several samples; add a column source or sample_id",
        "contradictory": "say both good and bad",
        "unmeasured": "belong to samples without a value of the signal",
    }
    for name, meaning in words.items():
        if labels[name]["count"]:
            some = ", ".join(labels[name]["first"][:5]) + (", ..." if labels[name]["count"] > 5 else "")
            lines.append(f"not used    {cell(labels[name]['count'])} {meaning}: {some}")
    if labels["unused"]:
        lines.append(f"not used    {cell(labels['unused'])} labels are neither good nor bad")
    if facts["measured_with"]:
        made = facts["measured_with"]
        lines.append(f"signal      {facts['signal']}, measured with {', '.join(f'{k} {v}' for k, v in made.items())}")
    lines += [
        f"direction   {'higher' if facts['higher_is_better'] else 'lower'} is better",
        f"AUC         {counted('auc')}",
        f"goal        {facts['goal']}",
        f"precision   {counted('precision')}, if good and bad are as frequent as among the labels",
        f"recall      {counted('recall')}",
        f"false alarm {counted('false_alarms')} of the bad are kept",
        f"lake        keeps {facts['kept_share']:.1%} of {cell(facts['lake_samples'])} samples",
    ]
    return [*lines, *(f"beware      {text}" for text in facts["warnings"]), "", "The rule for a recipe:", f"    {facts['rule']}"]


def presets(
    name: Annotated[str | None, typer.Argument(help="Print this preset as YAML, ready for a recipe.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the published rule sets, with their sources and the signals and scales they need.

    Example: goldsieve presets datacomp-basic
    """
    from quality.presets import as_yaml, preset
    from quality.presets import presets as every

    if name is not None and not as_json:
        out().print(as_yaml(preset(name)), markup=False, end="")
        return
    chosen = [preset(name)] if name is not None else every()
    if as_json:
        emit_json([vars(one) for one in chosen])
        return
    for one in chosen:
        needs = ", ".join(f"{signal} ({scale})" for signal, scale in one.scales.items())
        out().print(f"{one.name}: {one.what}\n    needs   {needs}\n    source  {one.source}", markup=False)
    out().print("\nUse one in a recipe with `silver: {preset: datacomp-basic}`; `goldsieve presets NAME` shows its rules and scales.")
