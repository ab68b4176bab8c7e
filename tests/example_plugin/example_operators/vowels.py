"""An operator of a third party."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from operators.base import BatchFn, Reads, Row, Scope, field, per_row


@dataclass(frozen=True)
class CaptionVowels:
    """Share of vowels among the letters of a caption; ``vowels`` says which letters count."""

    vowels: str = "aeiou"

    name, version, gpus = "caption_vowels", "1", 0.0
    scope: ClassVar[Scope] = "batch"
    reads = Reads(columns=("caption",))
    adds = pa.schema([field("caption_vowels", pa.float32(), "vowels among letters; null without letters", "0-1")])

    def open(self) -> BatchFn:
        def measure(row: Row) -> dict[str, Any]:
            letters = [letter for letter in (row["caption"] or "").lower() if letter.isalpha()]
            return {"caption_vowels": sum(letter in self.vowels for letter in letters) / len(letters) if letters else None}

        return per_row(self.adds, measure)
