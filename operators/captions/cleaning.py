"""Cleans a caption by rule: takes out what does not describe the picture, and never adds a word."""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass

from operators import caption_patterns
from operators.captions import junk_patterns as junk
from operators.captions.instructions import without_instructions
from operators.captions.repeats import without_repeats
from operators.captions.shouting import calm

LONGEST = 10_000
"""Longer captions are cut before they are cleaned: no caption is that long, and time stays bounded."""
OPENERS = frozenset(
    [
        "a",
        "an",
        "the",
        "at",
        "on",
        "in",
        "of",
        "to",
        "from",
        "near",
        "by",
        "with",
        "and",
        "this",
        "that",
        "my",
        "our",
        "his",
        "her",
        "their",
        "its",
        "is",
        "are",
        "some",
        "de",
        "la",
        "le",
        "el",
        "der",
        "die",
        "das",
    ]
)
"""Words that a hashtag right behind them completes, so that it is part of the sentence."""


@dataclass(frozen=True)
class Cleaned:
    """``text``: None when nothing that describes is left. ``changes``: what was done, in order; empty: the text is as it was."""

    text: str | None
    changes: tuple[str, ...]


def clean(caption: str) -> Cleaned:
    """The caption without markup, links, contacts, hashtags, file names, shop and stock phrases, repeats, shouting and mojibake."""
    text, changes = caption[:LONGEST], []
    steps: tuple[tuple[str, Callable[[str], str]], ...] = (
        ("mojibake", unscrambled),
        ("markup", without_markup),
        ("instructions", without_instructions),
        ("contact", without_contacts),
        ("link", lambda t: junk.URL.sub(" ", t) if caption_patterns.DOT_IN_WORD.search(t) else t),
        ("file name", without_file_names),
        ("hashtag", without_hashtags),
        ("boilerplate", without_boilerplate),
        ("shouting", calm),
        ("repetition", without_repeats),
    )
    for name, step in steps:
        after = step(text)
        if after != text:
            text = tidy(after, text, loose=name in CUTS_PHRASES)
            changes.append(name)
    stripped = " ".join(text.split()) if "\n" in text or "\t" in text or "  " in text else text.strip()
    if stripped != text and not changes:
        changes.append("space")
    text = stripped
    if not any(map(str.isalnum, text)) or caption_patterns.FILENAME.fullmatch(text):
        return Cleaned(None, tuple(changes or ["empty"]))
    if changes and changes != ["space"] and caption_patterns.PLACEHOLDER.fullmatch(text):
        return Cleaned(None, tuple(changes))
    return Cleaned(text, tuple(changes))


def unscrambled(text: str) -> str:
    """Text that was decoded with the wrong charset or escaped as HTML, put right by ftfy (Speer 2019); quotes and widths stay."""
    if text.isascii() and "&" not in text and text.isprintable():
        return text
    import ftfy

    config = ftfy.TextFixerConfig(
        uncurl_quotes=False, fix_latin_ligatures=False, fix_character_width=False, normalization=None, fix_line_breaks=True, explain=False
    )
    return re.sub(r"[\u00ad\u200b\u2060\ufeff]", "", ftfy.fix_text(text, config))


def without_markup(text: str) -> str:
    """HTML, shortcodes and Markdown go; the text they wrap stays."""
    if "&" in text:
        text = junk.ENTITY.sub(lambda m: html.unescape(m[0]), text)
    if "<" in text:
        text = junk.TAG.sub("", junk.BREAK.sub(" ", junk.COMMENT.sub(" ", text)))
    if "[" in text or "{{" in text:
        text = junk.SHORTCODE.sub(" ", junk.IMAGE_OR_LINK.sub(r"\1", text))
    if "**" in text or "__" in text:
        text = junk.EMPHASIS.sub(r"\2", text)
    return junk.HEADING.sub("", text) if "#" in text or ">" in text else text


def without_contacts(text: str) -> str:
    """E-mail addresses, telephone numbers, chat names and @names."""
    if "@" in text:
        text = junk.MENTION.sub(" ", junk.EMAIL.sub(" ", text))
    if sum(map(str.isdecimal, text)) >= 9:
        text = junk.CHINESE_MOBILE.sub(" ", text)
        text = junk.PHONE.sub(lambda m: " " if _is_phone(m["number"]) or m["label"] else m[0], text)
    return junk.CHAT_ID.sub(" ", text)


def _is_phone(number: str) -> bool:
    digits = re.sub(r"\D", "", number)
    return (
        9 <= len(digits) <= 15 and digits != number and not caption_patterns.DATE.search(number) and not digits.startswith(("978", "979"))
    )


def without_file_names(text: str) -> str:
    return junk.FILE.sub(" ", text) if any(map(str.isdecimal, text)) or "." in text else text


def without_hashtags(text: str) -> str:
    """Hashtags that label go; one that a sentence is made of ("on the #beach", "a #dog runs") keeps its word."""
    if "#" not in text:
        return text
    found = list(junk.HASHTAG.finditer(text))
    out, at = [], 0
    for match in found:
        before, after = text[: match.start()].rstrip(), text[match.end() :].lstrip()
        neighbours = before.rsplit(None, 1)[-1:] + after.split(None, 1)[:1]
        alone = not any(word.startswith("#") for word in neighbours)
        led = bool(before) and before.rsplit(None, 1)[-1].lower() in OPENERS
        inside = bool(before) and before[-1].isalnum() and bool(after) and after[0].isalpha() and alone
        out.append(text[at : match.start()])
        out.append(match["word"] if not match["weibo"] and (led or inside) else " ")
        at = match.end()
    return "".join(out) + text[at:]


def without_boilerplate(text: str) -> str:
    """Shop, stock-agency and page text: whole parts between separators, and phrases that no description has."""
    text = junk.PREFIX.sub("", text)
    text = junk.BRACKETS.sub(lambda m: " " if junk.SEGMENT.fullmatch(m[1]) else m[0], text)
    parts = junk.SEPARATOR.split(text)
    kept = [i for i in range(0, len(parts), 2) if not (parts[i].strip() and junk.SEGMENT.fullmatch(parts[i]))]
    if kept and len(kept) < len(parts[::2]):
        # A part that fell takes the separator before it along; the first kept one needs none.
        joined = [parts[kept[0]]]
        for i in kept[1:]:
            joined += [parts[i - 1], parts[i]]
        text = "".join(joined)
    elif not kept:
        return ""
    return junk.SUFFIX.sub("", junk.STRONG.sub(" ", text))


CUTS_PHRASES = ("contact", "link", "boilerplate")
"""Steps that may leave the word that led to what they took out ("call us on ...")."""


def tidy(text: str, before: str, loose: bool) -> str:
    """Repairs the seams after something was taken out: spaces, lonely punctuation, empty brackets, the first letter."""
    text = re.sub(r"\(\s*\)|\[\s*\]|【\s*】|（\s*）|<\s*>|\"\s*\"", " ", text)
    text = re.sub(r"[ \t\r\f\v\u00a0]+", " ", text)
    text = junk.PUNCTUATION_RUN.sub(lambda m: m[0][0], text)
    text = re.sub(r"(?:[-–—|•·»~｜,;:，；、]\s*){2,}(?=\S)", lambda m: m[0].strip()[0] + " ", text) if "-" not in text[:1] else text
    text = re.sub(r"\s+([,;:!?])(?=\s|$)", r"\1", text) if not re.search(r"\w [,.]", before) else text
    text = re.sub(r"([,;:，；、])\s*([.!?。！？])", r"\2", text)
    text = re.sub(r"([.!?。！？])\s*(?:[,;.!?]\s*)+$", r"\1", text.strip())
    text = re.sub(r"^[\s\-–—|•·»~｜,.;:!?，。；：！？、/&)\]】]+|[\s\-–—|•·»~｜,;:，；：、/&(\[【@+]+$", "", text)
    if loose and not junk.LOOSE_END.search(before.rstrip()):
        text = re.sub(r"[\s,;:|–—-]+$", "", junk.LOOSE_END.sub("", text))
    if text[:1].islower() and before.lstrip()[:1].isupper() and not before.lstrip().startswith(text[:12]):
        text = text[0].upper() + text[1:]
    return text
