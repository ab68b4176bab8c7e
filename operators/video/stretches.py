"""A whole file decoded by several decoders at once, each from a key frame on, its frames handed over in order.

Decoders with a thread each need not wait for one another: two of them take seven tenths of the time of one with two threads. What they
make is kept until its turn comes, so of each frame only the small pictures that are wanted.
"""

import itertools
import threading
from collections import deque
from collections.abc import Collection, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from operators.video.frames import Converter, SmallFrame
from operators.video.probe import VideoInfo, opened
from operators.video.source import VideoFile
from operators.video.walk import Deadline, Walk, decoder

FORMATS = ("mp4", "mov", "mkv", "webm")
"""Those with an index of key frames."""
STRETCH_FRAMES = 128
"""Length of a stretch where key frames are near enough."""
LONGEST_FRAMES = 640
"""More are not kept: at 160 pixels these take 28 MB, and there are two stretches more than decoders."""
MOST_DECODERS = 8


class NotSplitError(Exception):
    """The file must be decoded in one go: it is damaged, has too few key frames, or none at which a decoder can begin."""


class Stretches:
    """The frames of a whole file, as a rough `Walk` has them. `NotSplitError` may come at any time: what was handed over is then void.

    ``pictures``: the properties of `SmallFrame` that are made; the others cannot be had.
    """

    def __init__(self, file: VideoFile, info: VideoInfo, deadline: Deadline, decoders: int, pictures: Collection[str]) -> None:
        self.file, self.info, self.deadline, self.pictures = file, info, deadline, pictures
        self.decoders = min(decoders, MOST_DECODERS)
        self.count, self.end_s, self.why = 0, 0.0, ""
        self._idle: list[tuple[Any, Any]] = []
        self._unwanted = threading.Event()

    def damage(self) -> None:
        """A damaged file is not split."""

    def __iter__(self) -> Generator[SmallFrame, None, None]:
        """Close it when it is not read to its end: all decoders end before that returns."""
        spans = itertools.pairwise(itertools.chain([-1e18], self._begins(), [1e18]))
        waiting: deque[Future[tuple[list[SmallFrame], Walk]]] = deque()
        with ExitStack() as files, ThreadPoolExecutor(self.decoders, "stretch") as pool:
            try:
                while True:
                    for span in itertools.islice(spans, self.decoders + 1 - len(waiting)):
                        waiting.append(pool.submit(self._decode, span, files))
                    if not waiting:
                        break
                    made, walk = waiting.popleft().result()
                    self.end_s = walk.end_s
                    for small in made:
                        small.index = self.count
                        self.count += 1
                        yield small
            finally:
                self._unwanted.set()
        if walk.truncated:
            raise NotSplitError

    def _begins(self) -> Iterator[float]:
        """When all stretches but the first begin: times of key frames."""
        import av

        info = self.info
        if info.format not in FORMATS or not info.fps:
            raise NotSplitError
        end, last, target = info.start_s + info.duration_s, info.start_s, info.start_s
        with opened(self.file) as container:
            stream = decoder(container, 1)
            while (target := target + STRETCH_FRAMES / info.fps) < end:
                try:
                    container.seek(int(target / info.tick), stream=stream)
                    packet = next(container.demux(stream), None)
                except (av.FFmpegError, OSError, ValueError):
                    raise NotSplitError from None
                if packet is None or packet.pts is None or not packet.is_keyframe:
                    raise NotSplitError
                at = packet.pts * info.tick
                if at > last + info.tick:
                    last = at
                    yield at
        if last == info.start_s:
            raise NotSplitError

    def _decode(self, span: tuple[float, float], files: ExitStack) -> tuple[list[SmallFrame], Walk]:
        from av.video.frame import PictureType

        info, made = self.info, list[SmallFrame]()
        if self._idle:
            source = self._idle.pop()
        else:  # the first stretch, which seeks nothing, has a file just opened
            container = files.enter_context(opened(self.file))
            source = container, decoder(container, 1, rough=True)
        converter = Converter(info)  # belongs to one thread at a time
        walk = Walk(self.file, info, span, self.deadline, 1, rough=True, source=source)
        for frame, at in walk:
            if self._unwanted.is_set() or len(made) == LONGEST_FRAMES:
                raise NotSplitError
            # A key frame of another type is only a place from which on the picture mends itself.
            if not made and span[0] > info.start_s and (at > span[0] + info.tick / 2 or frame.pict_type != PictureType.I):
                raise NotSplitError
            small = SmallFrame(frame, converter, 0, at - info.start_s)
            small.settle(self.pictures)
            made.append(small)
        walk.close()
        if not made or walk.bad or walk.stopped or walk.odd:
            raise NotSplitError
        self._idle.append(source)
        return made, walk
