"""A sample's story as text for a terminal."""

from collections.abc import Mapping
from typing import Any

from manifests.wide import EVIDENCE
from quality.why import Story

INDENT = "  "


def story_text(story: Story) -> str:
    """Several lines, most important first: where it is and which rules said so."""
    sample = story.sample
    lines = [
        f"{sample['key']}  ({sample['source']}, {sample['sample_id']})",
        f"{INDENT}tier: {sample['tier'] or 'none yet: no recipe was applied'}",
    ]
    if sample["error"]:
        lines.append(f"{INDENT}error: {sample['error']}")
    size = f"{sample['width']} x {sample['height']} px, " if sample["width"] else ""
    lines.append(f"{INDENT}picture: {size}{sample['format'] or 'unknown format'}, {_value(sample['byte_length'])} bytes, {sample['uri']}")
    lines.append(f"{INDENT}caption: {sample['caption'] if sample['caption'] is not None else '(none)'}")
    if story.captions:
        lines.append("captions")
        lines += [INDENT + line for attempt in story.captions for line in attempt_text(attempt)]
    if story.verdicts:
        lines.append("rules")
        for v in story.verdicts:
            mark = {True: "pass", False: "FAIL", None: "?   "}[v.passed]
            lines.append(f"{INDENT}{mark}  {v.tier}.{v.rule}: {v.sql}{f'  ({v.note})' if v.note else ''}")
    for operator, columns in story.signals.items():
        lines += [operator] if any(value is not None for value in columns.values()) else []
        for name, value in columns.items():
            if isinstance(value, list) and value and isinstance(value[0], Mapping):  # such as pieces of evidence: one a line
                lines.append(f"{INDENT}{name}:")
                lines += [2 * INDENT + ", ".join(f"{key}: {_value(part)}" for key, part in one.items()) for one in value]
            elif value is not None:
                place = place_text(story.percentiles.get(operator, {}).get(name))
                lines.append(f"{INDENT}{name} = {signal_text(value, name)}{place}")
    if len(story.duplicates) > 1:
        lines.append("copies")
        for copy in story.duplicates:
            kept = f"{copy['duplicate_kind'] or 'a'} copy" if copy["is_duplicate"] else "kept"
            here = "  <- this sample" if copy["sample_id"] == sample["sample_id"] else ""
            lines.append(f"{INDENT}{kept}: {copy['source']} {copy['key']} ({copy['width']} x {copy['height']}){evidence_text(copy)}{here}")
    if story.labels:
        lines.append("labels")
        lines += [f"{INDENT}{one['label']}: {one['value']} ({one['author'] or 'nobody named'}, {one['created']})" for one in story.labels]
    lines.append("measured by")
    for row in story.lineage:
        if row["state"] == "not measured":
            lines.append(f"{INDENT}{row['operator']}: not measured")
        else:
            lines.append(f"{INDENT}{row['operator']} {row['fingerprint']} on {row['host']} ({row['engine']}), run of {row['run_started']}")
    return "\n".join(lines)


def attempt_text(attempt: Mapping[str, Any]) -> list[str]:
    """One attempt at a caption: what came of it, who made it, and what the checks found."""
    old = "" if attempt["current"] else ", of an earlier caption"
    lines = [f"{attempt['outcome']}  {attempt['kind']} by {attempt['model']}, {attempt['prompt_version']}, {attempt['made_at']}{old}"]
    lines += [f"{INDENT}text: {attempt['text']}"] if attempt["text"] is not None else []
    lines += [f"{INDENT}why not: {attempt['error']}"] if attempt["error"] else []
    passed = [f"{c['check']} ({c['found']})" if c["found"] else c["check"] for c in attempt["checks"] or () if c["passed"]]
    lines += [f"{INDENT}passed: {', '.join(passed)}"] if passed else []
    spent = f"{attempt['tokens']:,} tokens, cost {attempt['cost']:.5f}, {attempt['latency_s']:.2f} s" if attempt["tokens"] else ""
    return lines + ([f"{INDENT}route {attempt['route']}: {spent}"] if spent else [])


def place_text(percentile: float | None) -> str:
    """ "   (higher than 62 %)": where a number stands among all of the lake."""
    if percentile is None:
        return ""
    digits = 0 if 1 <= percentile <= 99 else 1
    return f"   (higher than {percentile:.{digits}f} %)"


def evidence_text(copy: Mapping[str, Any]) -> str:
    """ ", 4 bits of phash, 2 bits of dhash": how near a copy is to the kept one; empty for the kept one and for equal files."""
    if not copy["is_duplicate"]:
        return ""
    return "".join(f", {_value(copy[name])} {unit}" for name, unit in EVIDENCE.items() if copy.get(name) is not None)


def signal_text(value: Any, name: str) -> str:
    """A signal's value as a person reads it; a seed is no quantity and keeps its digits."""
    return str(value) if name.endswith("seed") else _value(value)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and len(value) > 8:
        return f"{len(value)} values"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if value < 1 << 40 else f"{value:016x} (hex)"
    return str(value)
