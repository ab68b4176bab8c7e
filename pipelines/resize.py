"""Smaller copies of pictures for an export: the only case in which media bytes are changed."""

import io
from collections.abc import Mapping
from typing import Any

from PIL import Image

from operators.base import Pixels
from operators.media import Media
from pipelines.shards import Encode, original


def resizer(min_side: int, quality: int) -> Encode:
    """Pictures whose shorter side exceeds ``min_side`` pixels become upright sRGB JPEG files of that shorter side.

    Lanczos-3 on the smallest decode that is large enough, 4:4:4 chroma, no metadata. Others (and videos) keep their bytes.
    """

    def encode(data: bytes, row: Mapping[str, Any]) -> tuple[bytes, str]:
        media = Media(data)
        if row["modality"] != "image" or min(media.info.width, media.info.height) <= min_side:
            return original(data, row)
        width, height = media.info.width, media.info.height
        scale = min_side / min(width, height)
        size = (max(min_side, round(width * scale)), max(min_side, round(height * scale)))
        out = io.BytesIO()
        picture = Image.fromarray(media.view(Pixels(min_side=min_side)))
        picture.resize(size, Image.Resampling.LANCZOS).save(out, "JPEG", quality=quality, subsampling=0)
        return out.getvalue(), "jpg"

    return encode
