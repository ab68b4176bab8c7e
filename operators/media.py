"""The one place that opens media: bytes in, `MediaInfo` and pixel views out, or a `MediaError` with a short reason.

Rules
* The pixel budget is enforced on the header, before any pixel is decoded.
* A view depends on the file and the view alone. Its scale is the smallest of 1/1, 1/2, 1/4, 1/8 whose shorter side
  (rounded up) is still ``min_side``. JPEG is scaled while decoding (libjpeg-turbo's DCT scaling); all other formats are
  decoded in full and box-averaged by the same factor. `Gray` is the luma of the `Pixels` of that scale.
* Upright: EXIF orientation (or the container's own rotation) is applied. sRGB: see `operators.colour`.
* Transparency is composed on white. Animations and multi-page files give their first frame; frames are counted.
* A truncated or corrupt file is an error, never a half-grey picture. A few stray bytes between JPEG markers, which some
  cameras write, are not.
* One picture of more than 16 megapixels is decoded at a time in a process, so that threads do not add up their peaks.
"""

import re
import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from manifests.errors import MediaError
from operators.base import Gray, Header, Pixels, RawBytes, View
from operators.colour import UInt8, srgb_transform, to_rgb, value_range
from operators.containers import sniff
from operators.header import SHORT_NAMES, check_budget, read_info
from operators.header import MediaInfo as MediaInfo
from operators.jpeg_header import read_plain_jpeg, stray_bytes
from operators.pillow import as_media_error, open_image, reason

MAX_PIXELS = 120_000_000
"""Default pixel budget: a 12000 x 10000 picture. Larger budgets than 178 megapixels are cut by Pillow's own limit."""

HUNGRY = ("WEBP", "AVIF", "HEIF", "JPEG2000")
"""Formats whose decoders hold up to 20 bytes a pixel at once: half the budget, so that no picture takes much over 1 GiB."""

_LARGE = 16_000_000  # pixels; such pictures are decoded one at a time
_large_decode = threading.Lock()
_STRIP = 4_000_000  # pixels converted to sRGB at a time: bounds the copies a conversion makes
_MAX_SCANS = 200  # of a progressive JPEG; encoders write about 10, every one costs a walk over all pixels
_STRAY = re.compile(r"(\d+) extraneous bytes before marker 0x(..)")


class Media:
    """One file in memory. Decodes each scale once; what failed once fails again with the same error.

    Several threads may use several `Media` at once; one `Media` belongs to one thread at a time.
    """

    def __init__(self, data: bytes, max_pixels: int = MAX_PIXELS) -> None:
        self._data = data
        self._max_pixels = max_pixels
        self._known: dict[Any, Any] = {}
        self._profile = b""

    @property
    def info(self) -> MediaInfo:
        """The header. Raises `MediaError`: not an image, damaged header, or more pixels than the budget."""
        info: MediaInfo = self._once("info", self._read_info)
        return info

    def view(self, view: View) -> Any:
        """The view's data (read-only arrays). Raises `MediaError`."""
        if isinstance(view, RawBytes):
            return self._data
        info = self.info
        if isinstance(view, Header):
            return info
        if not isinstance(view, Pixels | Gray):
            raise MediaError("a picture has no views of a video")
        factor, gray = scale_factor(info, view.min_side), isinstance(view, Gray)
        return self._once((factor, gray), lambda: self._gray(info, factor) if gray else self._pixels(info, factor))

    def decoded_bytes(self, views: Iterable[View]) -> int:
        """About how much memory decoding these views takes at its peak, in bytes, the file not counted; 0 if unreadable."""
        try:
            info = self.info
        except MediaError:
            return 0
        wanted = {(scale_factor(info, v.min_side), isinstance(v, Gray)) for v in views if isinstance(v, (Pixels, Gray))}
        if not wanted:
            return 0
        width, height = info.stored_width, info.stored_height
        native = width * height
        kept = sum(-(-width // factor) * -(-height // factor) * (1 if gray else 3) for factor, gray in wanted)
        hungry = info.format in [SHORT_NAMES.get(name, name.lower()) for name in HUNGRY]
        if info.format == "jpeg" and info.mode in ("L", "RGB") and not (info.progressive or info.has_icc):
            return kept
        return kept + (20 if hungry else 6) * native + 16 * min(native, _STRIP)

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._known:
            try:
                self._known[key] = make()
            except MediaError as error:
                self._known[key] = str(error)
        value = self._known[key]
        if isinstance(value, str):
            raise MediaError(value)
        return value

    def _read_info(self) -> MediaInfo:
        name = sniff(self._data)
        if name == "JPEG" and (plain := read_plain_jpeg(self._data)):
            check_budget(plain.width, plain.height, self._max_pixels)
            return plain
        with as_media_error(name, "header"), open_image(self._data, name) as image:
            check_budget(*image.size, self._max_pixels // (2 if name in HUNGRY else 1))
            if name == "TIFF":  # one tile is decoded whole, however little of it the picture shows
                tags = image.tag_v2  # type: ignore[attr-defined]
                check_budget(tags.get(322, 1), tags.get(323, 1), max(_LARGE, 2 * image.width * image.height))
            self._profile = image.info.get("icc_profile") or b""
            return read_info(image, name, self._data)

    def _pixels(self, info: MediaInfo, factor: int) -> UInt8:
        if info.progressive and (scans := self._data.count(b"\xff\xda")) > _MAX_SCANS:
            raise MediaError(f"JPEG with {scans} scans (limit {_MAX_SCANS}): looks like a decompression bomb")
        native = info.stored_width * info.stored_height
        with _large_decode if native > _LARGE else nullcontext():
            pixels = None
            if info.format == "jpeg" and info.mode in ("L", "RGB") and info.bits == 8:
                pixels = self._turbo(info, factor)
            if pixels is None:
                pixels = self._decode_with_pillow(info, factor)
            if info.format != "tiff":  # Pillow turns those itself
                pixels = _upright(pixels, info.orientation)
        pixels.flags.writeable = False
        return pixels

    def _gray(self, info: MediaInfo, factor: int) -> UInt8:
        import cv2

        pixels = self._once((factor, False), lambda: self._pixels(info, factor))
        gray: UInt8 = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
        gray.flags.writeable = False
        return gray

    def _turbo(self, info: MediaInfo, factor: int) -> UInt8 | None:
        """None: libjpeg-turbo's TurboJPEG layer does not know this kind of file, or stumbles over a few stray bytes."""
        import simplejpeg

        width, height = -(-info.stored_width // factor), -(-info.stored_height // factor)
        try:
            pixels: UInt8 = simplejpeg.decode_jpeg(self._data, "RGB", min_width=width, min_height=height, min_factor=factor)
        except ValueError as error:
            if "tjDecompressHeader" in str(error) or self._only_padding(str(error)):
                return None
            raise MediaError(f"corrupt or truncated jpeg: {reason(error)}") from None
        if pixels.shape[:2] != (height, width):
            raise MediaError(f"corrupt jpeg: header says {width} x {height}, decoder {pixels.shape[1]} x {pixels.shape[0]}")
        if self._profile:
            image = Image.fromarray(pixels).convert(info.mode)  # a profile of a grey picture is one for grey
            return _reduced(image, 1, self._profile, 8) if srgb_transform(self._profile, info.mode) else pixels
        return pixels

    def _only_padding(self, said: str) -> bool:
        """Whether what the decoder stumbled over costs no pixels: a few bytes behind the last scan or before a segment of metadata, or
        zeros before the first scan. Elsewhere a table or a part of a scan is missing, which a forgiving decoder paints grey."""
        stray = _STRAY.search(said)
        if stray is None or int(stray[1]) > 32:
            return False
        between = stray_bytes(self._data)
        return stray[2] == "d9" or stray[2].startswith("e") or (bool(between) and not any(between))

    def _decode_with_pillow(self, info: MediaInfo, factor: int) -> UInt8:
        name = sniff(self._data)
        with as_media_error(name, "pixels"), open_image(self._data, name) as image:
            if name == "JPEG":  # colour models simplejpeg leaves alone; a scaled draft is exactly 1/factor
                image.draft(None, (max(info.stored_width // factor, 1), max(info.stored_height // factor, 1)))
                factor = 1
            image.load()
            check_budget(*image.size, self._max_pixels)  # ICO: the picture inside may be larger than the directory says
            return _reduced(image, factor, self._profile, info.bits)


def scale_factor(info: MediaInfo, min_side: int) -> int:
    """1, 2, 4 or 8: the largest whose scaled shorter side, rounded up, is at least ``min_side``; 1 for ``min_side`` 0."""
    side = min(info.width, info.height)
    if min_side > 0:
        for factor in (8, 4, 2):
            if -(-side // factor) >= min_side:
                return factor
    return 1


def _reduced(image: Image.Image, factor: int, profile: bytes, bits: int) -> UInt8:
    """sRGB pixels, box-averaged by ``factor``, converted strip by strip so that copies stay small."""
    span = value_range(image, bits)
    width, height = image.size
    rows = max(_STRIP // width // 8, 1) * 8
    parts = []
    for top in range(0, height, rows):
        strip = image if rows >= height else image.crop((0, top, width, min(top + rows, height)))
        rgb = to_rgb(strip, profile, span)
        parts.append(np.asarray(rgb.reduce(factor) if factor > 1 else rgb))
    return np.concatenate(parts) if len(parts) > 1 else parts[0].copy()


_TURNS: dict[int, tuple[int, bool]] = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}
"""EXIF orientation -> (quarter turns counter-clockwise, then mirrored left-right)."""


def _upright(pixels: npt.NDArray[np.uint8], orientation: int) -> UInt8:
    if orientation == 1:
        return np.ascontiguousarray(pixels)
    turns, mirrored = _TURNS[orientation]
    turned = np.rot90(pixels, turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)
