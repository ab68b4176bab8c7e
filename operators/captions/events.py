"""The order of events in a caption, as far as its words tell it: "A, then B", "B after A", "before B, A"."""

import itertools
import re

from operators.captions.words import FUNCTION, HAN, stem, tokens

FORWARD = re.compile(
    r"[,;.]?\s*\b(?:and then|then|after that|afterwards?|later|next|subsequently|finally|followed by|"
    r"before(?= \w+ing\b| (?:a|the|he|she|it|they)\b))\b[,]?\s*"
    r"|[，。；]?(?:然后|接着|随后|之后|最后|再)",
    re.I,
)
BACKWARD = re.compile(r"[,;]?\s*\b(?:after (?=\w+ing\b|having\b|(?:a|an|the|he|she|it|they)\b)|once\b|having (?=\w+ed\b))\s*", re.I)


def events(text: str) -> list[list[str]]:
    """Content stems of each event, in the order in which they happen; one event when no word tells an order."""
    parts: list[str] = []
    for sentence in re.split(r"(?<=[.!?。！？])\s+", text):
        parts += _in_order(sentence)
    return [content for part in parts if (content := _content(part))]


def _in_order(sentence: str) -> list[str]:
    leading = re.match(r"\s*(?:after|once|having)\s+(.*?),\s*(.*)", sentence, re.I | re.S)
    if leading:
        return [leading[1], *_in_order(leading[2])]
    leading = re.match(r"\s*before\s+(.*?),\s*(.*)", sentence, re.I | re.S)
    if leading:
        return [*_in_order(leading[2]), leading[1]]
    forward = [part for part in FORWARD.split(sentence) if part.strip()]
    found: list[str] = []
    for part in forward:
        halves = BACKWARD.split(part, maxsplit=1)
        found += [halves[1], halves[0]] if len(halves) == 2 and halves[0].strip() else [part]
    return found


def _content(part: str) -> list[str]:
    han = HAN.findall(part)
    return [stem(word) for word in tokens(part) if word not in FUNCTION] + han


def out_of_order(text: str, source: str) -> str | None:
    """Two events of the source whose order the text turns round, in words; None: the order is kept, or nothing tells one.

    Events are known again by the content words that only one of the source's events has.
    """
    before = events(source)
    if len(before) < 2:
        return None
    own = [{w for w in words if sum(w in other for other in before) == 1} for words in before]
    sequence: list[int] = []
    told = events(text)
    if len(told) == 1:  # no word tells the order: then it is that of the words
        told = [[word] for word in told[0]]
    for words in told:
        shared = [len(one & set(words)) / max(len(one), 1) for one in own]  # the first event often names who does all of them
        best = max(range(len(own)), key=lambda i: shared[i])
        if shared[best] and shared.count(shared[best]) == 1:
            sequence.append(best)
    for one, two in itertools.pairwise(sequence):
        if two < one:
            return f"{' '.join(before[one][:4])} now comes before {' '.join(before[two][:4])}"
    return None
