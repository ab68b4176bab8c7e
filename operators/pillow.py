"""Pillow with all its codecs: quiet, usable from threads, its errors turned into a `MediaError` with a short reason."""

import ctypes
import ctypes.util
import io
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType

import PIL
from PIL import Image, UnidentifiedImageError

from manifests.errors import MediaError, first_line
from operators.header import SHORT_NAMES

_QUIET = ("ignore", None, Warning, re.compile(r"PIL(\.|$)"), 0)


def open_image(data: bytes, name: str) -> Image.Image:
    """The picture, only its header read. ``name``: the one Pillow format that it may have (see `operators.containers.sniff`)."""
    # `warnings.catch_warnings` is not thread-safe, so Pillow's remarks on odd files (its errors are enough) are switched
    # off for good, and again if someone resets the filters.
    if _QUIET not in warnings.filters:
        warnings.filterwarnings("ignore", module=r"PIL(\.|$)")
    load_codecs()
    return Image.open(io.BytesIO(data), formats=(name,))


@lru_cache(maxsize=1)
def load_codecs() -> None:
    """Load all that decoding needs. Call it before threads start: imports inside them are slow and can lock each other out."""
    import pillow_heif
    import simplejpeg  # noqa: F401

    Image.init()
    pillow_heif.register_heif_opener()
    _silence_libtiff()


def _silence_libtiff() -> None:
    """Takes away libtiff's default handlers, which print every error of a damaged file to stderr; Pillow reports them anyway."""
    package = Path(PIL.__file__).parent
    bundled = [*package.parent.glob("pillow.libs/libtiff*"), *package.glob(".dylibs/libtiff*")]
    for path in [str(p) for p in bundled] or [ctypes.util.find_library("tiff") or ""]:
        with suppress(OSError, AttributeError):
            library = ctypes.CDLL(path)
            for setter in (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler):
                setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
                setter(None)


@dataclass
class as_media_error:
    """Turns whatever a decoder raises into a `MediaError`. Broad on purpose: decoders of hostile bytes raise anything."""

    name: str
    what: str

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None or isinstance(error, MediaError) or not isinstance(error, Exception):
            return
        name = SHORT_NAMES.get(self.name, self.name.lower())
        if isinstance(error, Image.DecompressionBombError):
            raise MediaError(f"too many pixels for this {name} decoder: {reason(error)}") from None
        if isinstance(error, UnidentifiedImageError):
            raise MediaError(f"damaged {name} file, or of a rare kind: its header cannot be read") from None
        raise MediaError(f"damaged {name} file: {self.what} cannot be read ({reason(error)})") from None


def reason(error: Exception) -> str:
    """First line of an error, at most 120 characters, without addresses in memory: the same error reads the same."""
    return re.sub(r" at 0x[0-9a-f]+", "", first_line(error))[:120]
