"""IPTC's vocabulary of digital source types (cv.iptc.org/newscodes/digitalsourcetype), and C2PA's two more: what speaks for what."""

import re
from typing import NamedTuple

from operators.provenance.evidence import Strength

_HOME = re.compile(r"(https?://)?(www\.)?(cv\.iptc\.org/newscodes|c2pa\.org)/digitalsourcetype/|digsrctype:", re.I)

_STRENGTHS: dict[str, Strength] = {
    "trainedAlgorithmicMedia": "strong",
    "compositeWithTrainedAlgorithmicMedia": "strong",
    "trainedAlgorithmicData": "strong",
    "algorithmicMedia": "weak",
    "compositeSynthetic": "weak",
    "algorithmicallyEnhanced": "weak",
    "digitalCapture": "camera",
    "computationalCapture": "camera",
    "compositeCapture": "camera",
    "negativeFilm": "camera",
    "positiveFilm": "camera",
    "print": "camera",
}


class Source(NamedTuple):
    name: str
    strength: Strength


def source(text: object) -> Source | None:
    """What a value says; None for terms that speak for neither a generator nor a camera, and for anything else than one term."""
    if not isinstance(text, str):
        return None
    term = _HOME.sub("", text.strip()[:200], count=1).rstrip("/")
    return Source(term, _STRENGTHS[term]) if term in _STRENGTHS else None
