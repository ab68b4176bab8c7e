"""Checks a model's answer before it may stand for a caption. Every check has a name, and says what it found.

An answer is accepted when all checks that could be made passed; what they found is stored with it, so that it can be asked for later.
"""

import re
from typing import Any

from operators.caption_quality import Identify
from operators.captions.answers import Answer, CheckSettings, Found, Judged, Question, View
from operators.captions.check_rules import CHECKS
from operators.captions.structured import read_structured, render

CHECK_NAMES = ("schema", *CHECKS, "clip_score")


def judge(answer: Answer, question: Question, settings: CheckSettings, identify: Identify | None) -> Judged:
    """All checks that need no picture. ``identify``: the language of a text; None: not compared."""
    structured: dict[str, Any] | None = None
    text = _answer_itself(answer.text, question.caption)
    schema = Found("schema", True)
    if question.mode == "structured":
        try:
            structured = read_structured(text)
            text = render(structured)
        except ValueError as error:
            schema = Found("schema", False, f"the answer {error}")
    if answer.tool_calls:
        schema = Found("schema", False, "the answer calls a tool")
    if not text:
        return Judged(None, None, (Found("schema", False, schema.found or "the answer is empty"),))
    view = View(text, answer, question, settings, identify, structured)
    names = [name for name in CHECKS if name not in settings.off]
    if not schema.passed:  # what does not have the form is only looked at for the plainest reasons
        names = [name for name in names if name in ("refusal", "truncation", "instructions")]
    found = [Found(name, *_said(CHECKS[name](view))) for name in names]
    return Judged(text, structured, tuple([schema, *found]))


def _answer_itself(text: str, caption: str) -> str:
    """Without what the model thought before it, and without quotation marks around all of it that the caption does not have."""
    text = text.rpartition("</think>")[2].strip()
    quoted = re.fullmatch(r'["“]([^"“”]+)["”]', text)
    return quoted[1].strip() if quoted and caption.strip()[:1] not in '"“' else text


def _said(said: str | None) -> tuple[bool, str]:
    """A check answers None when it passed; "=..." passed and says what it saw; else what is wrong."""
    return (True, "") if said is None else (True, said[1:]) if said.startswith("=") else (False, said)


def clip_check(before: float | None, after: float | None, settings: CheckSettings) -> Found | None:
    """The cosine with the picture must not fall by more than the margin; None: not known, or switched off."""
    if before is None or after is None or "clip_score" in settings.off:
        return None
    return Found("clip_score", after >= before - settings.max_clip_drop, f"{before:.3f} before, {after:.3f} after")


__all__ = ["CHECK_NAMES", "Answer", "CheckSettings", "Found", "Judged", "Question", "clip_check", "judge"]
