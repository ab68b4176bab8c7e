"""Words of a caption in a form that can be compared: stems, synonyms, numbers."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

IRREGULAR = {
    **dict.fromkeys(("men",), "man"),
    **dict.fromkeys(("women",), "woman"),
    **dict.fromkeys(("children",), "child"),
    **dict.fromkeys(("people", "persons"), "person"),
    **dict.fromkeys(("feet",), "foot"),
    **dict.fromkeys(("teeth",), "tooth"),
    **dict.fromkeys(("geese",), "goose"),
    **dict.fromkeys(("mice",), "mouse"),
    **dict.fromkeys(("wolves",), "wolf"),
    **dict.fromkeys(("knives",), "knife"),
    **dict.fromkeys(("scarves",), "scarf"),
    **dict.fromkeys(("shelves",), "shelf"),
    **dict.fromkeys(("leaves",), "leaf"),
}
_VERBS = (
    "run ran; sit sat; stand stood; hold held; throw threw thrown; catch caught; ride rode ridden; drive drove driven; swim swam swum; eat ate eaten; "
    "drink drank drunk; lie lay lain lying; fly flew flown flies; fall fell fallen; go went gone goes; come came; see saw seen; take took taken; "
    "give gave given; "
    "wear wore worn; fight fought; hit hits hitting; speak spoke spoken; write wrote written; sing sang sung; buy bought; bring brought; build built; "
    "sleep slept; keep kept; leap leapt; blow blew blown; draw drew drawn; grow grew grown; sell sold; shake shook shaken; shoot shot; "
    "slide slid; swing swung; stick stuck; hang hung; hide hid hidden; bite bit bitten; break broke broken; climb climbs; lead led; leave left; "
    "make made; read reads; ring rang rung; rise rose risen; send sent; spin spun; spread spreads; spring sprang; steal stole stolen; sweep swept; "
    "teach taught; tell told; wake woke; win won; dive dove; dig dug; feed fed; kneel knelt; light lit; meet met; ski skis skiing skied; tie tying"
)
for _verb in _VERBS.split(";"):
    _base, *_forms = _verb.split()
    IRREGULAR |= dict.fromkeys(_forms, _base)

FUNCTION = frozenset(
    ["a", "an", "the", "this", "that", "these", "those", "some", "any", "each", "every", "all", "another", "other", "others", "such", "same", "own", "it", "its", "he", "him", "his", "she", "her", "hers", "they", "them", "their", "theirs", "we", "us", "our", "you", "your", "i", "me", "my", "who", "whom", "whose", "which", "what", "where", "when", "while", "as", "and", "or", "but", "nor", "so", "yet", "than", "then", "also", "too", "both", "either", "neither", "of", "in", "on", "at", "to", "from", "by", "for", "with", "into", "onto", "upon", "over", "under", "above", "below", "up", "down", "out", "off", "through", "across", "along", "around", "about", "against", "among", "between", "near", "beside", "besides", "behind", "before", "after", "during", "until", "within", "toward", "towards", "inside", "outside", "past", "via", "per", "like", "next", "close", "together", "there", "here", "is", "are", "was", "were", "be", "been", "being", "am", "has", "have", "having", "had", "do", "does", "doing", "did", "can", "could", "will", "would", "may", "might", "must", "shall", "should", "get", "gets", "getting", "got", "very", "just", "only", "even", "still", "again", "back", "away", "now", "once", "more", "most", "much", "many", "few", "lot", "lots", "kind", "sort", "type", "piece", "set", "bit", "part", "way", "thing", "things", "something", "someone", "somebody", "one", "ones", "itself", "himself", "herself", "themselves", "because", "if", "though", "although", "since", "however", "else", "photo", "photograph", "photographed", "picture", "image", "shot", "view", "scene", "caption", "shown", "showing", "show", "shows", "seen", "visible", "depict", "depicts", "depicting", "depicted", "feature", "features", "featuring", "featured", "display", "displays", "displayed", "appear", "appears", "appearing", "made", "what's", "it's", "there's", "that's", "he's", "she's", "they're", "doing", "s", "t", "d", "m", "re", "ve", "ll"]
)  # fmt: skip
"""Words that may be added without saying more about a picture. "No", "not" and "without" are not here: they say the opposite."""
NUMBERS = {
    word: n
    for n, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
    )
} | {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "hundred": 100, "thousand": 1000, "dozen": 12, "couple": 2, "pair": 2, "both": 2, "twice": 2, "trio": 3}  # fmt: skip
HAN_NUMBERS = {"一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9, "十": 10}
COLOURS = frozenset(
    [
        "red",
        "orange",
        "yellow",
        "green",
        "blue",
        "purple",
        "violet",
        "pink",
        "brown",
        "black",
        "white",
        "gray",
        "grey",
        "golden",
        "gold",
        "silver",
        "tan",
        "beige",
        "maroon",
        "turquoise",
        "teal",
        "navy",
        "crimson",
    ]
)
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+(?:[.,]\d+)*")
HAN = re.compile(r"[\u3400-\u9fff]")
LATIN = re.compile(r"[a-zA-Z]")


@lru_cache(maxsize=512)
def tokens(text: str) -> tuple[str, ...]:
    """Words and numbers, lower case, possessive endings and hyphens away."""
    return tuple(word.lower().removesuffix("'s").removesuffix("’s") for word in WORD.findall(text) if not HAN.search(word))


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Snowball's English stem (Porter 2001) of a word's base form."""
    return str(_stemmer()(IRREGULAR.get(word, word)))


@lru_cache(maxsize=1)
def _stemmer():  # type: ignore[no-untyped-def]
    import snowballstemmer

    return snowballstemmer.stemmer("english").stemWord


def number(word: str) -> float | None:
    """The value of a number in digits or words."""
    if word[:1].isdigit():
        try:
            return float(word.replace(",", ""))
        except ValueError:
            return None
    return NUMBERS.get(word)


def numbers(text: str) -> set[float]:
    found = {value for word in tokens(text) if (value := number(word)) is not None}
    return found | {
        float(HAN_NUMBERS[c]) for c in re.findall(r"[一二两三四五六七八九十](?=[只个名位条匹辆头朵棵张把架艘座件双对群])", text)
    }


@lru_cache(maxsize=1)
def allowed() -> dict[str, frozenset[str]]:
    """Stem of a word -> stems of the words that may stand for it."""
    found: dict[str, set[str]] = {}
    for line in (Path(__file__).parent / "synonyms.txt").read_text(encoding="utf-8").splitlines():
        line = line.partition("#")[0].strip()
        if "=" in line:
            group = [stem(word.strip()) for word in line.split("=")]
            for word in group:
                found.setdefault(word, set()).update(group)
        elif ">" in line:
            special, _, general = line.partition(">")
            found.setdefault(stem(special.strip()), set()).update(stem(word.strip()) for word in general.split(","))
    closed = {word: set(others) for word, others in found.items()}
    for word, others in closed.items():  # one step further: kid = child, boy > child
        for other in tuple(others):
            closed[word] = closed[word] | found.get(other, set())
    return {word: frozenset(others) for word, others in closed.items()}


def ngrams(words: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[i:] for i in range(size)), strict=False)
