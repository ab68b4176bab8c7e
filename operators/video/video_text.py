"""Text in a clip over time: how much, for how long, and whether it sits where subtitles do."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from operators.base import BatchFn, Frames, Reads, Row, Scope, field, per_row
from operators.text_area import TextArea
from operators.video.frames import Sampled
from operators.video.over_frames import reduced, reduced_fields, said

PICTURES = TextArea()
SIDE = 736
SOME = 0.002
"""Share of the picture from which on there is text to speak of."""
SUBTITLES_FROM = 0.7


@dataclass(frozen=True)
class VideoText:
    """`text_area` over ``frames`` frames of a clip, and over their lowest 30 %, where subtitles and tickers are.

    A frame takes 0.15 to 0.4 s of one core, twice that with text: give it a `when` in the recipe. Needs `pip install 'goldsieve[ocr]'`.
    """

    frames: int = 4

    name, version = "video_text", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    adds = pa.schema(
        [
            *reduced_fields("video", PICTURES, ("text_area",)),
            field("video_text_share", pa.float32(), "share of the frames with text", "0-1"),
            field("video_subtitle_share", pa.float32(), "share of the frames with text in their lowest 30 %", "0-1"),
            field(
                "video_watermark_text", pa.string(), "watermark-like text (see `text_area`) of the first frame that has some; null: none"
            ),
        ]
    )

    @property
    def reads(self) -> Reads:
        return Reads(views=(Frames(self.frames, SIDE),))

    def open(self) -> BatchFn:
        run, view = PICTURES.open(), Frames(self.frames, SIDE)

        def measure(row: Row) -> dict[str, Any]:
            sampled: Sampled = row.view(view)
            found = said(run, sampled, PICTURES)
            areas = [area or 0.0 for area in found["text_area"].to_pylist()]
            lower = [pixels[round(SUBTITLES_FROM * len(pixels)) :] for pixels in sampled.pixels]
            with_text = [pixels for pixels, area in zip(lower, areas, strict=True) if area >= SOME and min(pixels.shape[:2]) >= 8]
            below = said(run, Sampled((), tuple(with_text), sampled.info), PICTURES)["text_area"].to_pylist() if with_text else []
            return {
                **reduced("video", {"text_area": areas}),
                "video_text_share": sum(area >= SOME for area in areas) / len(areas),
                "video_subtitle_share": sum((area or 0.0) >= SOME for area in below) / len(areas),
                "video_watermark_text": next((text for text in found["watermark_text"].to_pylist() if text), None),
            }

        return per_row(self.adds, measure)
