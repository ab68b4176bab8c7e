"""The README.md of an export: what is in it, by which rules, from where, and how to load it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

BASE_COLUMNS: dict[str, tuple[str, str]] = {
    "sample_id": ("Identity of the sample: the name of its files in the shards.", ""),
    "key": ("The sample's own key in its source.", ""),
    "source": ("Name of the source.", ""),
    "modality": ("image or video.", ""),
    "uri": ("File or archive the bytes were read from.", ""),
    "byte_offset": ("Where the bytes start in it; null: the whole file.", "bytes"),
    "byte_length": ("Size of the original media.", "bytes"),
    "media_hash": ("First 128 bits of the SHA-256 of the original media, written as a UUID.", ""),
    "caption_hash": ("Content address of the caption.", ""),
    "pair_hash": ("Content address of media and caption together.", ""),
    "format": ("Format of the original media.", ""),
    "width": ("Upright width of the original.", "px"),
    "height": ("Upright height of the original.", "px"),
    "aspect": ("Width divided by height.", ""),
    "duration_s": ("Length of a video.", "s"),
    "fps": ("Frame rate of a video.", "1/s"),
    "caption": ("The caption; the same text is in the .txt file.", ""),
    "captions": ("Every caption the source has.", ""),
    "metadata": ("All else the source says.", ""),
    "license": ("Licence as the source states it.", ""),
    "author": ("Author as the source states it.", ""),
    "source_url": ("Where the source says the media came from.", ""),
    "error": ("Why something could not be measured.", ""),
    "tier": ("Tier of the sample.", ""),
    "failed_rules": ("Rules the sample failed.", ""),
    "is_duplicate": ("Whether another sample is kept in place of this one.", ""),
    "duplicate_of": ("The sample kept in place of this one.", ""),
    "duplicate_group": ("Samples with one value show the same picture.", ""),
    "duplicate_kind": ("exact (same bytes) or near.", ""),
    "parent_id": ("The video a clip was cut from.", ""),
    "span_start_s": ("Start of a clip in its video.", "s"),
    "span_end_s": ("End of a clip in its video.", "s"),
    "sample_error": ("Why the media could not be read.", ""),
}
"""What the columns that no operator adds mean: (text, unit)."""


@dataclass(frozen=True)
class CardFacts:
    """What others know about an export.

    ``rules``: (tier, rule name, SQL), in order. ``funnel``: rows of a table, all with the same keys, such as
    ``{"step": "big enough", "passed": 812, "failed": 40}``. ``columns``: text and unit of operator columns.
    """

    rules: Sequence[tuple[str, str, str]] = ()
    funnel: Sequence[Mapping[str, Any]] = ()
    columns: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def data_card(index: Mapping[str, Any], breakdown: Sequence[Mapping[str, Any]], facts: CardFacts, snapshot: int) -> str:
    """Markdown. ``index`` is the content of index.json; ``breakdown`` has source, license, samples, captioned, bytes.

    Whatever came from data or recipes is shown as text, never as markup.
    """
    settings = index["settings"]
    parts = [
        f"# {cell(index['recipe'])}: {index['samples']:,} samples of tier {cell(settings['tier'])}",
        f"{len(index['shards'])} WebDataset shards, {index['bytes'] / 1e6:,.1f} MB. {_left_out(index)}",
        _table(
            ("Made from", ""),
            [
                ("manifest snapshot", snapshot),
                ("recipe digest", index["recipe_digest"]),
                ("seed", settings["seed"]),
                ("plan digest", index["plan"]),
                ("media", _media(settings)),
                ("files", ", ".join(f"{count:,} .{name}" for name, count in index["extensions"].items())),
            ],
        ),
        "The same data, recipe, seed and settings give the same shards, byte for byte. `goldsieve verify` checks them.",
        "## Rules",
        _table(("tier", "rule", "condition"), facts.rules) if facts.rules else "No rules were given.",
        "## Funnel",
        _table(tuple(facts.funnel[0]), [tuple(row.values()) for row in facts.funnel]) if facts.funnel else "No funnel was given.",
        "## Sources and licences",
        "Planned samples, by what their sources state. An empty licence means that the source states none.",
        _table(
            ("source", "licence", "samples", "with caption", "original MB"),
            [(r["source"], r["license"], r["samples"], r["captioned"], round(float(r["bytes"]) / 1e6, 1)) for r in breakdown],
        ),
        "## What a sample is",
        f"Adjacent files with one name, the sample's id: {_alternatives(index)} (media), `.json` (below) "
        "and `.txt` (caption in UTF-8; absent when there is none).",
        _columns(index["columns"], facts.columns),
        "Hashes are 16 hexadecimal digits. Numbers that are not finite are null.",
        "## How to load it",
        "With `webdataset`, for example in a PyTorch `DataLoader`:",
        f"```python\n{webdataset_snippet(index)}```",
        "With `datasets`:",
        f"```python\n{datasets_snippet(index)}```",
    ]
    return "\n\n".join(parts) + "\n"


def webdataset_snippet(index: Mapping[str, Any]) -> str:
    """Python that loads the export in the current folder; a test runs it."""
    media = json.dumps(list(index["extensions"]))
    if "mp4" in index["extensions"]:
        return video_snippet()
    return f"""import io, json, pathlib
import torch
import webdataset as wds
from PIL import Image

def load(sample):
    media = next(sample[name] for name in {media} if name in sample)
    caption = sample["txt"].decode() if "txt" in sample else None
    return {{"image": Image.open(io.BytesIO(media)).convert("RGB"), "caption": caption, "facts": json.loads(sample["json"])}}

shards = [shard["name"] for shard in json.loads(pathlib.Path("index.json").read_text())["shards"]]
dataset = wds.WebDataset(shards, shardshuffle=100, empty_check=False).shuffle(1000).map(load)
loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=2)
for sample in loader:
    print(sample["image"].size, sample["facts"]["sample_id"], sample["facts"]["license"])
"""


def video_snippet() -> str:
    """Python that decodes the clips of the export in the current folder."""
    return """import io, json, pathlib
import av
import webdataset as wds

shards = [shard["name"] for shard in json.loads(pathlib.Path("index.json").read_text())["shards"]]
for sample in wds.WebDataset(shards, shardshuffle=False, empty_check=False):
    with av.open(io.BytesIO(sample["mp4"])) as clip:
        frames = [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]
    facts = json.loads(sample["json"])
    print(len(frames), frames[0].shape, facts["key"], facts["clip"]["frame_hash"])
"""


def datasets_snippet(index: Mapping[str, Any]) -> str:
    """Python that loads the export in the current folder; a test runs it."""
    features = "".join(f', "{name}": Image()' for name in index["extensions"])
    return f"""from datasets import Features, Image, Json, Value, load_dataset

features = Features({{"__key__": Value("string"), "__url__": Value("string"){features}, "txt": Value("string"), "json": Json()}})
dataset = load_dataset("webdataset", data_files="shard-*.tar", features=features, split="train")
"""


def cell(value: Any) -> str:
    """``value`` as text in a Markdown table: one line, at most 200 characters, no markup."""
    text = " ".join(str("" if value is None else value).split())
    text = "".join(c if c.isprintable() else " " for c in text)
    text = text if len(text) <= 200 else text[:199] + "…"
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join("\\" + c if c in "\\`*_[]|~#!" else c for c in text)


def _table(head: Sequence[Any], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join("---" if c == "---" else cell(c) for c in line) + " |" for line in lines)


def _columns(names: Sequence[str], documented: Mapping[str, tuple[str, str]]) -> str:
    known = {**BASE_COLUMNS, **documented}
    return _table(("column", "meaning", "unit"), [(name, *known.get(name, ("", ""))) for name in names])


def _left_out(index: Mapping[str, Any]) -> str:
    if not index["left_out"]:
        return "Every planned sample is in them."
    return f"{index['left_out']:,} planned samples are not: their files are gone or have changed (left_out.jsonl names them)."


def _media(settings: Mapping[str, Any]) -> str:
    if settings["resize"] is None:
        return "original bytes; clips are cut out of their videos, the `.json` says how"
    return f"shorter side at most {settings['resize']} px, JPEG quality {settings['quality']}; smaller pictures as they were"


def _alternatives(index: Mapping[str, Any]) -> str:
    return " or ".join(f"`.{name}`" for name in index["extensions"]) or "media"
