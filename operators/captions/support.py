"""Finds what a rewritten caption says that its source does not: content words, numbers, and who has which colour or count.

Lexical on purpose: what cannot be traced to a word of the source, its stem or a listed synonym counts as invented. It cannot tell who
did what to whom: "a dog chases a cat" supports "a cat chases a dog".
"""

import itertools
from collections.abc import Sequence

from operators.captions.words import COLOURS, FUNCTION, HAN, LATIN, allowed, number, numbers, stem, tokens

SHORTEST_PREFIX, LONGEST_ENDING = 4, 3
"""Two stems are of one family when the shorter (of at least so many letters) begins the longer, which has at most so many more."""
HAN_FUNCTION = frozenset(
    "的了着过在是有和与及或一个只名位条张把上下里中外前后左右边旁这那其他她它们被把将从向往到对给为于以也都正很地得来去起"
)
HAN_SHARE = 0.2
"""Share of a Chinese caption's characters that may be new: it has many words for one thing."""
CONTENT_COLOURS = frozenset(stem(colour) for colour in COLOURS)


def unsupported_words(text: str, sources: Sequence[str]) -> list[str]:
    """Content words of ``text`` that none of the sources supports, in order; for Chinese, new characters if there are too many."""
    words = [word for source in sources for word in tokens(source)]
    known = {stem(word) for word in words}
    wider = known.union(*(allowed().get(s, frozenset()) for s in known)) if known else known
    joined = {a + b for a, b in itertools.pairwise(words)}
    found = [
        word
        for word in dict.fromkeys(tokens(text))
        if word not in FUNCTION
        and number(word) is None
        and not _supported(word, wider, known)
        and word not in joined
        and not _parts(word, wider)
    ]
    return found + _unsupported_han(text, "".join(sources))


def _supported(word: str, wider: set[str] | frozenset[str], known: set[str]) -> bool:
    root = stem(word)
    if root in wider:
        return True
    if word.endswith(("er", "or")) and len(word) > 4:
        for base in {word[:-2], word[:-3], word[:-1]}:
            if len(base) > 2 and stem(base) in known:
                return True
    return any(_family(root, other) for other in known)


def _family(one: str, two: str) -> bool:
    short, long = sorted((one, two), key=len)
    if len(short) == 3 and long in (short + "i", short + "y", short + short[-1] + "i"):  # sun, sunny
        return True
    return len(short) >= SHORTEST_PREFIX and len(long) - len(short) <= LONGEST_ENDING and long.startswith(short)


def _parts(word: str, known: set[str] | frozenset[str]) -> bool:
    """Whether a compound ("snowball") is made of two known words."""
    return any(stem(word[:i]) in known and stem(word[i:]) in known for i in range(3, len(word) - 2))


def _unsupported_han(text: str, source: str) -> list[str]:
    content = [c for c in HAN.findall(text) if c not in HAN_FUNCTION]
    if not content or not HAN.search(source):
        return []
    new = [c for c in content if c not in source]
    return list(dict.fromkeys(new)) if len(new) > max(1, HAN_SHARE * len(content)) else []


def unsupported_numbers(text: str, sources: Sequence[str]) -> list[str]:
    """Numbers, as digits or words, that are in no source. "One" is supported by a singular."""
    known = set().union(*(numbers(source) for source in sources))
    singular = any(word in ("a", "an", "another", "single", "one", "lone", "the") for source in sources for word in tokens(source))
    new = numbers(text) - known - ({1.0} if singular or not LATIN.search(text) else set())
    return [f"{value:g}" for value in sorted(new)]


def misplaced(text: str, source: str) -> list[str]:
    """Colours and counts that stand with another noun than in the source: "blue shirt" where the shirt was red."""
    before, after = _bound(source), _bound(text)
    heads: dict[str, set[str]] = {}
    for attribute, head in before:
        heads.setdefault(head, set()).add(attribute)
    return [f"{attribute} {head}" for attribute, head in dict.fromkeys(after) if head in heads and attribute not in heads[head]]


def _bound(text: str) -> list[tuple[str, str]]:
    """Pairs of an attribute and the noun it stands before; only the two words behind the attribute are looked at."""
    words = tokens(text)
    pairs = []
    for i, word in enumerate(words):
        value = number(word)
        kind = stem(word) if stem(word) in CONTENT_COLOURS else f"{value:g}" if value is not None and value != 1 else None
        if kind is None:
            continue
        for head in words[i + 1 : i + 3]:
            if head in FUNCTION:
                break
            if stem(head) not in CONTENT_COLOURS and number(head) is None:
                pairs.append((kind, stem(head)))
                break
    return pairs
