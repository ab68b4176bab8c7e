"""Hard negatives by rule: captions that are wrong in one thing a model should see (order, attribute, count), made from structured ones.

After ARO (Yuksekgonul et al. 2023) and SugarCrepe (Hsieh et al. 2023): the words stay, so what looks at words alone cannot tell them apart.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from operators.captions.structured import EVENTS, FIELDS, render
from operators.captions.words import COLOURS, NUMBERS

_COLOUR = re.compile(rf"\b({'|'.join(sorted(COLOURS))})\b", re.I)
_COUNT = re.compile(r"\b(two|three|four|five|six|seven|eight|nine|ten|[2-9]|10)\b(?=\s+[a-z])", re.I)
_WORDS = {n: word for word, n in NUMBERS.items() if 2 <= n <= 12 and word not in ("dozen", "couple", "pair", "both", "twice", "trio")}
COLOUR_CHOICES = ("red", "blue", "green", "yellow", "black", "white", "brown", "pink")
IN_PICTURE = tuple(name for name in FIELDS if name in ("subject", "action", "scene"))


@dataclass(frozen=True)
class Negative:
    """``why``: what is wrong with it, with both values."""

    kind: str
    text: str
    why: str


def negatives(data: Mapping[str, Any], seed: int = 0) -> list[Negative]:
    """Every kind of negative that the structured caption allows, at most one of each; the same for the same seed."""
    draw = random.Random(f"{seed}:{render(data)}")
    made = [_order(data, draw), _swapped(data), _attribute(data, draw), _count(data, draw)]
    true = render(data)
    return [negative for negative in made if negative and negative.text != true]


def _order(data: Mapping[str, Any], draw: random.Random) -> Negative | None:
    events = [str(event).strip() for event in data.get(EVENTS) or ()]
    places = [i for i in range(len(events) - 1) if events[i].lower() != events[i + 1].lower()]
    if not places:
        return None
    at = draw.choice(places)
    turned = [*events[:at], events[at + 1], events[at], *events[at + 2 :]]
    return Negative("event order", render({**data, EVENTS: turned}), f"'{events[at + 1]}' before '{events[at]}'")


def _swapped(data: Mapping[str, Any]) -> Negative | None:
    """Two colours change places wherever they stand."""
    text = " ".join(str(data.get(name) or "") for name in IN_PICTURE)
    colours = list(dict.fromkeys(match.lower() for match in _COLOUR.findall(text)))
    if len(colours) < 2:
        return None
    one, two = colours[:2]
    return Negative("attributes swapped", render(_mapped(data, {one: two, two: one}, _COLOUR)), f"{one} and {two} changed places")


def _attribute(data: Mapping[str, Any], draw: random.Random) -> Negative | None:
    text = " ".join(str(data.get(name) or "") for name in IN_PICTURE)
    colours = list(dict.fromkeys(match.lower() for match in _COLOUR.findall(text)))
    if not colours:
        return None
    true = draw.choice(colours)
    other = draw.choice([colour for colour in COLOUR_CHOICES if colour not in colours])
    return Negative("attribute", render(_mapped(data, {true: other}, _COLOUR)), f"{other} instead of {true}")


def _count(data: Mapping[str, Any], draw: random.Random) -> Negative | None:
    text = " ".join(str(data.get(name) or "") for name in IN_PICTURE)
    found = _COUNT.search(text)
    if not found:
        return None
    word = found[1].lower()
    value = int(word) if word.isdigit() else NUMBERS[word]
    other = draw.choice([n for n in (value - 1, value + 1, value + 2) if n >= 2 and n != value])
    wrong = str(other) if word.isdigit() else _WORDS[other]
    return Negative("count", render(_mapped(data, {word: wrong}, _COUNT)), f"{wrong} instead of {word}")


def _mapped(data: Mapping[str, Any], words: Mapping[str, str], pattern: re.Pattern[str]) -> dict[str, Any]:
    def change(text: str) -> str:
        def one(match: re.Match[str]) -> str:
            new = words.get(match[0].lower(), match[0])
            return new.capitalize() if match[0][0].isupper() else new

        return pattern.sub(one, text)

    changed = {name: change(str(data.get(name) or "")) if name in IN_PICTURE else data.get(name) for name in FIELDS}
    return changed | {EVENTS: [change(str(event)) for event in data.get(EVENTS) or ()]}
