"""Takes repeated phrases out of a caption: ``red shoes red shoes red shoes`` -> ``red shoes``."""

import re

from operators.captions.junk_patterns import STUTTER

LONGEST_PHRASE = 40
"""Words of a phrase whose repetition is looked for."""
HAN_REPEAT = re.compile(r"([\u3400-\u9fff]{3,30}?)(?:[，、。 ]?\1)+|([\u3400-\u9fff]{2})(?:\2){2,}")
"""Chinese doubles words on purpose (一个一个, 高高兴兴), so units of two characters must come three times."""
MOST_WORDS = 400
"""Only so many words are searched: time grows with their square."""


def without_repeats(text: str) -> str:
    """Repetitions of neighbouring phrases and of whole sentences are told once; "very very" and the like stay."""
    if not text.isascii():
        text = HAN_REPEAT.sub(lambda m: m[1] or m[2], text)
    text = STUTTER.sub(r"\1", text)
    words = text.split(" ")
    bare = [word.strip(".,;:!?|-").lower() for word in words]
    if len(words) <= MOST_WORDS and len(set(bare)) < len(bare):
        kept = _phrases(words, bare)
        text = text if len(kept) == len(words) else " ".join(kept)
    return _sentences(text)


def _phrases(words: list[str], bare: list[str]) -> list[str]:
    kept: list[str] = []
    at = 0
    while at < len(words):
        size, times = _repeat(bare, at)
        if times > 1:
            last = at + size * times
            kept += [*words[at : at + size - 1], words[last - 1]]  # the punctuation of the last one ends them all
            at = last
        else:
            kept.append(words[at])
            at += 1
    return kept


def _repeat(bare: list[str], at: int) -> tuple[int, int]:
    """Size of the shortest phrase that begins here and follows itself, and how often it stands."""
    for size in range(1, min(LONGEST_PHRASE, (len(bare) - at) // 2) + 1):
        phrase = bare[at : at + size]
        times = 1
        while bare[at + size * times : at + size * (times + 1)] == phrase:
            times += 1
        wanted = 3 if size == 1 else 2
        if times >= wanted and any(phrase):
            return size, times
    return 0, 1


def _sentences(text: str) -> str:
    parts = re.split(r"((?<=[.!?。！？])\s*|\s+[-–—]\s+|\s*\|\s*|\n+)", text)
    if len(parts) < 3:
        return text
    seen: set[str] = set()
    kept: list[str] = []
    dropped = False
    for i in range(0, len(parts), 2):
        plain = re.sub(r"\W+", " ", parts[i]).strip().lower()
        if plain and plain in seen and len(plain) > 3:
            dropped = True
            continue
        seen.add(plain)
        kept += [parts[i - 1], parts[i]] if kept else [parts[i]]
    return "".join(kept) if dropped else text
