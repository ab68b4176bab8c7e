"""The checks, one function each: None when it passed, "=..." when it passed and saw something worth telling, else what is wrong."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache

from operators.caption_quality import words_and_repetition
from operators.captions.answer_patterns import CHATTER, DANGLING, END, MARKUP, REFUSAL
from operators.captions.answers import View
from operators.captions.events import out_of_order
from operators.captions.instructions import speaks_to_model
from operators.captions.prompts import Prompt
from operators.captions.repeats import without_repeats
from operators.captions.structured import EVENTS, read_structured, render
from operators.captions.support import misplaced, unsupported_numbers, unsupported_words
from operators.captions.words import FUNCTION, HAN, LATIN, ngrams, tokens

LEAK, RUN = 7, 5
"""So many words in a row of the prompt, or of an example, that the caption does not have were copied from there."""
Runs = frozenset[tuple[str, ...]]
SURE = 0.7
"""Language is compared when both texts are of a language with at least this probability."""
SHORTEST_FOR_LANGUAGE = 4
SCRIPTS = {
    "Han": HAN,
    "Latin": LATIN,
    "Cyrillic": re.compile(r"[\u0400-\u04ff]"),
    "kana": re.compile(r"[\u3040-\u30ff]"),
    "Hangul": re.compile(r"[\uac00-\ud7af]"),
    "Arabic": re.compile(r"[\u0600-\u06ff]"),
    "Devanagari": re.compile(r"[\u0900-\u097f]"),
    "Thai": re.compile(r"[\u0e00-\u0e7f]"),
}


def refusal(view: View) -> str | None:
    if view.answer.finish_reason == "content_filter":
        return "the server's content filter stopped it"
    match = REFUSAL.search(view.text)
    return f'"{match[0].strip()}"' if match and not _in_source(match[0], view) else None


def truncation(view: View) -> str | None:
    if view.answer.finish_reason == "length":
        return "it reached max_tokens"
    text = view.text.rstrip()
    if text.endswith(END):
        return None
    words = tokens(text)
    if words and (words[-1] in DANGLING or text.endswith((",", "-", "–", ":", ";"))):
        return f"it ends with {text[-12:]!r}"
    if view.text_only and words:
        source = tokens(view.question.caption)
        if words[-1] not in source and any(word.startswith(words[-1]) and len(word) > len(words[-1]) + 1 for word in source):
            return f"it ends within a word: {words[-1]!r}"
        for i in range(len(source) - 2):
            left = [word for word in source[i + 2 :] if word not in FUNCTION]
            if source[i : i + 2] == words[-2:] and left and not set(left) & set(words):
                return f"it ends before {source[i + 2]!r}"
    elif len(words) >= 8 and not HAN.search(text[-1]):
        return "the last sentence has no end"
    return None


def length(view: View) -> str | None:
    count = words_and_repetition(view.text)[0]
    settings = view.settings
    most, least = settings.max_words, settings.min_words
    if view.text_only:
        before = words_and_repetition(view.question.caption)[0]
        most = min(most, int(settings.max_growth * before) + 8)
        least = max(least, int(settings.min_kept * before)) if before <= settings.max_words else least
    return f"{count} words; {least} to {most} are wanted" if not least <= count <= most else f"={count} words"


def repetition(view: View) -> str | None:
    share, before = words_and_repetition(view.text)[1], words_and_repetition(view.question.caption)[1]
    if share > max(view.settings.max_repetition, before + 0.15):
        return f"{share:.0%} of the word pairs were there before"
    again = without_repeats(view.text)
    if again != view.text and without_repeats(view.question.caption) == view.question.caption:
        return "a phrase is told twice in a row"
    counts = Counter(ngrams(tokens(view.text), 4))
    return "four words in a row are told three times" if max(counts.values(), default=0) > 2 else None


def markup(view: View) -> str | None:
    match = MARKUP.search(view.text)
    if match:
        return f"{match[0].strip()[:40]!r}"
    return "it has several lines" if "\n" in view.text.strip() and view.question.mode == "rephrase" else None


def chatter(view: View) -> str | None:
    match = CHATTER.search(view.text)
    return f'"{match[0].strip()}"' if match and not _in_source(match[0], view) else None


def language(view: View) -> str | None:
    wanted, source, text = view.settings.language, view.question.caption, view.text
    if wanted == "any":
        return None
    script, before = _script(text), _script(source)
    if wanted == "same" and view.text_only and script and before and script != before:
        return f"{script} letters, the caption has {before} ones"
    if view.identify is None or words_and_repetition(text)[0] < SHORTEST_FOR_LANGUAGE:
        return None
    found, sure = view.identify(text.lower())
    if wanted != "same":
        return f"{found}, not {wanted}" if found != wanted and sure >= SURE else f"={found}"
    if not view.text_only:  # the prompts ask for English
        wanted = "en"
        return f"{found}, not {wanted}" if found != wanted and sure >= SURE else f"={found}"
    expected, source_sure = view.identify(source.lower())
    different = found != expected and sure >= SURE and source_sure >= SURE and words_and_repetition(source)[0] >= SHORTEST_FOR_LANGUAGE
    return f"{found}, the caption is {expected}" if different else f"={found}"


def _script(text: str) -> str | None:
    counts = {name: len(pattern.findall(text)) for name, pattern in SCRIPTS.items()}
    if counts["kana"]:
        return "kana"
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] * 2 > sum(counts.values()) else None


def echo(view: View) -> str | None:
    """Words of the prompt, or of its examples, that are no part of the caption."""
    words = tokens(view.text)
    source = tokens(" ".join(view.sources))
    told, examples = _prompt_words(view.question.prompt)
    if (leaked := told.intersection(ngrams(words, LEAK))) and leaked.difference(ngrams(source, LEAK)):
        return "words of the prompt"
    for shown, runs in examples:
        if words == shown and set(words).difference(source):
            return "an example's answer"
        copied = runs.intersection(ngrams(words, RUN))
        if new := [gram for gram in ngrams(words, RUN) if gram in copied and set(gram).difference(source)]:
            return f"an example's words: {' '.join(new[0])}"
    if '"caption"' in view.text or '"facts"' in view.text:
        return "the form of the question"
    return None


@lru_cache(maxsize=32)
def _prompt_words(prompt: Prompt) -> tuple[Runs, tuple[tuple[tuple[str, ...], Runs], ...]]:
    """Runs of words of the system text, and the words and runs of words of each example's answer."""
    shown = [tokens(render(read_structured(text)) if prompt.mode == "structured" else text) for text in prompt.examples]
    return frozenset(ngrams(tokens(prompt.system), LEAK)), tuple((words, frozenset(ngrams(words, RUN))) for words in shown)


def instructions(view: View) -> str | None:
    """What reads like an instruction to a model does not describe a picture, whoever wrote it first."""
    return "it speaks to a model" if speaks_to_model(view.text) else None


def support_words(view: View) -> str | None:
    if not view.text_only:
        return None
    new = unsupported_words(view.text, view.sources)
    if len(new) > view.settings.max_unsupported:
        return ", ".join(new[:8])
    swapped = misplaced(view.text, view.question.caption)
    return ", ".join(swapped[:4]) if swapped else None


def support_numbers(view: View) -> str | None:
    new = unsupported_numbers(view.text, view.sources) if view.text_only else []
    return ", ".join(new[:8]) or None


def event_order(view: View) -> str | None:
    text = ". Then ".join(view.structured[EVENTS]) if view.structured else view.text
    return out_of_order(text, view.question.caption)


def prohibited(view: View) -> str | None:
    for word in view.settings.prohibited:
        if re.search(rf"(?<!\w){re.escape(word)}(?!\w)" if word.isascii() else re.escape(word), view.text, re.I):
            return f"{word!r}"
    return None


CHECKS: Mapping[str, Callable[[View], str | None]] = {
    "refusal": refusal,
    "truncation": truncation,
    "length": length,
    "repetition": repetition,
    "markup": markup,
    "chatter": chatter,
    "language": language,
    "echo": echo,
    "instructions": instructions,
    "support_words": support_words,
    "support_numbers": support_numbers,
    "event_order": event_order,
    "prohibited": prohibited,
}


def _in_source(phrase: str, view: View) -> bool:
    return view.text_only and phrase.strip().lower() in view.question.caption.lower()
