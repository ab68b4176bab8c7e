"""What a video says about itself: `VideoInfo`, and the errors of files that are none."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from manifests.errors import MediaError
from operators.containers import sniff
from operators.header import SHORT_NAMES
from operators.video.source import VideoFile

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegvideo,mpegts,flv,asf,ogg,h264,hevc,ivf,mxf,gxf,nut,dv,rm,wtv"
"""Names of ffmpeg demuxers that may be used. Playlists and concatenations are not among them: they open other files."""

NAMES = {"matroska": "mkv", "mpegts": "ts", "mpegvideo": "mpeg", "asf": "wmv"}
OPEN_SECONDS = 30.0
MAX_PIXELS = 8192 * 8192
MAX_FPS = 1000
"""Faster cameras exist, but files that state more have broken timestamps far more often."""
HDR = {16: "pq", 18: "hlg"}
"""ITU-T H.273 transfer characteristics."""
FIELDS = (2, 3, 4, 5)
"""Values of ffmpeg's ``field_order`` that mean interlaced."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video says about itself.

    ``width``, ``height``: as displayed, in square pixels, upright; ``stored_*``: as in the stream. ``rotation``: quarter turns to the left
    that make it upright, 0-3. ``start_s``: time of the first frame; ``duration_s`` counts from there, 0 where nothing tells. ``fps``:
    average. ``hdr``: "pq", "hlg" or "". ``matrix``, ``full_range``: how YUV becomes RGB (H.273 number). Bit rates in bits a second.
    """

    format: str
    codec: str
    width: int
    height: int
    stored_width: int
    stored_height: int
    rotation: int
    pixel_aspect: Fraction
    fps: float
    start_s: float
    duration_s: float
    time_base: Fraction
    frames: int
    pixel_format: str
    bits: int
    hdr: str
    matrix: int
    full_range: bool
    interlaced: bool
    bit_rate: int
    streams: int
    audio_codec: str | None
    audio_channels: int
    audio_rate: int

    @property
    def tick(self) -> float:
        """Seconds of one unit of the stream's clock."""
        return float(self.time_base)


@contextlib.contextmanager
def opened(file: VideoFile) -> Iterator[Any]:
    """The container (PyAV's; its stubs lack what streams of one kind have). Raises `MediaError` with the name of what is wrong."""
    import av

    source = file.open()
    try:
        container = av.open(
            source,
            mode="r",
            buffer_size=1 << 20,
            timeout=(OPEN_SECONDS, OPEN_SECONDS),
            container_options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except (av.FFmpegError, OSError, ValueError, RuntimeError) as error:
        raise MediaError(why_not(file, error)) from None
    with container:
        yield container


def why_not(file: VideoFile, error: Exception) -> str:
    """The name of what is wrong with a file that does not open."""
    head = first_bytes(file)
    if not head:
        return "empty file: it has no bytes"
    if not any(head):
        return "not a video: the file begins with zeros only"
    with contextlib.suppress(MediaError):
        picture = sniff(head)
        return f"not a video: the file is a picture ({SHORT_NAMES.get(picture, picture.lower())})"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide"):
        return "truncated or damaged mp4: its index (moov) cannot be read"
    return f"not a video, or damaged at its beginning ({reason(error)})"


def first_bytes(file: VideoFile, count: int = 4096) -> bytes:
    try:
        with file.stream() as stream:
            return bytes(stream.read(count))
    except (MediaError, OSError):
        return b""


def reason(error: BaseException) -> str:
    """ffmpeg's words for an error, short, without paths."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).split("\n", 1)[0].split("; ", 1)[0][:100]


def probe(container: Any) -> tuple[VideoInfo, Any]:
    """What the container and its first frame tell, and the video stream; the container is back at its beginning.

    Raises `MediaError`: no video track, no frame, implausible size or rate.
    """
    streams = container.streams
    stream = streams.best("video")
    if stream is None or stream.codec_context is None:
        kinds = ", ".join(sorted({s.type for s in streams})) or "no track at all"
        known = "a video track of an unknown codec" if "video" in kinds else kinds
        raise MediaError(f"no video track that can be decoded: the file has {known}")
    context = stream.codec_context
    if context.width * context.height > MAX_PIXELS:
        raise MediaError(f"too large: {context.width} x {context.height} pixels")
    rate = stream.average_rate or stream.guessed_rate or Fraction(0)
    if rate > MAX_FPS:
        raise MediaError(f"implausible frame rate: {float(rate):,.0f} frames a second (limit {MAX_FPS})")
    frame = _first_frame(container, stream)
    pixel_aspect = stream.sample_aspect_ratio or Fraction(1)
    if not Fraction(1, 10) <= pixel_aspect <= 10:
        pixel_aspect = Fraction(1)
    width, height = max(1, round(frame.width * pixel_aspect)), frame.height
    turns = round(frame.rotation / 90) % 4
    if turns % 2:
        width, height = height, width
    audio = streams.best("audio")
    kind = format_name(container)
    shown = stamp(frame, kind)
    first = float((shown if shown is not None else stream.start_time or 0) * stream.time_base)
    info = VideoInfo(
        format=kind,
        codec=context.codec.canonical_name,
        width=width,
        height=height,
        stored_width=frame.width,
        stored_height=frame.height,
        rotation=turns,
        pixel_aspect=pixel_aspect,
        fps=float(rate),
        start_s=first,
        duration_s=_duration(container, stream),
        time_base=stream.time_base,
        frames=stream.frames,
        pixel_format=frame.format.name,
        bits=max((c.bits for c in frame.format.components), default=8),
        hdr=HDR.get(int(frame.color_trc or 0), ""),
        matrix=int(frame.colorspace) if int(frame.colorspace) in (1, 5, 6, 7, 9, 10) else 1 if frame.height >= 720 else 6,
        full_range=int(frame.color_range) == 2 or frame.format.name.startswith("yuvj"),
        interlaced=bool(frame.interlaced_frame) or _field_order(context) in FIELDS,
        bit_rate=int(container.bit_rate or 0),
        streams=len(streams),
        audio_codec=audio.codec_context.codec.canonical_name if audio is not None and audio.codec_context else None,
        audio_channels=int(audio.codec_context.channels) if audio is not None and audio.codec_context else 0,
        audio_rate=int(audio.codec_context.sample_rate or 0) if audio is not None and audio.codec_context else 0,
    )
    return info, stream


def format_name(container: Any) -> str:
    """mp4, mov, mkv, webm, avi, ...: what a file of this content is usually named."""
    names = container.format.name.split(",")
    if "mp4" in names:
        return "mov" if container.metadata.get("major_brand", "").strip() == "qt" else "mp4"
    if "webm" in names:
        codecs = {s.codec_context.codec.canonical_name for s in container.streams if s.type in ("video", "audio") and s.codec_context}
        return "webm" if codecs <= {"vp8", "vp9", "av1", "opus", "vorbis"} else "mkv"
    return str(NAMES.get(names[0], names[0]))


def _field_order(context: Any) -> int:
    try:
        return int(context.field_order)
    except (RuntimeError, TypeError, ValueError, AttributeError):
        return 0


def _first_frame(container: Any, stream: Any) -> Any:
    import av

    failed: Exception | None = None
    for count, packet in enumerate(until_damage(container.demux(stream))):
        if count > 300:
            break
        try:
            for frame in packet.decode():
                return frame
        except (av.FFmpegError, ValueError) as error:
            failed = error
    raise MediaError(f"no frame can be decoded ({reason(failed) if failed else 'the video track is empty'})")


def until_damage(demuxed: Iterator[Any]) -> Iterator[Any]:
    """The packets until the end or the first damage of the container."""
    import av

    while True:
        try:
            packet = next(demuxed, None)
        except (av.FFmpegError, OSError, ValueError):
            return
        if packet is None:
            return
        yield packet


def stamp(frame: Any, kind: str) -> int | None:
    """When a frame is shown, in ticks of its stream; ``kind``: the container's format.

    AVI has no times of showing, and FFmpeg gives those of decoding for them, of each frame its own: where frames refer to later ones
    they run to and fro. Frames come out in the order of showing, and the times of the packets that they came out at do not.
    """
    shown = frame.pts if frame.pts is not None and kind != "avi" else frame.dts
    return None if shown is None else int(shown)


def _duration(container: Any, stream: Any) -> float:
    """Seconds, from the stream, else the container; 0 where neither says something plausible."""
    for ticks, base in ((stream.duration, stream.time_base), (container.duration, Fraction(1, 1_000_000))):
        if ticks and 0 < (seconds := float(ticks * base)) < 48 * 3600:
            return seconds
    return 0.0
