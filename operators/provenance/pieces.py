"""What the container walkers hand over: pieces of metadata, each with the place it came from, none larger than a bound.

A walker never looks at pixels, never behind the container's end, and takes at most `MAX_BLOCKS` steps, so a hostile file
costs milliseconds. A larger piece is cut to `MAX_PIECE` bytes: what stands at its beginning still counts.
"""

import re
import zlib
from collections.abc import Iterable
from typing import Literal, NamedTuple, Protocol

MAX_PIECE = 1 << 20
"""Bytes of one piece of text that are looked at; also what is inflated of a compressed one."""
MAX_PIECES = 256
MAX_TOTAL = 4 << 20
"""Bytes of all pieces of text together; of later ones only the first `LATER` bytes are looked at."""
LATER = 8192
MAX_BLOCKS = 20_000
"""Chunks, segments, boxes or directory entries that are walked."""
MAX_STORE = 8 << 20
"""Bytes of a C2PA manifest store that is still read; larger ones count as unreadable."""


class Data(Protocol):
    """A file's bytes, or something that reads them where they are sliced."""

    def __len__(self) -> int: ...
    def __getitem__(self, at: slice, /) -> bytes: ...
    def startswith(self, prefix: bytes, start: int = ..., /) -> bool: ...


Kind = Literal["exif", "xmp", "iptc", "c2pa", "text"]
Place = Literal["software", "parameters", "caption"]


class Piece(NamedTuple):
    """``kind``: how to read ``data``. ``where``: container and block, for people. ``key``: what the container calls a text."""

    kind: Kind
    where: str
    data: bytes
    key: str = ""


class Text(NamedTuple):
    """One string of the metadata: ``key`` is its field's name, ``place`` what that field is for.

    ``software``: names a program. ``parameters``: programs write their settings there. ``caption``: people write there too.
    """

    place: Place
    where: str
    key: str
    text: str


def inflate(data: bytes) -> bytes:
    """At most `MAX_PIECE` bytes of a zlib stream; what could be read before an error."""
    unpacker = zlib.decompressobj()
    try:
        return unpacker.decompress(data[:MAX_PIECE], MAX_PIECE)
    except zlib.error:
        return b""


def decode(data: bytes) -> str:
    """UTF-8, else Latin-1; without the zeros at its end."""
    data = data[:MAX_PIECE].rstrip(b"\0")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":  # cut inside a character
            return data[: error.start].decode("utf-8")
        return data.decode("latin-1")


_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]+")


def short(text: str, most: int = 200) -> str:
    """One line of at most ``most`` characters, printable."""
    return _UNPRINTABLE.sub(" ", text[: 4 * most]).strip()[:most]


def first(values: Iterable[str | None]) -> str | None:
    """The first that is not empty."""
    return next((value for value in values if value), None)
