"""Open files of which parts are read: tars, gzip tars, columns of Parquet files."""

import os
import stat
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any, Protocol

import pyarrow as pa

from manifests.errors import MediaError, first_line

CHUNK = 4 << 20
CHUNKS_KEPT = 4
"""Bytes of a chunk of a decompressed stream or column, and how many of them an open file keeps."""


class Container(Protocol):
    def read(self, offset: int, length: int | None, max_bytes: int) -> bytes: ...


class Tar:
    """A file of which parts are read. Closes itself when nothing refers to it any more."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)

    def read(self, offset: int, length: int | None, max_bytes: int) -> bytes:
        length = known_length(length)
        data = os.pread(self.fd, length, offset)
        if len(data) < length:
            raise MediaError(f"The archive ends after {len(data)} of the sample's {length} bytes. Ingest the source again.")
        return data


class GzipTar:
    """A gzip file read at offsets of the decompressed stream; decompression restarts at seek points, not at the beginning."""

    def __init__(self, fd: int) -> None:
        import indexed_gzip

        # Seek points 4 MiB apart hold 32 KiB each: less than 1 % of the stream. igzip reads ahead in chunks of its own.
        self.raw = open(fd, "rb")  # noqa: SIM115 (closed by __del__)
        self.file = indexed_gzip._IndexedGzipFile(fileobj=self.raw, spacing=CHUNK)
        self.chunks = _Chunks(self._load)

    def __del__(self) -> None:
        self.file.close()
        self.raw.close()

    def _load(self, number: int) -> bytes:
        try:
            data: bytes = self.file.pread(CHUNK, number * CHUNK)
        except Exception as error:  # the package raises ZranError, CrcError, EOFError, OSError and ValueError
            raise MediaError(f"The gzip stream is damaged near decompressed byte {number * CHUNK}: {error}.") from error
        return data

    def read(self, offset: int, length: int | None, max_bytes: int) -> bytes:
        length = known_length(length)
        first, last = offset // CHUNK, max(offset, offset + length - 1) // CHUNK
        parts = [self.chunks.get(number) for number in range(first, last + 1)]
        start = offset - first * CHUNK
        data = parts[0][start : start + length] if len(parts) == 1 else b"".join(parts)[start : start + length]
        if len(data) < length:
            raise MediaError(f"The archive ends after {len(data)} of the sample's {length} bytes. Ingest the source again.")
        return data


class _Chunks:
    """The chunks read last, loaded by one thread at a time."""

    def __init__(self, load: Callable[[int], bytes]) -> None:
        self.load, self.kept, self.lock = load, dict[int, bytes](), threading.Lock()

    def get(self, number: int) -> bytes:
        chunk = self.kept.get(number)
        if chunk is not None:
            return chunk
        with self.lock:
            if number not in self.kept:
                chunk = self.load(number)
                while len(self.kept) >= CHUNKS_KEPT:
                    del self.kept[next(iter(self.kept))]
                self.kept[number] = chunk
            return self.kept[number]


class ParquetColumn:
    """One column of a Parquet file, streamed forward in small batches: a row group may be larger than memory."""

    def __init__(self, path: str, column: str) -> None:
        import pyarrow.parquet as pq

        fd, _ = open_file(path)
        os.close(fd)
        try:
            self.file = pq.ParquetFile(path, buffer_size=CHUNK, pre_buffer=False)  # else a whole column chunk is loaded
        except pa.ArrowException as error:
            raise MediaError(f"The Parquet file cannot be read: {first_line(error)}") from error
        if column not in self.file.schema_arrow.names:
            raise MediaError(f"The Parquet file has no column {column!r} any more. Ingest the source again.")
        self.path, self.column, self.lock = path, column, threading.Lock()
        groups = [self.file.metadata.row_group(number) for number in range(self.file.metadata.num_row_groups)]
        self.starts = [0, *accumulate(group.num_rows for group in groups)]
        schema = self.file.metadata.schema
        leaves = [i for i in range(len(schema)) if f"{schema.column(i).path}.".startswith(f"{column}.")]
        self.row_bytes = [sum(g.column(i).total_uncompressed_size for i in leaves) // max(1, g.num_rows) for g in groups]
        self.kept: dict[int, pa.Array] = {}  # by first row
        self.group, self.next_row = -1, 0
        self.batches: Iterator[pa.RecordBatch] = iter(())

    def __del__(self) -> None:
        if hasattr(self, "file"):
            self.file.close()

    def read(self, offset: int, length: int | None, max_bytes: int) -> bytes:
        if not 0 <= offset < self.starts[-1]:
            raise MediaError(f"The Parquet file has {self.starts[-1]} rows, not row {offset}. Ingest the source again.")
        try:
            with self.lock:
                value = self._value(offset, max_bytes).as_py()
        except pa.ArrowException as error:
            raise MediaError(f"Row {offset} of the Parquet file cannot be read: {first_line(error)}") from error
        if isinstance(value, list):
            if len(value) != 1:
                raise MediaError(f"Row {offset} has {len(value)} pictures; one picture a row can be read.")
            value = value[0]
        if isinstance(value, dict):
            value = value.get("bytes")
        if not isinstance(value, bytes):
            raise MediaError(f"Row {offset} has no bytes in column {self.column!r}.")
        if len(value) > max_bytes:
            raise MediaError(f"The sample has {len(value)} bytes; more than {max_bytes} are not read.")
        return value

    def _value(self, row: int, max_bytes: int) -> Any:
        for start, array in self.kept.items():
            if start <= row < start + len(array):
                return array[row - start]
        group = bisect_right(self.starts, row) - 1
        if group != self.group or row < self.next_row:
            if self.row_bytes[group] > max_bytes:
                raise MediaError(f"Samples of {self.row_bytes[group]} bytes on average; more than {max_bytes} are not read.")
            rows = max(1, min(1024, CHUNK // max(1, self.row_bytes[group])))
            self.batches = self.file.iter_batches(rows, row_groups=[group], columns=[self.column])
            self.group, self.next_row = group, self.starts[group]
        while True:
            try:
                array = next(self.batches).column(0)
            except Exception:
                self.group = -1  # the next read starts the group again
                raise
            start = self.next_row
            self.next_row += len(array)
            while len(self.kept) >= CHUNKS_KEPT:
                del self.kept[next(iter(self.kept))]
            self.kept[start] = array
            if row < self.next_row:
                return array[row - start]


def open_file(path: str) -> tuple[int, int]:
    """A descriptor and the size of a regular file. Never waits: a pipe is not a file."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise MediaError("The path is a folder, a device or a pipe, not a file.")
    except BaseException:
        os.close(fd)
        raise
    return fd, info.st_size


def known_length(length: int | None) -> int:
    if length is None:
        raise MediaError("The reference names a part of an archive without its length.")
    return length
