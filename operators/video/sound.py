"""Sound of a clip: loudness, peaks, clipping and silence by ffmpeg's filters, speech by Silero VAD. Decoded once, in pieces."""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from manifests.errors import MediaError
from operators.base import Sound
from operators.packaged_models import cpu_session, packaged_file
from operators.video.probe import VideoInfo, opened, reason, until_damage
from operators.video.source import VideoFile

if TYPE_CHECKING:
    from operators.video.walk import Deadline

EXTRA = "speech"
SPEECH_RATE = 16_000
CHUNK, CONTEXT = 512, 64
"""Samples at 16 kHz that the detector judges at a time, and of the chunk before that it is shown again."""
SPEECH_AT = 0.5
CLIPPED = 0.999
SILENT_DB = -60.0
MAX_BAD_PACKETS = 1000


@dataclass(frozen=True)
class SoundFacts:
    """``loudness``: integrated, LUFS (EBU R128; None: too short or silent). ``peak``: highest sample, dBFS (None: silent). ``clipped``:
    share of the samples at full scale. ``silent``: share of the time below -60 dBFS (RMS of decoder frames). ``seconds``: decoded.
    ``speech``: share of the time with speech; None when not asked for."""

    loudness: float | None
    peak: float | None
    clipped: float
    silent: float
    seconds: float
    speech: float | None


def listen(file: VideoFile, info: VideoInfo, span: tuple[float, float] | None, view: Sound, deadline: "Deadline") -> SoundFacts | None:
    """The first (best) audio track of a span; None without one, and where it has no sound: films often end later than theirs.

    Raises `MediaError` when nothing of it can be decoded.
    """
    import av
    from av.filter import Graph

    if info.audio_codec is None:
        return None
    graph = Graph()
    speech = _Speech() if view.speech else None
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SPEECH_RATE)
    samples = clipped = 0
    peak, silent, seconds, loudness = 0.0, 0.0, 0.0, None
    configured = False
    walk = SoundWalk(file, span, deadline)
    try:
        for frame in walk:
            plane = _floats(frame)
            length = frame.samples / frame.sample_rate
            high = np.abs(plane)
            samples, clipped = samples + plane.size, clipped + int((high >= CLIPPED).sum())
            peak, seconds = max(peak, float(high.max(initial=0))), seconds + length
            level = 20 * math.log10(max(float(np.sqrt((plane.astype(np.float64) ** 2).mean())), 1e-9)) if plane.size else -180.0
            silent += length if level < SILENT_DB else 0.0
            if not configured:
                source = graph.add_abuffer(template=None, sample_rate=frame.sample_rate, format=frame.format.name, layout=frame.layout.name)
                meter, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
                source.link_to(meter)
                meter.link_to(sink)
                graph.configure()
                configured = True
            if speech:
                for piece in resampler.resample(frame):
                    speech.add(np.asarray(piece.to_ndarray(), np.float32).ravel())
            frame.pts = None
            graph.push(frame)
            loudness = _pulled(graph, loudness)
    except (av.FFmpegError, ValueError) as error:
        if not samples:
            raise MediaError(f"the audio cannot be decoded ({reason(error)})") from error
    if not samples and walk.bad and not walk.good:
        raise MediaError(f"the audio cannot be decoded ({walk.bad} damaged packets)")
    if not samples:
        return None
    return SoundFacts(
        loudness=loudness if loudness is not None and loudness > -70 else None,
        peak=20 * math.log10(peak) if peak > 0 else None,
        clipped=clipped / samples,
        silent=silent / seconds if seconds else 0.0,
        seconds=seconds,
        speech=speech.share() if speech else None,
    )


def _pulled(graph: Any, loudness: float | None) -> float | None:
    """The integrated loudness after all that the meter has swallowed."""
    import av

    with suppress(av.error.BlockingIOError, av.error.EOFError):
        while True:
            said = graph.pull().metadata.get("lavfi.r128.I")
            loudness = float(said) if said is not None else loudness
    return loudness


def _floats(frame: Any) -> npt.NDArray[np.float32]:
    """The samples, full scale at 1."""
    stored = frame.to_ndarray()
    values: npt.NDArray[np.float32] = np.nan_to_num(np.asarray(stored, np.float32))
    if stored.dtype.kind == "f":
        return values
    offset = np.float32(128 if stored.dtype == np.uint8 else 0)
    return (values - offset) / np.float32(128 if offset else np.iinfo(stored.dtype).max)


class SoundWalk:
    """The frames of a file's best audio track that begin in a span, in order; damage is stepped over. ``bad`` counts packets that cannot
    be decoded (after a seek the first ones may not be whole), ``good`` the frames that could be."""

    def __init__(self, file: VideoFile, span: tuple[float, float] | None, deadline: "Deadline") -> None:
        self.file, self.deadline = file, deadline
        self.begin, self.end = span or (-math.inf, math.inf)
        self.bad = self.good = 0

    def __iter__(self) -> Iterator[Any]:
        import av

        with opened(self.file) as container:
            audio = container.streams.best("audio")
            if audio is None:
                return
            if self.begin > 0:
                with suppress(av.FFmpegError):
                    container.seek(int(self.begin / audio.time_base), stream=audio, backward=True)
            for packet in until_damage(container.demux(audio)):
                self.deadline.check(progress=False)
                try:
                    frames = packet.decode()
                except (av.FFmpegError, ValueError):
                    self.bad += 1
                    if self.bad > MAX_BAD_PACKETS:
                        return
                    continue
                self.good += len(frames)
                for frame in frames:
                    self.deadline.check(progress=True)
                    if frame.time is not None and frame.time < self.begin:
                        continue
                    if frame.time is not None and frame.time >= self.end:
                        return
                    yield frame


class _Speech:
    """Runs the detector over chunks as they come; its memory goes from one to the next."""

    def __init__(self) -> None:
        self.session = _session()
        self.h = np.zeros((1, 1, 128), np.float32)
        self.c = np.zeros((1, 1, 128), np.float32)
        self.context = np.zeros(CONTEXT, np.float32)
        self.rest = np.zeros(0, np.float32)
        self.spoken = self.chunks = 0

    def add(self, samples: npt.NDArray[np.float32]) -> None:
        self.rest = np.concatenate([self.rest, samples])
        if len(self.rest) >= 32 * CHUNK:
            self._run(len(self.rest) // CHUNK)

    def share(self) -> float:
        if len(self.rest):
            self.rest = np.concatenate([self.rest, np.zeros(-len(self.rest) % CHUNK, np.float32)])
            self._run(len(self.rest) // CHUNK)
        return self.spoken / self.chunks if self.chunks else 0.0

    def _run(self, count: int) -> None:
        whole, self.rest = self.rest[: count * CHUNK], self.rest[count * CHUNK :]
        joined = np.concatenate([self.context, whole])
        shown = np.lib.stride_tricks.sliding_window_view(joined, CONTEXT + CHUNK)[::CHUNK]
        self.context = joined[-CONTEXT:]
        feed = {"input": np.ascontiguousarray(shown), "h": self.h, "c": self.c}
        probabilities, self.h, self.c = self.session.run(None, feed)
        self.spoken += int((probabilities >= SPEECH_AT).sum())
        self.chunks += count


@lru_cache(maxsize=1)
def _session() -> Any:
    return cpu_session(packaged_file("silero_vad", "data/silero_vad_16k_sequence.onnx", EXTRA), EXTRA)


def load_speech() -> None:
    """Raises `MissingDependencyError` without the package that carries the detector."""
    _session()
