"""The clips of an export: each is cut out of its video if that is still the file that was measured."""

import os
import threading
import uuid
from collections.abc import Callable

from manifests import Lake
from manifests.connection import quote
from manifests.errors import MediaError
from operators.video.source import VideoFile
from pipelines.clip_cutter import Cut, CutSettings, cut_clip
from pipelines.sample_json import Row
from pipelines.shards import CutClip

OpenVideo = Callable[[str, int | None, int | None], VideoFile]
"""``open_video(uri, byte_offset, byte_length)``: the video, or `MediaError`."""


def parent_hashes(lake: Lake, tier: str) -> dict[str, str]:
    """The content address of every video that a clip of the tier was found in, by sample id."""
    rows = lake.rows(
        f"""SELECT CAST(sample_id AS VARCHAR) AS id, CAST(media_hash AS VARCHAR) AS hash FROM samples
        WHERE sample_id IN (SELECT parent_id FROM wide WHERE tier = {quote(tier)} AND parent_id IS NOT NULL)"""
    )
    return {row["id"]: row["hash"] for row in rows}


def clip_cutter(parents: dict[str, str], open_video: OpenVideo, settings: CutSettings) -> CutClip:
    """A function that cuts the clip of a row. A video is hashed once in a process, not for each of its clips."""
    seen: dict[tuple[str, int | None, int, int], uuid.UUID] = {}
    lock = threading.Lock()

    def digest(file: VideoFile, row: Row) -> uuid.UUID:
        try:
            stat = os.stat(file.path)
        except OSError:
            return file.digest()  # bytes out of an archive or table
        key = (file.path, file.offset, stat.st_size, stat.st_mtime_ns)
        with lock:  # one thread hashes, the others wait for what it finds
            if key not in seen:
                seen[key] = file.digest()
            return seen[key]

    def cut(row: Row) -> Cut:
        try:
            file = open_video(row["uri"], row["byte_offset"], row["byte_length"])
            if digest(file, row) != uuid.UUID(parents[str(row["parent_id"])]):
                raise MediaError("it has changed since it was measured: ingest and measure it again")
            return cut_clip(file, (row["span_start_s"], row["span_end_s"]), settings)
        except MediaError as error:
            raise MediaError(f"{row['uri']}: {error}") from error

    return cut
