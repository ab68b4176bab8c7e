"""A sample is opened: its bytes read, hashed and identified, so that a pass can measure it and the manifest knows what was read."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from manifests.errors import MediaError
from manifests.schema import media_hash, pair_hash
from operators.base import Header, View
from operators.media import Media
from operators.video.media import VideoMedia
from pipelines.operate import MediaRow
from pipelines.passes import KeyedBy, Pass
from pipelines.pending import TODO
from pipelines.reader import Reader


@dataclass(frozen=True)
class Opener:
    """Opens the samples of a pass. ``views``: those of all its operators; ``threads``: for decoding a whole video."""

    run: Pass
    views: tuple[View, ...]
    reader: Reader
    threads: int

    def open(self, record: dict[str, Any], facts: list[dict[str, Any]]) -> tuple[MediaRow, int]:
        """Read, hash and identify one sample; sets ``record['key']``."""
        if record["modality"] == "video":
            return self._video(record, facts), 0
        known = record["media_hash"]
        fact: dict[str, Any] = {"ref_hash": uuid.UUID(record["ref_hash"])}
        try:
            data = self.reader.read(record["uri"], record["byte_offset"], record["byte_length"])
        except MediaError as error:
            record["key"] = None
            if known is None:
                facts.append({**fact, "error": str(error)})
            return MediaRow(record, None, str(error)), 0
        digest = media_hash(data)
        record["key"] = content_key(self.run.keyed_by, record, digest)
        if known is not None and uuid.UUID(known) != digest:
            record["key"] = None
            return MediaRow(record, None, "the file changed since it was ingested: ingest its source again"), 0
        media = Media(data)
        message = None
        try:
            info = media.view(Header())
            fact |= {"format": info.format, "width": info.width, "height": info.height}
            needed = media.decoded_bytes(self.views)
        except MediaError as error:
            message, needed = str(error), 0
        if known is None:
            facts.append({**fact, "media_hash": digest, "byte_length": len(data), "error": message})
        return MediaRow(record, media, message), needed + len(data)

    def _video(self, record: dict[str, Any], facts: list[dict[str, Any]]) -> MediaRow:
        """The same for a video, which is hashed in pieces the first time it is met, and decoded when an operator asks."""
        known = record["media_hash"]
        fact: dict[str, Any] = {"ref_hash": uuid.UUID(record["ref_hash"])}
        try:
            file = self.reader.video(record["uri"], record["byte_offset"], record["byte_length"])
            digest = uuid.UUID(known) if known else file.digest()
        except MediaError as error:
            record["key"] = None
            if known is None:
                facts.append({**fact, "error": str(error)})
            return MediaRow(record, None, str(error))
        record["key"] = content_key(self.run.keyed_by, record, digest)
        span = (record["span_start_s"], record["span_end_s"]) if record["span_start_s"] is not None else None
        due = [use.operator for i, use in enumerate(self.run.uses) if record[TODO] >> i & 1]
        views = tuple(dict.fromkeys(view for operator in due for view in operator.reads.views))
        media = VideoMedia(file, span, views, threads=1 if span else self.threads)
        message = None
        try:
            info = media.info
            fact |= {
                "format": info.format,
                "width": info.width,
                "height": info.height,
                "duration_s": info.duration_s or None,
                "fps": info.fps,
            }
        except MediaError as error:
            message = str(error)
        if known is None:
            facts.append({**fact, "media_hash": digest, "byte_length": file.size, "error": message})
        return MediaRow(record, media, message)


def content_key(keyed_by: KeyedBy, record: Mapping[str, Any], media: uuid.UUID) -> uuid.UUID:
    """What the result of a pass that read this media is stored under."""
    if keyed_by == "media":
        return media
    return pair_hash(media, uuid.UUID(record["caption_hash"])) if keyed_by == "pair" else uuid.UUID(record["sample_id"])
