"""Small stand-ins for tests of operators, shipped so that authors of third-party operators can use them too."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image, ImageFilter

from manifests.errors import MediaError
from operators.base import Batch, View
from operators.media import Media


@dataclass(frozen=True)
class MediaRow:
    """A row over real bytes; no bytes: every view raises `MediaError`."""

    columns: Mapping[str, Any]
    media: Media | None

    def __getitem__(self, column: str) -> Any:
        return self.columns[column]

    def view(self, view: View) -> Any:
        if self.media is None:
            raise MediaError("the sample has no media")
        return self.media.view(view)


def make_batch(rows: Sequence[Mapping[str, Any]], media: Sequence[bytes | None] | None = None, schema: pa.Schema | None = None) -> Batch:
    """A batch over ``rows`` of columns and, in the same order, the bytes of their files."""
    files = list(media) if media is not None else [None] * len(rows)
    if len(files) != len(rows):
        raise ValueError(f"{len(rows)} rows but {len(files)} files")
    if rows and any(rows):
        table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
    else:  # a table without columns cannot know its length
        table = schema.empty_table() if schema is not None else pa.table({"row": pa.array(range(len(rows)), pa.int64())})
    return Batch(table, [MediaRow(row, Media(data) if data is not None else None) for row, data in zip(rows, files, strict=True)])


def picture(width: int = 64, height: int = 48, seed: int = 0) -> Image.Image:
    """A deterministic RGB picture with large shapes, colours and fine detail: hashes and quality measures find something in it."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.blend(coarse, Image.fromarray(noise).filter(ImageFilter.SMOOTH), 0.2)


def encode(image: Image.Image | npt.NDArray[np.uint8], format: str = "PNG", **options: Any) -> bytes:
    """The picture as a file in memory; ``format`` and ``options`` are Pillow's."""
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, format, **options)
    return buffer.getvalue()
