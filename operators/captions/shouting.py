"""Tones down captions that shout: capitals become sentence case, acronyms stay."""

import re

from operators.captions.junk_patterns import ACRONYMS

SHARE = 0.7
"""A caption shouts when more than this share of its cased letters are capitals,"""
WORDS, LETTERS = 3, 8
"""and it has at least so many words and letters; inside another text so many shouted words in a row are toned down."""
RUN = re.compile(r"\b[A-Z][A-Z'’]+(?:[ ,&-]+(?:[A-Z][A-Z'’]*|\d+)\b){2,}")
"""Three or more words in capitals."""
QUOTES = ('"', "“", "«", "'", "‘", "「")
"""What is quoted stands in the picture as it is written."""
EXCITED = re.compile(r"([!?！？])(?:\s?[!?！？])+")


def calm(text: str) -> str:
    """``A DOG ON THE BEACH!!!`` -> ``A dog on the beach!``. Text without shouting comes back as it is."""
    text = EXCITED.sub(lambda m: m[0][0], text)
    capitals, small = sum(map(str.isupper, text)), sum(map(str.islower, text))
    words = re.findall(r"[^\W\d_]{2,}", text)
    if capitals > SHARE * (capitals + small) and capitals >= LETTERS and len(words) >= WORDS:
        return sentence_case(text)
    return RUN.sub(lambda m: _run(m, text), text)


def _run(match: re.Match[str], text: str) -> str:
    words = re.findall(r"[A-Z'’]+", match[0])
    if text[: match.start()].rstrip().endswith(QUOTES) or sum(word in ACRONYMS for word in words) * 2 >= len(words):
        return match[0]
    before = text[: match.start()].rstrip()
    lowered = " ".join(_word(word, False) for word in match[0].split(" "))
    return lowered if before and before[-1] not in ".!?:|" else lowered[:1].upper() + lowered[1:]


def sentence_case(text: str) -> str:
    """Lower case but for acronyms, "I", and the beginning of each sentence."""
    words = [_word(word, True) for word in re.split(r"(\s+)", text)]
    lowered = "".join(words)
    return re.sub(r"(^[^\w]*|[.!?]\s+)(\w)", lambda m: m[1] + m[2].upper(), lowered)


def _word(word: str, whole: bool) -> str:
    bare = word.strip(".,;:!?'\"()[]")
    if (
        (bare in ACRONYMS and bare not in ("US", "AM", "AD", "ID"))
        or (bare == "US" and not whole)
        or re.fullmatch(r"(?:[A-Z]\.){2,}", word)
    ):
        return word
    return word if bare == "I" else word.lower().replace("i'm", "I'm")
