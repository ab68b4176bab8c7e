"""Reads the bytes of samples by reference: whole files, members of tars, cells of Parquet columns.

A reference is what `pipelines.sources` lists: ``uri``, ``byte_offset``, ``byte_length``.

    uri                      byte_offset           byte_length   the bytes are
    PATH                     null                  size          the file
    PATH (a tar)             first byte of member  its size      the member
    PATH (a gzip tar)        the same, counted in the decompressed stream
    PATH#column=NAME         row in the file       null          that cell of the Parquet file: binary, a struct with
                                                                 ``bytes``, or a list of one of these; NAME is percent-encoded
"""

import os
import threading
from functools import lru_cache
from urllib.parse import quote, unquote

from manifests.errors import MediaError
from operators.video.source import VideoFile
from pipelines.opened import Container, GzipTar, ParquetColumn, Tar, known_length, open_file

COLUMN_MARK = "#column="
MAX_BYTES = 512 << 20
OPEN_ARCHIVES = 32
OPEN_STREAMS = 8


@lru_cache(64)  # listing asks for the same one again and again
def column_uri(path: str, column: str) -> str:
    """The uri of a Parquet column."""
    return f"{path}{COLUMN_MARK}{quote(column, safe='')}"


def is_gzip(head: bytes) -> bool:
    """Whether an archive that starts with ``head`` is gzip, so that offsets count decompressed bytes."""
    return head[:3] == b"\x1f\x8b\x08"


class Reader:
    """Reads samples; any number of threads may share one. Make one per process: open files do not travel.

    Keeps at most `OPEN_ARCHIVES` tars and `OPEN_STREAMS` gzip tars and Parquet columns open, each of the latter with a few
    chunks of decompressed bytes (`pipelines.opened`). Samples above ``max_bytes`` are refused before they are read.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self._archives: dict[str, Container] = {}
        self._streams: dict[str, Container] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Forgets all open files; each closes when the last read from it ends."""
        with self._lock:
            self._archives.clear()
            self._streams.clear()

    def read(self, uri: str, byte_offset: int | None, byte_length: int | None) -> bytes:
        """The bytes a reference names.

        Raises `MediaError` when the file is gone, unreadable, shorter or longer than recorded, or the sample is too large.
        """
        if byte_length is not None and byte_length > self.max_bytes:
            raise MediaError(self._too_large(byte_length))
        try:
            if byte_offset is None:
                return self._read_file(uri, byte_length)
            # Hits take no lock; whoever holds a container keeps its file open, also when another thread evicts it.
            container = self._archives.get(uri) or self._streams.get(uri) or self._open(uri)
            return container.read(byte_offset, byte_length, self.max_bytes)
        except OSError as error:
            raise MediaError(_plain(error)) from error
        except ValueError as error:  # a NUL in the path
            raise MediaError(f"The path {uri!r} cannot be opened: {error}.") from error

    def video(self, uri: str, byte_offset: int | None, byte_length: int | None) -> VideoFile:
        """The video a reference names, to be opened later; of a gzip tar or a table its bytes, which are read now.

        Raises `MediaError` like `read`. Videos in files and plain tars may be of any size.
        """
        if byte_offset is None:
            return VideoFile(uri, None, byte_length)
        try:
            container = self._archives.get(uri) or self._streams.get(uri) or self._open(uri)
        except (OSError, ValueError) as error:
            raise MediaError(_plain(error) if isinstance(error, OSError) else f"The path {uri!r} cannot be opened.") from error
        if isinstance(container, Tar):
            return VideoFile(uri, byte_offset, known_length(byte_length))
        return VideoFile(uri, data=self.read(uri, byte_offset, byte_length))

    def _read_file(self, path: str, length: int | None) -> bytes:
        fd, size = open_file(path)
        try:
            if size > self.max_bytes:
                raise MediaError(self._too_large(size))
            if length is not None and size != length:
                raise MediaError(f"The file has {size} bytes, but {length} when it was listed. Ingest the source again.")
            data = os.read(fd, size)
            while len(data) < size:  # one read gives at most 2 GiB, and less on some network file systems
                more = os.read(fd, size - len(data))
                if not more:
                    raise MediaError(f"The file ended after {len(data)} of {size} bytes while it was read.")
                data += more
            return data
        finally:
            os.close(fd)

    def _too_large(self, size: int) -> str:
        return f"The sample has {size} bytes; more than {self.max_bytes} are not read."

    def _open(self, uri: str) -> "Container":
        path, mark, column = uri.rpartition(COLUMN_MARK)
        with self._lock:
            found = self._archives.get(uri) or self._streams.get(uri)
            if found:
                return found
            container: Container
            if mark and "/" not in column:
                container, cache, keep = ParquetColumn(path, unquote(column)), self._streams, OPEN_STREAMS
            else:
                fd, _ = open_file(uri)
                if is_gzip(os.pread(fd, 3, 0)):
                    container, cache, keep = GzipTar(fd), self._streams, OPEN_STREAMS
                else:
                    container, cache, keep = Tar(fd), self._archives, OPEN_ARCHIVES
            while len(cache) >= keep:
                del cache[next(iter(cache))]
            cache[uri] = container
            return container


def _plain(error: OSError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "The file is gone. Ingest the source again, or put the file back."
    if isinstance(error, PermissionError):
        return "The file cannot be read: permission denied."
    return f"The file cannot be read: {error.strerror or error}."
