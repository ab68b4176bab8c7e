"""Sources: where samples come from, as references to their bytes.

Listing reads names, headers, captions and metadata, never the bodies of pictures; `pipelines.reader` reads those.
The rules for keys, captions and damaged input are written down in docs/sources.md.
"""

from collections.abc import Callable, Iterator

import pyarrow as pa

from manifests.errors import SourceError
from pipelines.sources.rows import Row, batches
from pipelines.sources.spec import Kind, SourceSpec, guess_kind, source_name

__all__ = ["Kind", "SourceSpec", "guess_kind", "list_source", "source_name"]


def list_source(spec: SourceSpec, say: Callable[[str], None] = lambda text: None) -> Iterator[pa.RecordBatch]:
    """The samples of a source, in batches of at most 10,000 rows with the schema `manifests.schema.REFERENCE`.

    The order is stable: archives and files by name, then the order inside them. One broken container among many gives
    what is readable and a row whose ``error`` says what is wrong. ``say`` is told what was left out of a folder.
    Raises `SourceError` when the source itself is missing, unreadable, empty, or of a kind this version does not read.
    """
    kind = spec.kind or guess_kind(spec.path)
    rows: Iterator[Row | pa.RecordBatch]
    if kind == "folder":
        from pipelines.sources.folder import list_folder

        rows = list_folder(spec, say=say)
    elif kind == "webdataset":
        from pipelines.sources.webdataset import list_webdataset

        rows = list_webdataset(spec)
    elif kind in ("parquet", "csv", "jsonl"):
        from pipelines.sources.tables import list_table

        rows = list_table(spec)
    elif kind in ("coco", "llava"):
        from pipelines.sources.coco_llava import list_annotations

        rows = list_annotations(spec)
    elif kind == "urls":
        raise SourceError(f"{spec.path}: a list of URLs is downloaded into a lake first, with goldsieve ingest or a recipe.")
    elif kind == "video":
        from pipelines.sources.videos import list_videos

        rows = list_videos(spec, say)
    else:
        raise SourceError(f"{spec.path}: there is no kind {kind!r} of source.")
    return batches(rows)
