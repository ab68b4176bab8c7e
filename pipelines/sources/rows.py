"""Rows of `manifests.schema.REFERENCE` from what sources say: text decoding, captions, credits, metadata."""

import json
import math
import os
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
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

Row = dict[str, Any]
"""Values of the columns of ``REFERENCE``; absent ones are null."""


def batches(rows: Iterable[Row]) -> Iterator[pa.RecordBatch]:
    """Record batches of at most `BATCH_ROWS` rows."""
    rows = iter(rows)
    while chunk := list(islice(rows, BATCH_ROWS)):
        yield pa.RecordBatch.from_pylist(chunk, schema=REFERENCE)


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
        text = json.dumps(record, ensure_ascii=False, allow_nan=False, default=str)
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
    lower = {str(key).lower(): key for key in record}
    names = [named] if named else [lower[key] for key in CAPTION_KEYS if key in lower]
    names = names or [lower[key] for key in OTHER_CAPTION_KEYS if key in lower][:1]
    captions: list[str] = []
    for name in names:
        if (texts := caption_texts(record.get(name))) is not None:
            captions += texts
            record.pop(name, None)
    return captions


def caption_texts(value: Any) -> list[str] | None:
    """The captions in one value: a string, or a list of strings. None: it is something else."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return list(value)
    return None


def sample_row(row: Row, record: dict[str, Any], captions: Iterable[str], notes: Mapping[str, Any]) -> Row:
    """Completes a row: captions, licence, author and source URL in columns of their own, the rest of ``record`` as metadata.

    Captions are stripped; blank ones and exact repetitions are left out. ``notes`` is what listing itself found out.
    """
    texts = list(dict.fromkeys(text for text in (clean(caption).strip() for caption in captions) if text))
    row["caption"], row["captions"] = (texts[0], texts) if texts else (None, None)
    if record:
        row["license"] = _take_scalar(record, LICENSE_KEYS)
        row["author"] = _take_scalar(record, AUTHOR_KEYS)
        row["source_url"] = _take_scalar(record, URL_KEYS)
    if notes:
        record = {**notes, **record}
    row["metadata"] = to_json(record)
    return row


def _take_scalar(record: dict[str, Any], names: tuple[str, ...]) -> str | None:
    lower = {str(key).lower(): key for key in record}
    for name in names:
        value = record.get(lower[name]) if name in lower else None
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            record.pop(lower[name])
            return clean(str(value)).strip()
    return None
