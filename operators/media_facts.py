"""What a picture's file says about itself, without decoding a pixel.

Size, format and byte length are facts of every sample (`manifests.schema.MEDIA`) and not repeated here.
EXIF is what the writer of the file claims: damaged fields count as absent, texts are cut to 120 characters.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import pyarrow as pa

from operators.base import BatchFn, Header, RawBytes, Reads, Row, Scope, field, per_row

HEADER, BYTES = Header(), RawBytes()

COLOUR_MODES = {
    "1": "bilevel",
    "P": "palette",
    "PA": "palette",
    "CMYK": "cmyk",
    "LAB": "lab",
    **dict.fromkeys(("L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"), "gray"),
}


@dataclass(frozen=True)
class MediaFacts:
    """Frames, colour mode, bit depth, transparency, orientation, bytes per pixel, camera and time."""

    name, version = "media_facts", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(HEADER, BYTES))
    adds = pa.schema(
        [
            field("frames", pa.int32(), "frames of an animation or pages of a document; measures look at the first"),
            field("animated", pa.bool_(), "plays: GIF, PNG, WebP or AVIF of more than one frame"),
            field("colour_mode", pa.string(), "how colours are stored: rgb, gray, palette, bilevel, cmyk, lab"),
            field("bits", pa.int16(), "stored depth of a channel (of the index, for palettes)", "bits"),
            field("has_alpha", pa.bool_(), "stores transparency; pixels are composed on white"),
            field("has_icc", pa.bool_(), "embeds an ICC colour profile"),
            field("orientation", pa.int16(), "EXIF orientation as stored; pixels and sizes are upright", "1-8"),
            field("bytes_per_pixel", pa.float32(), "file size over stored pixels; very low: heavily compressed or nearly empty", "bytes"),
            field("camera_make", pa.string(), "EXIF Make"),
            field("camera_model", pa.string(), "EXIF Model"),
            field("software", pa.string(), "EXIF Software: what wrote the file last"),
            field("taken_at", pa.string(), "EXIF DateTimeOriginal, without time zone", "ISO 8601"),
        ]
    )

    def open(self) -> BatchFn:
        return per_row(self.adds, measure)


def measure(row: Row) -> dict[str, Any]:
    info = row.view(HEADER)
    return {
        "frames": info.frames,
        "animated": info.animated,
        "colour_mode": COLOUR_MODES.get(info.mode, "rgb"),
        "bits": info.bits,
        "has_alpha": info.has_alpha,
        "has_icc": info.has_icc,
        "orientation": info.orientation,
        "bytes_per_pixel": len(row.view(BYTES)) / (info.stored_width * info.stored_height),
        "camera_make": info.camera_make,
        "camera_model": info.camera_model,
        "software": info.software,
        "taken_at": iso_time(info.taken_at),
    }


def iso_time(exif: str | None) -> str | None:
    """``2019:08:01 17:30:00`` as ``2019-08-01T17:30:00``; None for anything that is not a moment (cameras without a clock write zeros)."""
    try:
        return datetime.strptime((exif or "")[:19], "%Y:%m:%d %H:%M:%S").isoformat()
    except ValueError:
        return None
