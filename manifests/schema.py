"""Names and types of everything the manifest stores. Users write SQL against these names."""

import hashlib
import uuid

import pyarrow as pa

_REFERENCE_FIELDS: tuple[pa.Field, ...] = (
    pa.field("source", pa.string(), nullable=False),  # name of the source, by default the folder or file name
    pa.field("key", pa.string(), nullable=False),  # the sample's own key, exactly as the source has it
    pa.field("uri", pa.string(), nullable=False),  # file (or archive, or Parquet file) that holds the bytes
    pa.field("byte_offset", pa.int64()),  # start of the bytes inside it; null: the whole file. Parquet: the row
    pa.field("byte_length", pa.int64()),  # null where only reading tells
    pa.field("stamp", pa.string(), nullable=False),  # changes when the container changes: "size:mtime_ns"
    pa.field("modality", pa.string(), nullable=False),  # "image" or "video"
    pa.field("caption", pa.string()),  # the first (or named) caption
    pa.field("captions", pa.list_(pa.string())),  # every caption the source has, the first one included
    pa.field("metadata", pa.string()),  # all else the source says, as a JSON object
    pa.field("license", pa.string()),
    pa.field("author", pa.string()),
    pa.field("source_url", pa.string()),
    pa.field("error", pa.string()),  # why this sample cannot be read, if listing already tells
)
REFERENCE = pa.schema(_REFERENCE_FIELDS)
"""What a source yields: one row a sample, in a stable order."""

MEDIA = pa.schema(
    {
        "ref_hash": pa.uuid(),  # what was read: hash of uri, offset, length and stamp
        "media_hash": pa.uuid(),  # first 128 bits of the SHA-256 of the bytes; null: they could not be read
        "byte_length": pa.int64(),
        "format": pa.string(),  # "jpeg", "png", "webp", ...
        "width": pa.int32(),  # upright size in pixels (EXIF orientation applied)
        "height": pa.int32(),
        "duration_s": pa.float64(),
        "fps": pa.float64(),
        "error": pa.string(),  # why the bytes or the header could not be read
    }
)
"""What the first read of a sample's bytes tells."""

WIDE_ALWAYS: dict[str, str] = {
    "phash": "UBIGINT",
    "sharpness": "FLOAT",
    "brightness": "FLOAT",
    "contrast": "FLOAT",
    "entropy": "FLOAT",
    "caption_words": "INTEGER",
    "caption_language": "VARCHAR",
    "clip_score": "FLOAT",
    "aesthetic": "FLOAT",
    "style": "VARCHAR",
    "aigc_score": "FLOAT",
    "aigc_evidence": 'STRUCT(kind VARCHAR, "location" VARCHAR, "value" VARCHAR, strength VARCHAR)[]',
    "concept": "VARCHAR",
}
"""Columns that ``wide`` has even before an operator measured them (then null), with their DuckDB types."""


def media_hash(data: bytes) -> uuid.UUID:
    """128-bit content address of a file: the first half of its SHA-256."""
    return uuid.UUID(bytes=hashlib.sha256(data).digest()[:16])


def pair_hash(media: uuid.UUID, caption: uuid.UUID) -> uuid.UUID:
    """Content address of a picture with its caption; equal to what the view ``samples`` computes in SQL."""
    return uuid.UUID(hashlib.md5(f"{media}{caption}".encode(), usedforsecurity=False).hexdigest())
