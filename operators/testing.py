"""Small stand-ins for tests of operators, shipped so that authors of third-party operators can use them too."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image, ImageFilter

from manifests.errors import MediaError
from operators.base import Batch, View
from operators.media import Media
from operators.video.media import VideoMedia
from operators.video.source import VideoFile


@dataclass(frozen=True)
class MediaRow:
    """A row over real bytes; no bytes: every view raises `MediaError`."""

    columns: Mapping[str, Any]
    media: Media | VideoMedia | None

    def __getitem__(self, column: str) -> Any:
        return self.columns[column]

    def view(self, view: View) -> Any:
        if self.media is None:
            raise MediaError("the sample has no media")
        return self.media.view(view)


def make_batch(
    rows: Sequence[Mapping[str, Any]],
    media: Sequence[bytes | None] | None = None,
    schema: pa.Schema | None = None,
    views: Sequence[View] | None = None,
) -> Batch:
    """A batch over ``rows`` of columns and, in the same order, the bytes of their files; ``views``: of a pass over videos."""

    def opened(data: bytes | None) -> Media | VideoMedia | None:
        if data is None:
            return None
        return Media(data) if views is None else VideoMedia(VideoFile("test", data=data), None, views)

    files = list(media) if media is not None else [None] * len(rows)
    if len(files) != len(rows):
        raise ValueError(f"{len(rows)} rows but {len(files)} files")
    if rows and any(rows):
        table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
    else:  # a table without columns cannot know its length
        table = schema.empty_table() if schema is not None else pa.table({"row": pa.array(range(len(rows)), pa.int64())})
    return Batch(table, [MediaRow(row, opened(data)) for row, data in zip(rows, files, strict=True)])


def picture(width: int = 64, height: int = 48, seed: int = 0) -> Image.Image:
    """A deterministic RGB picture with large shapes, colours and fine detail: hashes and quality measures find something in it."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.blend(coarse, Image.fromarray(noise).filter(ImageFilter.SMOOTH), 0.2)


def panning(frames: int = 20, width: int = 128, height: int = 96, seed: int = 0, step: int = 2) -> list[npt.NDArray[np.uint8]]:
    """Frames of a camera that pans to the right over a `picture`, ``step`` pixels a frame."""
    whole = np.asarray(picture(width + step * frames, height, seed))
    return [whole[:, step * i : step * i + width] for i in range(frames)]


def film(
    frames: Sequence[npt.NDArray[np.uint8]],
    fps: int = 10,
    format: str = "mp4",
    codec: str = "libx264",
    sound: npt.NDArray[np.float32] | None = None,
    rotation: int = 0,
    metadata: Mapping[str, str] | None = None,
    **tags: Any,
) -> bytes:
    """A video file in memory. ``sound``: mono, 16 kHz. ``metadata``: of the container. ``tags``: attributes of the codec context, such as
    ``color_trc``."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=format) as out:
        out.metadata.update(metadata or {})
        stream: Any = out.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], "yuv420p"
        stream.codec_context.thread_count = 1
        if rotation:
            stream.set_display_rotation(rotation)
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        audio: Any = out.add_stream("aac", rate=16000, layout="mono") if sound is not None else None
        for pixels in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")))
        out.mux(stream.encode(None))
        if sound is not None:
            for start in range(0, len(sound), 1024):
                piece = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None, start : start + 1024]), "fltp", "mono")
                piece.sample_rate, piece.pts = 16000, start
                out.mux(audio.encode(piece))
            out.mux(audio.encode(None))
    return buffer.getvalue()


def encode(image: Image.Image | npt.NDArray[np.uint8], format: str = "PNG", **options: Any) -> bytes:
    """The picture as a file in memory; ``format`` and ``options`` are Pillow's."""
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, format, **options)
    return buffer.getvalue()
