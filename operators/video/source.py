"""Where the bytes of a video are: a file, a part of one (a tar member), or memory."""

import hashlib
import io
import os
import uuid
from dataclasses import dataclass

from manifests.errors import MediaError

CHUNK = 4 << 20


@dataclass(frozen=True)
class VideoFile:
    """``offset`` None: the whole file at ``path``; ``data``: the bytes themselves, where only reading tells (gzip tars, Parquet)."""

    path: str
    offset: int | None = None
    length: int | None = None
    data: bytes | None = None

    def open(self) -> "str | io.BufferedIOBase":
        """What PyAV opens. Raises `MediaError` when the file is gone or has another size than recorded."""
        if self.data is not None:
            return io.BytesIO(self.data)
        try:
            size = os.stat(self.path).st_size
            if self.offset is None:
                if self.length is not None and size != self.length:
                    raise MediaError(f"the file has {size} bytes, but {self.length} when it was listed: ingest the source again")
                if size == 0:
                    raise MediaError("empty file: it has no bytes")
                # The prefix keeps a name such as "concat:a|b" from being read as a protocol of ffmpeg.
                return f"file:{os.path.abspath(self.path)}"
            return io.BufferedReader(_Part(self.path, self.offset, self.length or 0), 1 << 20)
        except OSError as error:
            raise MediaError(f"the file cannot be read: {error.strerror or error}") from error

    def digest(self) -> uuid.UUID:
        """First 128 bits of the SHA-256 of the bytes, read in pieces: what `manifests.schema.media_hash` says of them."""
        hashed = hashlib.sha256()
        try:
            with self.stream() as file:
                while piece := file.read(CHUNK):
                    hashed.update(piece)
        except OSError as error:
            raise MediaError(f"the file cannot be read: {error.strerror or error}") from error
        return uuid.UUID(bytes=hashed.digest()[:16])

    def stream(self) -> io.BufferedIOBase:
        """The bytes as a file. Raises `MediaError`."""
        source = self.open()
        return open(source[5:], "rb") if isinstance(source, str) else source

    @property
    def size(self) -> int:
        """In bytes. Raises `MediaError`."""
        if self.data is not None:
            return len(self.data)
        if self.length is not None:
            return self.length
        try:
            return os.stat(self.path).st_size
        except OSError as error:
            raise MediaError(f"the file cannot be read: {error.strerror or error}") from error


class Window:
    """The bytes of a video, of which only those that are sliced are read, as if it were `bytes`: to be used with ``with``. Raises
    `MediaError`."""

    def __init__(self, file: VideoFile) -> None:
        self.file = file

    def __enter__(self) -> "Window":
        self._stream = self.file.stream()
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __len__(self) -> int:
        return self.file.size

    def __getitem__(self, at: slice) -> bytes:
        start, stop, _ = at.indices(len(self))
        try:
            self._stream.seek(start)
            return self._stream.read(max(0, stop - start))
        except OSError as error:
            raise MediaError(f"the file cannot be read: {error.strerror or error}") from error

    def startswith(self, prefix: bytes, start: int = 0) -> bool:
        return self[start : start + len(prefix)] == prefix


class _Part(io.RawIOBase):
    """``length`` bytes of a file from ``offset`` on, as a file."""

    def __init__(self, path: str, offset: int, length: int) -> None:
        super().__init__()
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._offset, self._length, self._at = offset, length, 0

    def close(self) -> None:
        if not self.closed:
            os.close(self._fd)
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        self._at = max(0, base + position)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        wanted = max(0, min(len(buffer), self._length - self._at))
        data = os.pread(self._fd, wanted, self._offset + self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
