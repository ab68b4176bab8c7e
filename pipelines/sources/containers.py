"""Tells whether the files of a source changed since they were listed, so that archives and tables are not read again.

Only where every sample lies inside the source's own files (tars, Parquet with pictures in it): what listing tells is then
a function of these files. Folders, and tables that name other files, are listed each time.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.reader import COLUMN_MARK
from pipelines.sources.records import ENDINGS
from pipelines.sources.rows import printable
from pipelines.sources.spec import TAR_ENDINGS, SourceSpec, deciding, guess_kind, source_files

RULES = 2
"""Raise it when listing the same files gives other rows, or ingesting them other hashes: all sources are then listed again."""


def containers(spec: SourceSpec) -> list[str]:
    """The archives or Parquet files of a source; empty for other kinds. Raises `SourceError` when there is no such source."""
    kind = spec.kind or guess_kind(spec.path)
    endings = {"webdataset": TAR_ENDINGS, "parquet": ENDINGS["parquet"]}
    return source_files(spec, endings[kind]) if kind in endings else []


def containers_digest(spec: SourceSpec, files: Sequence[str]) -> str:
    """SHA-256 over the source's settings and its files' names, sizes, times and inodes. Take it before listing.

    The time of the last status change is in it: unlike the time of modification, copying does not set it back.
    """
    digest = hashlib.sha256(json.dumps([RULES, deciding(spec)], sort_keys=True).encode("utf-8", "surrogatepass"))
    for path in files:
        told: list[object] = [path]
        with contextlib.suppress(OSError):  # listing says what is wrong with it
            info = os.stat(path)
            told += [info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino]
        digest.update(json.dumps(told).encode())
    return digest.hexdigest()


class Held:
    """Watches the batches of a listing; ``all`` stays true while every sample lies inside one of the files."""

    def __init__(self, files: Sequence[str]) -> None:
        self.all = True
        self._files = {printable(path) for path in files}

    def add(self, batch: pa.RecordBatch) -> None:
        uris = pc.unique(batch.column("uri")).to_pylist()
        self.all = self.all and all(str(uri).partition(COLUMN_MARK)[0] in self._files for uri in uris)
