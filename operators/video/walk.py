"""The frames of a video in order, whatever is wrong with the file, within a time limit."""

import itertools
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from manifests.errors import MediaError
from operators.video.probe import VideoInfo, opened, reason, stamp
from operators.video.source import VideoFile

MAX_BAD_PACKETS = 1000
BACK_S = (0.0, 1.0, 5.0, 25.0, 125.0)
"""How much earlier, in seconds, a seek that missed the key frame is tried again."""


@dataclass(frozen=True)
class Limits:
    """Seconds: for the next frame, and for a clip: ``base_s`` and ``per_second`` for each of its own seconds."""

    frame_s: float = 60.0
    base_s: float = 120.0
    per_second: float = 10.0


LIMITS = Limits()


class Deadline:
    """Raises `MediaError` when a frame, or all of a clip, takes too long."""

    def __init__(self, limits: Limits, duration_s: float) -> None:
        self._frame_s = limits.frame_s
        self._total = limits.base_s + limits.per_second * duration_s
        self._began = self._last = time.monotonic()

    def check(self, progress: bool) -> None:
        now = time.monotonic()
        if now - self._last > self._frame_s:
            raise MediaError(f"time limit: no frame for {self._frame_s:.0f} s")
        if now - self._began > self._total:
            raise MediaError(f"time limit: decoding took more than {self._total:.0f} s")
        if progress:
            self._last = now


class Walk:
    """The frames of a span with their times, in order; damage is stepped over and counted.

    ``covering``: begin with the frame that is shown at the span's start, else with the first that starts in it.
    ``rough``: frames that no other frame is made from are not deblocked. ``source``: the container and the stream, opened before, with
    their `decoder`; they stay open. ``odd``: counts frames without a time, or whose time is not after the one before.
    """

    def __init__(
        self,
        file: VideoFile,
        info: VideoInfo,
        span: tuple[float, float] | None,
        deadline: Deadline,
        threads: int,
        covering: bool = False,
        rough: bool = False,
        source: tuple[Any, Any] | None = None,
    ) -> None:
        self.file, self.info, self.span, self.covering, self.rough = file, info, span, covering, rough
        self.deadline, self.threads, self._source = deadline, threads, source
        self.count, self.end_s, self.bad, self.odd, self.stopped, self._why = 0, 0.0, 0, 0, "", ""
        self._frames = self._walk()

    def __iter__(self) -> Generator[tuple[Any, float], None, None]:
        return self._frames

    def close(self) -> None:
        self._frames.close()

    @property
    def why(self) -> str:
        return f" ({self._why})" if self._why else ""

    def damage(self) -> str | None:
        """What is wrong with what was read, in a few words."""
        said = []
        if self.stopped:
            said.append(f"the container is damaged at {self.end_s:.1f} s ({self.stopped})")
        elif self.bad:
            said.append(f"{self.bad} packets cannot be decoded ({self._why})")
        if self.span is None and self.truncated:
            said.insert(0, f"truncated: {self.end_s - self.info.start_s:.1f} of {self.info.duration_s:.1f} s can be read")
        return "; ".join(said) or None

    @property
    def truncated(self) -> bool:
        """Whether a walk to the end of the file ended much earlier than the file says."""
        stated = self.info.duration_s
        return self.end_s - self.info.start_s < stated - max(0.5, 0.02 * stated)

    def _walk(self) -> Generator[tuple[Any, float], None, None]:
        half = self.info.tick / 2
        begin, end = self.span or (-1e18, 1e18)
        step = 1 / self.info.fps if self.info.fps else 0.04
        last = None
        held: tuple[Any, float] | None = None
        for frame, at in self._decoded(begin):
            if last is not None and at <= last + half / 2:
                self.odd += 1
                continue  # a timestamp that repeats or runs backwards: the frame is not shown
            if at >= end - half:
                break
            last = at
            if at < begin - half:
                held = (frame, at) if self.covering else None
                continue
            if self.covering and held is not None and at > begin + half:
                yield self._counted(held[0], held[1], step)
                held = None
            elif held is not None:
                held = None
            yield self._counted(frame, at, step)
        if held is not None:
            yield self._counted(held[0], held[1], step)

    def _counted(self, frame: Any, at: float, step: float) -> tuple[Any, float]:
        self.count += 1
        own = float(frame.duration * self.info.time_base) if frame.duration else 0.0
        self.end_s = at + (own if 0 < own < 10 else step)
        return frame, at

    def _decoded(self, begin: float) -> Iterator[tuple[Any, float]]:
        import av

        with ExitStack() as files:
            if self._source:
                container, stream = self._source
            else:
                container = files.enter_context(opened(self.file))
                stream = decoder(container, self.threads, self.rough)
            base, step = float(stream.time_base), 1 / (self.info.fps or 25)
            at = self.info.start_s - step
            late = begin > self.info.start_s + self.info.tick
            packets = from_key_frame(container, stream, self.info, begin) if late else container.demux(stream)
            while True:
                self.deadline.check(progress=False)
                try:
                    packet = next(packets, None)
                except (av.FFmpegError, OSError, ValueError) as error:
                    self.stopped = reason(error)
                    return
                if packet is None:
                    return
                try:
                    frames = packet.decode()
                except (av.FFmpegError, ValueError) as error:
                    self.bad, self._why = self.bad + 1, reason(error)
                    if self.bad > MAX_BAD_PACKETS:
                        return
                    continue
                for frame in frames:
                    self.deadline.check(progress=True)
                    shown = stamp(frame, self.info.format)
                    self.odd += shown is None
                    at = shown * base if shown is not None else at + step
                    yield frame, at


def decoder(container: Any, threads: int, rough: bool = False) -> Any:
    """The video stream of a container just opened, set up to be decoded alone. Raises `MediaError` where there is none."""
    stream = container.streams.best("video")
    if stream is None:
        raise MediaError("no video track")
    # Frame threads cost memory and a late start: for whole files only.
    stream.thread_type = "AUTO" if threads > 1 else "NONE"
    stream.codec_context.thread_count = threads
    if rough:  # of all frames would be cheaper still, but moves two borderline cuts of PySceneDetect's published lists
        stream.codec_context.options = {"skip_loop_filter": "noref"}
    for other in container.streams:
        if other is not stream:
            with suppress(AttributeError, ValueError):
                other.discard = "all"
    return stream


def from_key_frame(container: Any, stream: Any, info: VideoInfo, begin: float) -> Iterator[Any]:
    """The packets from a key frame on that is not after ``begin``. A seek may miss it: MPEG streams have no index, and times of
    decoding, by which ffmpeg seeks in some containers, are before those of showing."""
    import av

    start = info.start_s
    lag = start if info.format == "avi" else 0.0  # frames are shown so much later than packets say (see `stamp`)
    # Before the start FLV cannot seek; of a file without an index that is the only sure place.
    for target in (*(max(start, begin - back) for back in BACK_S), start - max(BACK_S)):
        with suppress(av.FFmpegError):
            container.seek(round(target / stream.time_base), stream=stream, backward=True)
        packets: Iterator[Any] = container.demux(stream)
        with suppress(StopIteration, av.FFmpegError, OSError, ValueError):
            first = next(packets)
            if first.is_keyframe and (first.pts is None or first.pts * info.tick + lag < begin + info.tick / 2):
                return itertools.chain([first], packets)
    return packets  # whatever comes after the last seek
