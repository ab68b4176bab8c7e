"""Encodes a clip anew: one encoder thread, no macroblock tree, no dates, no version strings, so that it comes out the same each time."""

import io
from contextlib import closing
from fractions import Fraction
from typing import Any

from manifests.errors import MediaError
from operators.video.frames import Converter
from operators.video.probe import VideoInfo, reason
from operators.video.sound import SoundWalk
from operators.video.source import VideoFile
from operators.video.walk import LIMITS, Deadline, Walk


def encoded(file: VideoFile, info: VideoInfo, span: tuple[float, float], crf: int, min_side: int | None) -> bytes:
    """An MP4 with the frames of the span in H.264 and its sound in AAC; ``crf``, ``min_side``: as in `CutSettings`. Raises `MediaError`."""
    import av

    converter = Converter(info)
    width, height = _even_size(info, min_side)
    plain = not (info.rotation or info.hdr) and info.pixel_aspect == 1
    target = io.BytesIO()
    try:
        with av.open(target, "w", format="mp4", container_options={"fflags": "+bitexact"}) as out:
            rate = Fraction(info.fps).limit_denominator(1001) if info.fps else Fraction(25)
            video: Any = out.add_stream("libx264", rate=rate)
            video.width, video.height, video.pix_fmt = width, height, "yuv420p"
            video.codec_context.time_base = info.time_base
            video.codec_context.thread_count = 1
            video.codec_context.flags |= 1 << 23  # AV_CODEC_FLAG_BITEXACT: no version strings
            # x264's macroblock tree gives other bytes from run to run on processors with AVX-512 (seen with the x264 in PyAV 18.1).
            video.options = {"crf": str(crf), "preset": "fast", "mbtree": "0"}
            video.codec_context.colorspace, video.codec_context.color_range = 1, 1
            sound = _SoundTrack(file, info, span, out) if info.audio_codec else None
            with closing(Walk(file, info, span, Deadline(LIMITS, span[1] - span[0]), 1)) as walk:
                for frame, at in walk:
                    if plain:
                        made = frame.reformat(
                            width,
                            height,
                            "yuv420p",
                            src_colorspace=info.matrix,
                            dst_colorspace=1,
                            interpolation="AREA" if min_side else "BICUBIC",
                            src_color_range="JPEG" if info.full_range else "MPEG",
                            dst_color_range="MPEG",
                        )
                    else:
                        picture = av.VideoFrame.from_ndarray(converter.rgb(frame, 0), "rgb24")
                        made = picture.reformat(width, height, "yuv420p", dst_colorspace=1, dst_color_range="MPEG", interpolation="AREA")
                    made.pts = round((at - span[0]) / float(info.time_base))
                    made.time_base, made.pict_type = info.time_base, 0
                    out.mux(video.encode(made))
            out.mux(video.encode(None))
            if sound:
                sound.write()
    except (av.FFmpegError, ValueError, OSError) as error:
        raise MediaError(f"the clip cannot be encoded: {reason(error)}") from error
    return target.getvalue()


def _even_size(info: VideoInfo, min_side: int | None) -> tuple[int, int]:
    scale = min(1.0, min_side / min(info.width, info.height)) if min_side else 1.0
    return max(2, round(info.width * scale / 2) * 2), max(2, round(info.height * scale / 2) * 2)


class _SoundTrack:
    """The sound of a span as AAC. Starts and ends with whole frames of the source's codec (about 20 ms)."""

    def __init__(self, file: VideoFile, info: VideoInfo, span: tuple[float, float], out: Any) -> None:
        self.file, self.span, self.out = file, span, out
        self.rate = info.audio_rate if info.audio_rate in (8000, 16000, 22050, 24000, 32000, 44100, 48000) else 48000
        self.layout = "mono" if info.audio_channels == 1 else "stereo"
        self.stream: Any = out.add_stream("aac", rate=self.rate, layout=self.layout)
        self.stream.codec_context.flags |= 1 << 23

    def write(self) -> None:
        import av

        resampler = av.AudioResampler(format="fltp", layout=self.layout, rate=self.rate)
        samples = 0
        for frame in SoundWalk(self.file, self.span, Deadline(LIMITS, self.span[1] - self.span[0])):
            if frame.time is None:
                continue
            # The sound may begin later than the picture, or have a gap; a shift of less than a frame is rounding.
            due = round((frame.time - self.span[0]) * self.rate)
            samples = due if due > samples + self.rate // 50 else samples
            for piece in resampler.resample(frame):
                piece.pts, piece.time_base = samples, Fraction(1, self.rate)
                samples += piece.samples
                self.out.mux(self.stream.encode(piece))
        self.out.mux(self.stream.encode(None))
