"""Cuts one clip out of its video, as an MP4 in memory: by copying packets where that is exact, else by one re-encode.

Deterministic for a version of ffmpeg and x264: one encoder thread, no macroblock tree, no dates, no version strings. What was cut is
described by a hash over its decoded frames, so that anybody can check it with any decoder of the format.
"""

import hashlib
import io
import itertools
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from manifests.errors import MediaError
from operators.base import Frames
from operators.video.frames import Converter
from operators.video.media import VideoMedia
from operators.video.probe import VideoInfo, opened, packets, reason
from operators.video.source import VideoFile
from operators.video.walk import BACK_S, LIMITS, Deadline, Walk

Method = Literal["encode", "copy"]
AUDIO_COPIED = ("aac", "mp3", "ac3", "eac3", "opus", "alac", "flac")
"""Codecs of audio that an MP4 may hold as they are."""
VIDEO_COPIED = ("h264", "hevc", "av1", "vp9", "mpeg4", "libdav1d", "libvpx-vp9")
JPEG_QUALITY = 95
BYTES_A_SECOND = 500_000
"""Of a clip, before it is cut: 4 Mbit/s."""


@dataclass(frozen=True)
class CutSettings:
    """``method``: ``copy`` copies packets where the clip begins with a key frame and ends with a whole group; ``encode`` never.

    ``crf``: x264's quality of a re-encode (18: hardly visible). ``min_side``: longest allowed shorter side, in pixels; None: as it is.
    ``frames``: so many stills beside the clip.
    """

    method: Method = "encode"
    crf: int = 18
    min_side: int | None = None
    frames: int = 0


@dataclass(frozen=True)
class Cut:
    """``data``: an MP4. ``facts``: how it was made and what it holds. ``stills``: JPEG files."""

    data: bytes
    facts: dict[str, Any]
    stills: tuple[bytes, ...] = ()
    extension: str = field(default="mp4")


def cut_clip(file: VideoFile, span: tuple[float, float], settings: CutSettings) -> Cut:
    """The frames of ``span`` (seconds of the file's clock, end excluded) with their sound. Raises `MediaError`."""
    media = VideoMedia(file, span)
    info = media.info
    data, method = None, "copy"
    if settings.method == "copy" and not (info.rotation or settings.min_side or info.hdr):
        data = _copied(file, info, span)
    if data is None:
        data, method = _encoded(file, info, span, settings), "encode"
    made = frame_hash(data)
    if not made[0]:
        raise MediaError("the clip has no frames")
    facts = {
        "method": method,
        "start_s": span[0],
        "end_s": span[1],
        "frames": made[0],
        "frame_hash": made[1],
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return Cut(data, facts, _stills(media, settings.frames))


def frame_hash(data: bytes) -> tuple[int, str]:
    """Number of frames of a video, and the first 128 bits (hex) of the SHA-256 over the planes of all of them, as decoded."""
    file = VideoFile("clip", data=data)
    info = VideoMedia(file).info
    hashed, count = hashlib.sha256(), 0
    walk = Walk(file, info, None, Deadline(LIMITS, info.duration_s), 1)
    for frame, _ in walk:
        hashed.update(frame.to_ndarray().tobytes())
        count += 1
    return count, hashed.hexdigest()[:32]


def _stills(media: VideoMedia, count: int) -> tuple[bytes, ...]:
    if not count:
        return ()
    import cv2

    cv2.setNumThreads(1)
    made = []
    for pixels in media.view(Frames(count, 0)).pixels:
        made.append(cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes())
    return tuple(made)


def _copied(file: VideoFile, info: VideoInfo, span: tuple[float, float]) -> bytes | None:
    """The clip's packets as they are; None when that would not be exactly its frames."""
    import av

    if info.codec not in VIDEO_COPIED or info.format == "avi":  # AVI does not say when a packet is shown
        return None
    with opened(file) as source:
        stream = source.streams.best("video")
        assert stream is not None
        found = _exact_packets(source, stream, info, span)
        if found is None or not _decoding_times(found):
            return None
        target = io.BytesIO()
        try:
            with av.open(target, "w", format="mp4", container_options={"fflags": "+bitexact"}) as out:
                video = out.add_stream_from_template(stream)
                origin = round(span[0] / stream.time_base)
                audio = _audio_template(source, out)
                sound = list(_audio_packets(source, span)) if audio else []
                for packet in found:
                    _shift(packet, origin)
                    packet.stream = video
                    out.mux(packet)
                for packet in sound:
                    _shift(packet, round(span[0] / packet.time_base))
                    packet.stream = audio
                    out.mux(packet)
        except (av.FFmpegError, ValueError, OSError):
            return None
    data = target.getvalue()
    expected = sum(1 for _ in Walk(file, info, span, Deadline(LIMITS, span[1] - span[0]), 1))
    return data if frame_hash(data)[0] == expected else None


def _exact_packets(source: Any, stream: Any, info: VideoInfo, span: tuple[float, float]) -> list[Any] | None:
    """Packets of the frames in the span, in decoding order, if they need no others and begin with a key frame."""
    base, half = float(stream.time_base), info.tick / 2
    wanted: list[Any] = []
    ended = False
    for packet in _from_key_frame(source, stream, span[0], span[0] - info.start_s):
        if packet.pts is None or packet.size == 0:
            continue
        at = packet.pts * base
        if at < span[0] - half:
            if wanted:
                return None  # shown before the clip, but needed to decode it
            continue
        inside = at < span[1] - half
        if not wanted and inside and (not packet.is_keyframe or abs(at - span[0]) > max(half, 0.6 * base)):
            return None
        if inside:
            if ended:
                return None  # frames of the clip that refer to later ones
            wanted.append(packet)
        else:
            ended = True
            if packet.is_keyframe and packet.dts is not None and packet.dts * base > span[1] + 1:
                break
    return wanted or None


def _from_key_frame(source: Any, stream: Any, begin: float, before: float) -> Iterator[Any]:
    """The packets from a key frame on that is shown no later than ``begin``; ``before``: seconds that lie in front of it.

    A seek goes by decoding times, and in files without an index it may end behind the key frame: then it is tried again from further back.
    """
    import av

    for back in (*BACK_S, before + max(BACK_S)):
        with suppress(av.FFmpegError):
            source.seek(int((begin - back) / stream.time_base), stream=stream, backward=True)
        found = packets(source, stream)
        first = next((packet for packet in found if packet.pts is not None), None)
        if first is not None and first.is_keyframe and first.pts <= round(begin / stream.time_base):
            return itertools.chain([first], found)
    return iter(())


def _decoding_times(found: list[Any]) -> bool:
    """Gives each packet the time at which it is decoded: Matroska files state none for the first ones. False: there is none at all."""
    known = next((i for i, packet in enumerate(found) if packet.dts is not None), None)
    if known is None:
        return False
    shown = sorted(packet.pts for packet in found)
    step = max(1, min((b - a for a, b in itertools.pairwise(shown)), default=1))
    for i in range(known):
        found[i].dts = found[known].dts - (known - i) * step
    return True


def _shift(packet: Any, by: int) -> None:
    packet.pts = packet.pts - by
    packet.dts = packet.dts - by if packet.dts is not None else packet.pts


def _audio_template(source: Any, out: Any) -> Any:
    audio = source.streams.best("audio")
    if audio is None or audio.codec_context is None or audio.codec_context.name not in AUDIO_COPIED:
        return None
    return out.add_stream_from_template(audio)


def _audio_packets(source: Any, span: tuple[float, float]) -> Iterator[Any]:
    audio = source.streams.best("audio")
    base = float(audio.time_base)
    source.seek(int(span[0] / audio.time_base), stream=audio, backward=True)
    for packet in source.demux(audio):
        if packet.pts is None or packet.size == 0 or packet.pts * base < span[0]:
            continue
        if packet.pts * base >= span[1]:
            return
        yield packet


def _encoded(file: VideoFile, info: VideoInfo, span: tuple[float, float], settings: CutSettings) -> bytes:
    import av

    converter = Converter(info)
    width, height = _even_size(info, settings.min_side)
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
            video.options = {"crf": str(settings.crf), "preset": "fast", "mbtree": "0"}
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
                            interpolation="AREA" if settings.min_side else "BICUBIC",
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
        with opened(self.file) as source:
            samples = 0
            for frame in self._frames(source):
                # The sound may begin later than the picture, or have a gap; a shift of less than a frame is rounding.
                due = round((frame.time - self.span[0]) * self.rate)
                samples = due if due > samples + self.rate // 50 else samples
                for piece in resampler.resample(frame):
                    piece.pts, piece.time_base = samples, Fraction(1, self.rate)
                    samples += piece.samples
                    self.out.mux(self.stream.encode(piece))
            self.out.mux(self.stream.encode(None))

    def _frames(self, source: Any) -> Iterator[Any]:
        """Those that begin in the span. After a seek the first packets may not be whole ones."""
        import av

        audio = source.streams.best("audio")
        assert audio is not None
        with suppress(av.FFmpegError):
            source.seek(int(self.span[0] / audio.time_base), stream=audio, backward=True)
        for packet in packets(source, audio):
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError):
                continue
            for frame in frames:
                if frame.time is None or frame.time < self.span[0]:
                    continue
                if frame.time >= self.span[1]:
                    return
                yield frame
