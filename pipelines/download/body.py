"""Reads a response's body within limits: cut off while it is read, as soon as it is too large or not what is wanted."""

import hashlib
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import aiohttp

from manifests.errors import MediaError
from operators.containers import sniff
from pipelines.download.faults import Fault

HEAD = 1024
"""So many bytes tell what a body is."""
IN_MEMORY = 1 << 20
"""Larger bodies wait in a file without a name."""
PIECE = 1 << 16

IMAGES = {
    "JPEG": "jpg", "PNG": "png", "WEBP": "webp", "AVIF": "avif", "HEIF": "heic", "GIF": "gif", "TIFF": "tif", "BMP": "bmp",
    "JPEG2000": "jp2",
}  # fmt: skip
"""Pillow's names of what is kept, with the endings that make a WebDataset member a picture."""


@dataclass
class Body:
    """What was read. ``digests``: hexadecimal, by algorithm."""

    extension: str = ""
    size: int = 0
    digests: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    file: IO[bytes] | None = None
    folder: Path | None = None

    def add(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.file is None and self.size > IN_MEMORY:
            self.file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 (closed with the body)
            self.file.writelines(self.chunks)
            self.chunks = []
        if self.file is None:
            self.chunks.append(chunk)
        else:
            self.file.write(chunk)

    def pieces(self) -> Iterator[bytes]:
        """All bytes, once."""
        if self.file is None:
            yield from self.chunks
            return
        self.file.seek(0)
        while piece := self.file.read(IN_MEMORY):
            yield piece

    def close(self) -> None:
        if self.file is not None:
            self.file.close()


async def read_body(
    response: aiohttp.ClientResponse,
    max_bytes: int,
    types: Sequence[str],
    algorithms: Sequence[str] = ("sha256",),
    folder: Path | None = None,
) -> Body | Fault:
    """The body, or why it is none that is wanted. ``types`` empty: anything. ``folder``: where a large body waits.

    Raises what aiohttp raises when the connection fails, and `OSError` when the disk refuses.
    """
    too_large = Fault("too large", f"larger than {max_bytes:,} bytes")
    if (response.content_length or 0) > max_bytes:
        return too_large
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        return Fault("encoding", "compressed in a way that was not asked for")
    inflate = zlib.decompressobj(47) if encoding not in ("", "identity") else None
    body, hashes = Body(folder=folder), [hashlib.new(name, usedforsecurity=False) for name in algorithms]
    head: bytes | None = b""
    try:
        async for chunk in response.content.iter_any():
            for piece in [chunk] if inflate is None else _inflated(inflate, chunk):
                if body.size + len(piece) > max_bytes:
                    return _closed(body, too_large)
                body.add(piece)
                for digest in hashes:
                    digest.update(piece)
                if head is not None:
                    head += piece
                    if len(head) >= HEAD:
                        body.extension, head = extension_of(head, types), None
    except zlib.error:
        return _closed(body, Fault("encoding", "its compression is damaged", may_pass=True))
    except MediaError as error:
        return _closed(body, Fault("type", str(error)))
    except BaseException:
        body.close()
        raise
    if inflate is not None and not inflate.eof:
        return _closed(body, Fault("truncated", "the compressed body ended too early", may_pass=True))
    if head is not None:
        try:
            body.extension = extension_of(head, types)
        except MediaError as error:
            return _closed(body, Fault("type", str(error)))
    body.digests = {digest.name: digest.hexdigest() for digest in hashes}
    return body


def extension_of(head: bytes, types: Sequence[str]) -> str:
    """The ending for a body that begins so. Raises `MediaError` that says what it is instead, if ``types`` do not allow it."""
    if not types:
        return "bin"
    try:
        name = sniff(head)
    except MediaError:
        if "video" in types and (video := _video(head)):
            return video
        raise
    if "image" not in types:
        raise MediaError("a picture, not a video")
    if name not in IMAGES:
        raise MediaError(f"a picture in the format {name}, which is not taken")
    return IMAGES[name]


def _video(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        return "mov" if head[8:12] == b"qt  " else "mp4"
    if head[:4] == b"\x1aE\xdf\xa3":
        return "webm" if b"webm" in head[:64] else "mkv"
    return "avi" if head[:4] == b"RIFF" and head[8:12] == b"AVI " else None


def _inflated(inflate: "zlib._Decompress", chunk: bytes) -> Iterator[bytes]:
    """In small pieces, so that a few bytes that stand for many cannot fill the memory."""
    while not inflate.eof:
        piece = inflate.decompress(chunk, PIECE)
        yield piece
        chunk = inflate.unconsumed_tail
        if not chunk and len(piece) < PIECE:
            return


def _closed(body: Body, fault: Fault) -> Fault:
    body.close()
    return fault
