"""Copies a clip's packets out of its video as they are, where these are exactly its frames."""

import io
import itertools
from collections.abc import Iterator
from typing import Any

from operators.video.probe import VideoInfo, opened, until_damage
from operators.video.source import VideoFile
from operators.video.walk import from_key_frame

AUDIO_COPIED = ("aac", "mp3", "ac3", "eac3", "opus", "alac", "flac")
"""Codecs of audio that an MP4 may hold as they are."""
VIDEO_COPIED = ("h264", "hevc", "av1", "vp9", "mpeg4")


def copied(file: VideoFile, info: VideoInfo, span: tuple[float, float]) -> bytes | None:
    """An MP4 with the span's packets as they are; None when they need others, or others need them, or an MP4 cannot hold them."""
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
                audio = out.add_stream_from_template(source.streams.best("audio")) if info.audio_codec in AUDIO_COPIED else None
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
    return target.getvalue()


def _exact_packets(source: Any, stream: Any, info: VideoInfo, span: tuple[float, float]) -> list[Any] | None:
    """Packets of the frames in the span, in decoding order, if they need no others and begin with a key frame."""
    base, half = float(stream.time_base), info.tick / 2
    wanted: list[Any] = []
    ended = False
    for packet in until_damage(from_key_frame(source, stream, info, span[0])):
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
