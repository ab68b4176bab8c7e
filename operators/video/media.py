"""The one place that decodes videos: a file and a span in, views out, every frame decoded once for all views of a pass."""

import bisect
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from manifests.errors import MediaError
from operators.base import Coverage, EveryFrame, FileBytes, Frames, Gather, RawBytes, Sound, VideoHeader, View
from operators.video.ahead import ahead
from operators.video.frames import Converter, Sampled, SmallFrame, UInt8
from operators.video.probe import VideoInfo, opened, probe
from operators.video.source import VideoFile, Window
from operators.video.stretches import NotSplitError, Stretches
from operators.video.walk import LIMITS, Deadline, Limits, Walk

SEEK_SECONDS = 60.0
"""`Frames` of longer clips are sought one by one, of shorter ones taken from the decode of every frame."""
FRAMES_AHEAD = 4
"""Of 4K, 50 MB."""
DECODED = "decoded"


@dataclass(frozen=True)
class Decoded:
    """What one decode of every frame told. ``end_s``: when the last frame stops being shown, by the clip's clock; ``damage``: or None."""

    frames: int
    end_s: float
    damage: str | None


class VideoMedia:
    """One video, or the part of it from ``span[0]`` up to and without ``span[1]`` seconds by its own clock.

    ``views``: all that the pass will ask for; the first of them that needs every frame is answered together with the others.
    Belongs to one thread at a time. What failed once fails again with the same error.
    """

    def __init__(
        self,
        file: VideoFile,
        span: tuple[float, float] | None = None,
        views: Collection[View] = (),
        limits: Limits = LIMITS,
        threads: int = 1,
    ) -> None:
        self.file, self.span, self._views, self._limits, self._threads = file, span, tuple(views), limits, threads
        self._known: dict[Any, Any] = {}

    @property
    def info(self) -> VideoInfo:
        """Of the whole file. Raises `MediaError`."""
        info: VideoInfo = self._once(VideoHeader(), self._probe)
        return info

    @property
    def duration_s(self) -> float:
        """Of the clip; 0 where the container does not say."""
        return self.span[1] - self.span[0] if self.span else self.info.duration_s

    def view(self, view: View) -> Any:
        """The view's data. Raises `MediaError`."""
        info = self.info
        if isinstance(view, VideoHeader):
            return info
        if isinstance(view, FileBytes):
            return Window(self.file)
        if isinstance(view, Coverage):
            return self.decoded()
        if isinstance(view, Sound):
            return self._once(view, lambda: self._sound(view))
        if isinstance(view, RawBytes):
            raise MediaError("videos are not read into memory")
        if isinstance(view, Frames) and self.duration_s > SEEK_SECONDS:
            return self._once(view, lambda: self._sought(view))
        if view not in self._known:
            self._decode(view)
        return self._once(view, lambda: None)

    def decoded(self) -> Decoded:
        """What the decode of every frame told (it is run if no view did)."""
        if DECODED not in self._known:
            self._decode()
        found: Decoded = self._once(DECODED, lambda: None)
        return found

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._known:
            try:
                self._known[key] = make()
            except MediaError as error:
                self._known[key] = error
        value = self._known[key]
        if isinstance(value, MediaError):
            raise MediaError(str(value))
        return value

    def _probe(self) -> VideoInfo:
        with opened(self.file) as container:
            return probe(container)[0]

    def _sound(self, view: Sound) -> Any:
        from operators.video.sound import listen

        return listen(self.file, self.info, self.span, view, self._deadline())

    def _deadline(self) -> Deadline:
        return Deadline(self._limits, self.duration_s)

    def _decode(self, *asked: View) -> None:
        """Run all views of the pass that need every frame, and remember what each says, or why it failed."""
        wanted = [v for v in dict.fromkeys((*self._views, *asked)) if v not in self._known]
        folds = [v for v in wanted if isinstance(v, EveryFrame)]
        sampled = [v for v in wanted if isinstance(v, Frames)] if self.duration_s <= SEEK_SECONDS else []
        exact = [v for v in folds if not v.rough]
        for some, pictures, rough in ((exact, sampled, False), ([v for v in folds if v.rough], [], True)):
            if some or pictures or (not folds and not rough):
                try:
                    self._run(some, pictures, rough)
                except MediaError as error:
                    self._known.update(dict.fromkeys((*some, *pictures, DECODED), error))

    def _run(self, folds: list[Any], sampled: list[Frames], rough: bool) -> None:
        pictures = {getattr(view, "picture", "") for view in folds}
        # Clips are many, and keep the processors busy as they are.
        if rough and all(pictures) and self._threads > 1 and not self.span:
            stretches = Stretches(self.file, self.info, self._deadline(), self._threads, pictures)
            with suppress(NotSplitError), closing(iter(stretches)) as split:
                self._look(stretches, split, folds, [])
                return
        walk = Walk(self.file, self.info, self.span, self._deadline(), self._threads, rough=rough)
        # Of a whole file the next frames are decoded while these are looked at.
        with closing(ahead(walk, FRAMES_AHEAD) if self._threads > 1 else iter(walk)) as frames:
            self._look(walk, self._small(frames), folds, sampled)

    def _small(self, frames: Iterable[tuple[Any, float]]) -> Iterator[SmallFrame]:
        converter, start = Converter(self.info), self._start_s
        for index, (frame, time_s) in enumerate(frames):
            yield SmallFrame(frame, converter, index, time_s - start)

    def _look(self, walk: Walk | Stretches, frames: Iterable[SmallFrame], folds: list[Any], sampled: list[Frames]) -> None:
        """Show the frames of a walk to all views, and remember what these say."""
        info, start = self.info, self._start_s
        gathers: dict[Any, Gather] = {view: view.start(info) for view in folds}
        failed: dict[Any, MediaError] = {}
        pickers = {view: Picker(view, self.duration_s) for view in sampled}
        for small in frames:
            for view, gather in gathers.items():
                if view not in failed:
                    try:
                        gather.add(small)
                    except Exception as error:  # whatever one measure raises must not cost the others
                        failed[view] = MediaError(f"{type(error).__name__}: {error}")
            for picker in pickers.values():
                picker.add(small)
        if walk.count < (1 if self.span else 2):
            what = "a single frame, a picture and not a video" if walk.count else f"no frame can be decoded{walk.why}"
            raise MediaError(what)
        self._known[DECODED] = Decoded(walk.count, walk.end_s - start, walk.damage())
        for view, gather in gathers.items():
            try:
                self._known[view] = failed.get(view) or gather.finish()
            except Exception as error:
                self._known[view] = MediaError(f"{type(error).__name__}: {error}")
        for view, picker in pickers.items():
            times, pixels = picker.finish()
            self._known[view] = Sampled(tuple(t + start for t in times), pixels, info)

    @property
    def _start_s(self) -> float:
        return self.span[0] if self.span else self.info.start_s

    def _sought(self, view: Frames) -> Sampled:
        """Frames of a long clip, each sought from the key frame before it."""
        info = self.info
        converter = Converter(info)
        begin = self.span[0] if self.span else info.start_s
        times: list[float] = []
        pixels: list[UInt8] = []
        deadline = self._deadline()
        for target in middles(view.count, self.duration_s):
            span = (begin + target, begin + self.duration_s + info.tick)
            walk = Walk(self.file, info, span, deadline, self._threads, covering=True)
            shown = next(iter(walk), None)
            walk.close()
            if shown is not None and shown[1] not in times:
                times.append(shown[1])
                pixels.append(converter.rgb(shown[0], view.min_side))
        if not times:
            raise MediaError("no frame can be decoded at the sampled times")
        return Sampled(tuple(times), tuple(pixels), info)


def middles(count: int, duration_s: float) -> list[float]:
    """The middles of ``count`` equal parts, in seconds."""
    return [(i + 0.5) / count * duration_s for i in range(count)]


class Picker:
    """Keeps the frames shown at the middles of equal parts of a clip. Where the duration is unknown, of what came: see `finish`."""

    def __init__(self, view: Frames, duration_s: float) -> None:
        self.view = view
        self._targets = middles(view.count, duration_s) if duration_s > 0 else []
        self._next = 0
        self._before: SmallFrame | None = None
        self._kept: list[tuple[float, UInt8]] = []

    def add(self, small: SmallFrame) -> None:
        self._take(until=small.time_s)
        self._before = small

    def _take(self, until: float) -> None:
        """Keep the frame before if it is shown at a target before ``until``."""
        passed = bisect.bisect_left(self._targets, until - 1e-6, lo=self._next)
        if passed > self._next and self._before is not None:
            self._next = passed
            self._keep(self._before)

    def _keep(self, small: SmallFrame) -> None:
        self._kept.append((small.time_s, small.rgb(self.view.min_side)))

    def finish(self) -> tuple[list[float], tuple[UInt8, ...]]:
        self._take(until=float("inf"))
        if not self._kept and self._before is not None:
            self._keep(self._before)
        return [t for t, _ in self._kept], tuple(p for _, p in self._kept)
