"""Plans an export: its settings, and which samples go into which shard. Pure functions over plain data.

A plan costs 40 bytes a sample while it is made and nothing afterwards but its shards.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa

from manifests.captions import CHOICES
from manifests.errors import UsageError
from operators.plugins import nearest
from pipelines.clip_cutter import Method
from pipelines.shards import BLOCK

FORMAT = "goldsieve-export/1"
WINDOW_ROWS = 50_000
WINDOW_TEXT = 256 << 20
UNITS = {"": 1, "B": 1}
for _power, _prefix in enumerate("KMGT", start=1):
    UNITS |= {f"{_prefix}B": 1000**_power, f"{_prefix}IB": 1024**_power}


@dataclass(frozen=True)
class ExportSettings:
    """What to export. ``to`` is the folder that receives the shards."""

    to: str
    tier: str = "gold"
    seed: int = 0
    shard_size: str = "512MB"
    """Size a shard file should not exceed, unless one sample does: "500KB", "512MB", "1GiB"."""
    max_samples: int | None = None
    """The first so many in the seeded order, which is a uniform random choice."""
    columns: tuple[str, ...] | None = None
    """Signals in the ``.json`` beside the provenance; None: all of ``wide`` except embeddings and times."""
    resize: int | None = None
    """Scale pictures down to this shorter side in pixels and store them as JPEG; None: original bytes."""
    quality: int = 95
    """JPEG quality (1-100) of resized pictures."""
    clips: Method = "encode"
    """How clips are cut: ``copy`` copies packets where that gives exactly the clip's frames and encodes the others."""
    crf: int = 18
    """x264's quality of clips that are encoded, 0 (lossless) to 51."""
    frames: int = 0
    """So many stills beside each clip, as JPEG."""
    captions: str | Mapping[str, float] = "best"
    """Which caption a sample gets: "best", "original", "clean", "rewritten", "rephrase", "recaption", "structured", or shares of these."""
    captions_per_sample: int = 1
    """More than one: the ``.json`` lists so many under ``caption_choices``, the best fit first; the ``.txt`` has that one."""

    def __post_init__(self) -> None:
        parse_size(self.shard_size)
        if self.max_samples is not None and self.max_samples < 1:
            raise UsageError(f"Export setting max_samples is {self.max_samples}: it must be 1 or more.")
        if self.resize is not None and self.resize < 1:
            raise UsageError(f"Export setting resize is {self.resize}: it must be the wanted shorter side in pixels, 1 or more.")
        if not 0 <= self.crf <= 51:
            raise UsageError(f"Export setting crf is {self.crf}: it must be between 0 and 51.")
        if not 0 <= self.frames <= 64:
            raise UsageError(f"Export setting frames is {self.frames}: it must be between 0 and 64.")
        for name, share in self.caption_shares.items():
            if name not in CHOICES:
                raise UsageError(f"Export setting captions names {name!r}; it can be {', '.join(CHOICES)}.{nearest(name, CHOICES)}")
            if not 0 < share < float("inf"):
                raise UsageError(f"Export setting captions gives {name} the share {share}: it must be above 0.")
        if not self.caption_shares or not 1 <= self.captions_per_sample <= 20:
            raise UsageError("Export setting captions is empty, or captions_per_sample is not between 1 and 20.")
        if not 1 <= self.quality <= 100:
            raise UsageError(f"Export setting quality is {self.quality}: it must be between 1 and 100.")

    @property
    def caption_shares(self) -> Mapping[str, float]:
        """The policy as shares."""
        return {self.captions: 1.0} if isinstance(self.captions, str) else self.captions


@dataclass(frozen=True)
class PlannedShard:
    """Samples whose order key lies in ``first..last``; ``text`` is the size of their JSON, about, in bytes."""

    name: str
    first: int
    last: int
    samples: int
    text: int


@dataclass(frozen=True)
class ExportPlan:
    """``digest`` covers settings, recipe and everything that will be written except the media bytes, which their hashes stand for."""

    digest: str
    samples: int
    shards: tuple[PlannedShard, ...]


def parse_size(text: str) -> int:
    """Bytes in "512MB" (10^6), "1GiB" (2^30), "100000". Raises `UsageError`."""
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].upper() not in UNITS or float(match[1]) * UNITS[match[2].upper()] < 1:
        raise UsageError(f"Export setting shard_size is {text!r}: write a number and a unit, such as 512MB or 1GiB.")
    return int(float(match[1]) * UNITS[match[2].upper()])


def plan_export(samples: pa.Table, settings: ExportSettings, recipe_digest: str) -> ExportPlan:
    """Cut samples, in the order and with the columns of `ExportQuery.plan_sql`, into shards. Depends on its arguments alone."""
    keys = samples["order_key"].to_numpy()
    record = samples["record"].to_numpy()
    pads = [-(-samples[name].to_numpy() // BLOCK) * BLOCK + BLOCK for name in ("media", "record", "caption")]
    ends = np.cumsum(pads[0] + pads[1] + pads[2])
    texts = np.cumsum(record + samples["caption"].to_numpy())
    limit = parse_size(settings.shard_size) - 2 * BLOCK
    shards: list[PlannedShard] = []
    start = 0
    while start < len(keys):
        base = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, base + limit, side="right")), start + 1)
        while stop < len(keys) and keys[stop] == keys[stop - 1]:  # shards are fetched by ranges of keys
            stop += 1
        text = int(texts[stop - 1] - (texts[start - 1] if start else 0))
        shards.append(PlannedShard(f"shard-{len(shards):06d}.tar", int(keys[start]), int(keys[stop - 1]), stop - start, text))
        start = stop
    digest = hashlib.sha256(json.dumps([FORMAT, public_settings(settings), recipe_digest], sort_keys=True).encode())
    digest.update(keys.astype("<u8").tobytes())
    digest.update(samples["content"].to_numpy().astype("<u8").tobytes())
    return ExportPlan(digest.hexdigest(), len(keys), tuple(shards))


def public_settings(settings: ExportSettings) -> dict[str, Any]:
    """The settings that decide what is in the shards: all but the folder, and of those for clips what is not as usual."""
    usual = {f.name: f.default for f in fields(settings) if f.name in ("clips", "crf", "frames")}
    return {name: value for name, value in asdict(settings).items() if name != "to" and (name not in usual or value != usual[name])}


def windows(shards: Sequence[PlannedShard]) -> Iterator[list[PlannedShard]]:
    """Neighbouring shards whose rows are fetched by one query: it costs a scan of the lake, its result costs memory."""
    window: list[PlannedShard] = []
    for shard in shards:
        rows, text = sum(s.samples for s in window), sum(s.text for s in window)
        adjacent = bool(window) and _number(shard) == _number(window[-1]) + 1
        if window and (not adjacent or rows + shard.samples > WINDOW_ROWS or text + shard.text > WINDOW_TEXT):
            yield window
            window = []
        window.append(shard)
    if window:
        yield window


def _number(shard: PlannedShard) -> int:
    return int(shard.name[6:-4])
