"""What a video's file says about itself."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from operators.base import BatchFn, Reads, Row, Scope, VideoHeader, field, per_row

HEADER = VideoHeader()


@dataclass(frozen=True)
class VideoFacts:
    """Codec, bit rate, rotation, pixel shape, HDR, interlacing and tracks; size, duration and frame rate are facts of every sample.

    Of a clip they are those of the file it is a part of.
    """

    name, version = "video_facts", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(HEADER,), videos="any")
    adds = pa.schema(
        [
            field("video_codec", pa.string(), "codec of the video track: h264, hevc, vp9, av1, mpeg4, ..."),
            field("video_bits", pa.int16(), "stored depth of a channel", "bits"),
            field("video_hdr", pa.string(), "pq or hlg; null: standard range"),
            field("video_rotation", pa.int16(), "how far the stored picture is turned to the left to be upright", "degrees"),
            field("video_pixel_aspect", pa.float32(), "width of a stored pixel over its height"),
            field("video_interlaced", pa.bool_(), "stored as fields; measures see them woven together"),
            field("video_bit_rate", pa.int64(), "of the whole file, as the container says", "bits/s"),
            field("video_tracks", pa.int16(), "tracks of any kind in the file", "count"),
            field("audio_codec", pa.string(), "codec of the audio track; null: no audio"),
            field("audio_channels", pa.int16(), "channels of the audio track", "count"),
            field("audio_rate", pa.int32(), "sampling rate of the audio track", "Hz"),
        ]
    )

    def open(self) -> BatchFn:
        return per_row(self.adds, measure)


def measure(row: Row) -> dict[str, Any]:
    info = row.view(HEADER)
    return {
        "video_codec": info.codec,
        "video_bits": info.bits,
        "video_hdr": info.hdr or None,
        "video_rotation": info.rotation * 90,
        "video_pixel_aspect": float(info.pixel_aspect),
        "video_interlaced": info.interlaced,
        "video_bit_rate": info.bit_rate or None,
        "video_tracks": info.streams,
        "audio_codec": info.audio_codec,
        "audio_channels": info.audio_channels or None,
        "audio_rate": info.audio_rate or None,
    }
