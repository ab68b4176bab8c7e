"""A caption without web junk, by rule: the offline default of caption rewriting."""

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from operators.base import Batch, BatchFn, Columns, Reads, Scope, columns_from, field
from operators.captions.cleaning import clean


@dataclass(frozen=True)
class Clean:
    """The caption with junk taken out and nothing added; the original stays where it is.

    Taken out, in this order: ``mojibake`` (put right by ftfy), ``markup`` (HTML, shortcodes, Markdown; the text inside stays),
    ``instructions`` (text that speaks to a model), ``contact`` (e-mail, telephone, @names, chat names), ``link``, ``file name``
    (of cameras, and with an image's extension), ``hashtag`` (one that a sentence is made of keeps its word), ``boilerplate``
    (shop, stock-agency and page phrases, prices), ``shouting`` (becomes sentence case), ``repetition``. English and Chinese phrases are
    known; the rest works in any language. The phrases are in `operators.captions.junk_patterns`. docs/captions.md has the figures.
    """

    name, version, gpus = "clean", "1", 0.0
    scope: ClassVar[Scope] = "batch"
    reads = Reads(columns=("caption",))
    adds = pa.schema(
        [
            field("caption_clean", pa.string(), "the caption without junk; null when nothing that describes is left"),
            field("caption_clean_changes", pa.list_(pa.string()), "what was taken out or put right; empty: the caption is as it was"),
        ]
    )

    def open(self) -> BatchFn:
        def run(batch: Batch) -> Columns:
            found = [clean(caption) if caption is not None else None for caption in batch.table["caption"].to_pylist()]
            return columns_from(
                self.adds, [{"caption_clean": one.text, "caption_clean_changes": list(one.changes)} if one else {} for one in found]
            )

        return run
