"""A hash of the decoded picture: the same for the same pixels in another container, or with other metadata."""

import hashlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from operators.base import Batch, BatchFn, Columns, Pixels, Reads, Scope, attempt, field

VIEW = Pixels()


@dataclass(frozen=True)
class PixelHash:
    """Hash of the picture as everything here sees it: native size, upright, sRGB, 8 bits a channel, on white where transparent.

    So a PNG and the WebP or TIFF made of it without loss are equal, whatever their metadata say, and so are a JPEG and a JPEG with
    other EXIF data or losslessly optimised entropy coding. A JPEG and the PNG that another program made of it are equal only
    if that program's decoder rounds as libjpeg-turbo does; many do not, and such pairs are near copies. Costs a full decode.
    """

    name, version, gpus = "pixel_hash", "1", 0.0
    scope: ClassVar[Scope] = "batch"
    reads = Reads(views=(VIEW,))
    adds = pa.schema([field("pixel_hash", pa.uuid(), "first 128 bits of SHA-256 over the size and the native pixels")])

    def open(self) -> BatchFn:
        return measure


def measure(batch: Batch) -> Columns:
    found = [attempt(lambda row: {"hash": digest(row.view(VIEW))}, row) for row in batch.rows]
    hashes = pa.array([None if isinstance(item, str) else item["hash"] for item in found], pa.binary(16))
    errors = pa.array([item if isinstance(item, str) else None for item in found], pa.string())
    return {"pixel_hash": pa.ExtensionArray.from_storage(pa.uuid(), hashes), "error": errors}


def digest(pixels: np.ndarray) -> bytes:
    """16 bytes for an array (height, width, 3)."""
    head = f"{pixels.shape[1]}x{pixels.shape[0]}:".encode()
    return hashlib.sha256(head + np.ascontiguousarray(pixels).tobytes()).digest()[:16]
