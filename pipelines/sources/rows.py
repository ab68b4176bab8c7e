"""Rows of `manifests.schema.REFERENCE` from what sources say: text decoding, captions, credits, metadata."""

import json
import math
import os
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import pyarrow as pa

from manifests.schema import REFERENCE

BATCH_ROWS = 10_000
TEXT_LIMIT = 1 << 20
"""Sidecars and text members larger than this many bytes are not read, only noted."""

CAPTION_KEYS = ("caption", "captions")
OTHER_CAPTION_KEYS = ("text", "texts", "prompt", "alt", "alt_text", "description", "descriptions")
LICENSE_KEYS = ("license", "licence", "license_name", "licence_name", "license_type", "rights", "license_url", "licence_url")
AUTHOR_KEYS = ("author", "author_name", "creator", "artist", "photographer", "photographer_name", "credit", "owner")
URL_KEYS = ("source_url", "url", "original_url", "image_url", "img_url", "coco_url", "flickr_url", "page_url")

CONVERSATIONS = ("conversations", "messages")
IMAGE_TOKEN = re.compile(r"\s*<image>\s*")

STRICT = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=str)  # json.dumps would make one a row
Row = dict[str, Any]
"""Values of the columns of ``REFERENCE``; absent ones are null."""


def batches(listed: Iterable[Row | pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Record batches of at most `BATCH_ROWS` rows from rows, and from batches between them."""
    rows: list[Row] = []
    for some in listed:
        if isinstance(some, dict):
            rows.append(some)
        if rows and (len(rows) == BATCH_ROWS or not isinstance(some, dict)):
            yield pa.RecordBatch.from_pylist(rows, schema=REFERENCE)
            rows = []
        if not isinstance(some, dict):
            yield some
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema=REFERENCE)


def stamp_of(stat: os.stat_result) -> str:
    """Changes when the file changes."""
    return f"{stat.st_size}:{stat.st_mtime_ns}"


def error_row(source: str, key: str, uri: str, error: str, stamp: str = "") -> Row:
    """A row for what cannot be read, so that it is not lost silently."""
    return {"source": source, "key": printable(key), "uri": printable(uri), "stamp": stamp, "modality": "image", "error": printable(error)}


def printable(text: str) -> str:
    r"""Undecodable bytes of a file name as ``\xff`` text: such a string can be stored. Other text is returned as it is."""
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        pass
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return clean(text)


def decode(data: bytes) -> tuple[str, str | None]:
    """Text of a sidecar without byte order mark and outer white space, and a note when it is not UTF-8."""
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace").strip(), "UTF-16"
    data = data.removeprefix(BOM_UTF8)
    try:
        return data.decode().strip(), None
    except UnicodeDecodeError:
        return data.decode(errors="replace").strip(), "not UTF-8: undecodable bytes were replaced"


def clean(text: str) -> str:
    """Text that UTF-8 can hold: surrogate pairs joined, lone ones (invalid JSON escapes, undecodable bytes) replaced by U+FFFD."""
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def parse_json(data: bytes | str) -> Any:
    """JSON of a hostile file. Raises ValueError with a short reason."""
    try:
        return json.loads(data.removeprefix(BOM_UTF8).decode() if isinstance(data, bytes) else data)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error


def read_json(data: bytes, record: dict[str, Any], notes: dict[str, Any]) -> list[str]:
    """Adds a sidecar's JSON object to ``record``; a list of strings is captions. What is neither is noted."""
    try:
        value = parse_json(data)
    except ValueError as error:
        notes["invalid_json"] = str(error)
        return []
    if isinstance(value, dict):
        for key, item in value.items():
            record.setdefault(key, item)
        return []
    if (captions := caption_texts(value)) is None:
        notes["invalid_json"] = "neither an object nor a list of captions"
    return captions or []


def to_json(record: Mapping[str, Any]) -> str | None:
    """A JSON object, or None when there is nothing to say. What JSON cannot hold becomes null (NaN) or text (dates)."""
    if not record:
        return None
    try:
        text = STRICT.encode(record)
    except (ValueError, RecursionError):
        text = json.dumps(_finite(record), ensure_ascii=False, default=str)
    return clean(text)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def take_captions(record: dict[str, Any], named: str | None = None) -> list[str]:
    """Captions a record has, under ``named`` or the usual names; what was taken leaves the record."""
    captions: list[str] = []
    for name in (named,) if named else _caption_names(tuple(key for key, value in record.items() if value is not None)):
        if (texts := caption_texts(record.get(name))) is not None:
            captions += texts
            record.pop(name, None)
    return captions


def caption_texts(value: Any) -> list[str] | None:
    """The captions in one value: a string, or a list of strings, in which nulls say nothing. None: it is something else."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list | tuple) and all(isinstance(item, str | None) for item in value):
        return [item for item in value if item is not None]
    return None


def conversation_captions(record: Mapping[str, Any]) -> list[str]:
    """The first answer of a LLaVA conversation (``from: gpt``) or chat (``role: assistant``), without image tokens.

    Content may be a list of parts, of which those of type text count.
    """
    for name, speaker, text in (("conversations", "from", "value"), ("messages", "role", "content")):
        turns = record.get(name)
        for turn in turns if isinstance(turns, list) else []:
            if not isinstance(turn, dict) or turn.get(speaker) not in ("gpt", "assistant"):
                continue
            said = turn.get(text)
            if isinstance(said, list):
                said = " ".join(part["text"] for part in said if isinstance(part, dict) and isinstance(part.get("text"), str))
            if isinstance(said, str):
                return [IMAGE_TOKEN.sub(" ", said)]
    return []


def sample_row(row: Row, record: dict[str, Any], captions: Iterable[str], notes: Mapping[str, Any]) -> Row:
    """Completes a row: captions, licence, author and source URL in columns of their own, the rest of ``record`` as metadata.

    Captions are stripped; blank ones and exact repetitions are left out. ``notes`` is what listing itself found out.
    """
    texts = list(dict.fromkeys(text for text in (clean(caption).strip() for caption in captions) if text))
    row["caption"], row["captions"] = (texts[0], texts) if texts else (None, None)
    if record:
        for column, names in credit_names(tuple(record)):
            row[column] = _take_scalar(record, names)
    if notes:
        record = {**notes, **record}
    row["metadata"] = to_json(record)
    return row


@lru_cache(256)
def _caption_names(keys: tuple[Any, ...]) -> tuple[Any, ...]:
    """Which of these keys hold captions, by their usual names."""
    lower = {str(key).lower(): key for key in keys}
    return tuple(lower[name] for name in CAPTION_KEYS if name in lower) or tuple(lower[n] for n in OTHER_CAPTION_KEYS if n in lower)[:1]


@lru_cache(256)
def credit_names(keys: tuple[Any, ...]) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """For licence, author and source URL, which of these keys may hold it, likeliest first. The records of a source have the same keys."""
    lower = {str(key).lower(): key for key in keys}
    columns = {"license": LICENSE_KEYS, "author": AUTHOR_KEYS, "source_url": URL_KEYS}
    return tuple((column, tuple(lower[name] for name in names if name in lower)) for column, names in columns.items())


def _take_scalar(record: dict[str, Any], keys: tuple[Any, ...]) -> str | None:
    for key in keys:
        value = record.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and (text := str(value).strip()):
            del record[key]
            return clean(text).strip()
    return None
