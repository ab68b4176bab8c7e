"""Where a video comes from, as its file says: `provenance` for videos."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from operators.base import BatchFn, FileBytes, Reads, Row, Scope, VideoHeader, per_row
from operators.provenance import Provenance, content_credentials, isobmff, judged, told
from operators.provenance.pieces import MAX_PIECE, Piece
from operators.video.probe import opened
from operators.video.source import VideoFile

BYTES, HEADER = FileBytes(), VideoHeader()
NAMES = {"encoder": "software", "encoded_by": "software"}
"""What ffmpeg calls a tag -> what `provenance` does."""


def renamed(column: str) -> str:
    return f"video_{column}"


@dataclass(frozen=True)
class VideoProvenance:
    """Evidence in a video's metadata that a generator made it, or a camera: C2PA, XMP, generators' own texts, names of programs.

    What `provenance` says of pictures, in columns of its own. MP4 and QuickTime: uuid boxes, user data and its strings; Matroska, WebM, AVI
    and others: the tags that ffmpeg reads. Of a clip it is the evidence of the file it is a part of. A C2PA manifest has hashes over the
    file, all of which is read then; else only metadata is. No evidence means nothing: most sites encode videos anew. See docs/aigc.md.
    """

    name, version = "video_provenance", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(HEADER, BYTES), videos="any")
    adds = pa.schema([column.with_name(renamed(column.name)) for column in Provenance.adds])

    def open(self) -> BatchFn:
        content_credentials.load()
        return per_row(self.adds, measure)


def measure(row: Row) -> dict[str, Any]:
    container = row.view(HEADER).format
    with row.view(BYTES) as window:
        pieces = isobmff.walk(window) if container in ("mp4", "mov") else tags(window.file, container)
        return {renamed(column): value for column, value in told(*judged(pieces, window.file.stream)).items()}


def tags(file: VideoFile, container: str) -> Iterator[Piece]:
    """The tags of the file and of its tracks."""
    with opened(file) as media:
        for owner, metadata in (("", media.metadata), *((f" track {stream.index}", stream.metadata) for stream in media.streams)):
            for key, value in metadata.items():
                data = value.encode("utf-8", "replace")[:MAX_PIECE]
                yield Piece("text", f"{container}{owner} tag {key}", data, NAMES.get(key.lower(), key.lower()))
