"""What is asked, answered and found when a model's answer is checked: plain data."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from operators.caption_quality import Identify
from operators.captions.answer_patterns import PROHIBITED
from operators.captions.prompts import Mode, Prompt


@dataclass(frozen=True)
class CheckSettings:
    """What an answer must be like. A recipe's ``captions.checks``."""

    min_words: int = 2
    max_words: int = 120
    max_growth: float = 2.5
    """Rephrasing: at most so many times the words of the caption (and eight more)."""
    min_kept: float = 0.34
    """Rephrasing: at least this share of the caption's words."""
    max_repetition: float = 0.35
    """Share of word pairs seen before, unless the caption repeats itself as much."""
    language: str = "same"
    """"same" (as the caption), "any", or an ISO 639-1 code."""
    max_unsupported: int = 0
    """Rephrasing: so many content words may be new."""
    max_clip_drop: float = 0.05
    """The cosine of picture and caption must not fall by more, on the encoder's scale. Checked where the lake has image_embedding."""
    prohibited: tuple[str, ...] = PROHIBITED
    off: tuple[str, ...] = ()
    """Names of checks that are not made."""


@dataclass(frozen=True)
class Answer:
    """What a model answered: its text, why it stopped ("stop", "length", "content_filter", ...), and whether it tried to call a tool."""

    text: str
    finish_reason: str = "stop"
    tool_calls: bool = False


@dataclass(frozen=True)
class Question:
    """What it was asked: ``caption`` as it was sent, ``original`` as the sample has it, ``facts`` by name."""

    mode: Mode
    caption: str
    prompt: Prompt
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """One check's verdict. ``found``: what it saw, for people."""

    check: str
    passed: bool
    found: str = ""


@dataclass(frozen=True)
class Judged:
    """``text``: the caption, rendered from ``structured`` if there is one; None when there is nothing to show."""

    text: str | None
    structured: Mapping[str, Any] | None
    checks: tuple[Found, ...]

    @property
    def accepted(self) -> bool:
        return all(one.passed for one in self.checks)

    @property
    def reasons(self) -> list[str]:
        return [one.check for one in self.checks if not one.passed]


@dataclass(frozen=True)
class View:
    """All that a check may look at. ``text``: the caption, rendered if it was structured."""

    text: str
    answer: Answer
    question: Question
    settings: CheckSettings
    identify: Identify | None
    structured: Mapping[str, Any] | None

    @property
    def text_only(self) -> bool:
        return self.question.mode == "rephrase"

    @property
    def sources(self) -> list[str]:
        return [self.question.caption, " ".join(_words_of(self.question.facts))]


def _words_of(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from (str(name).replace("_", " "), *_words_of(inner))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _words_of(inner)
    elif value is not None:
        yield str(value)
