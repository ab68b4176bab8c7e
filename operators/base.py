"""What an operator is: a frozen dataclass of settings, a promise, and one function.

    @dataclass(frozen=True)
    class Brightness:
        name, version, scope, gpus = "brightness", "1", "batch", 0.0
        reads = Reads(views=(Pixels(min_side=224),))
        adds = pa.schema([("brightness", pa.float32())])

        def open(self) -> BatchFn:
            return per_row(self.adds, lambda row: {"brightness": float(row.view(...).mean()) / 255})

(class attributes without annotation are not dataclass fields, so only real settings reach the fingerprint.)

Nothing here has behaviour beyond plain data: passes, decoding and storage live elsewhere.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manifests.errors import MediaError

Scope = Literal["batch", "corpus"]
Columns = Mapping[str, pa.Array]
"""New columns, one value a row, in row order. May hold one extra key, ``error``: a string or null for every row."""

ERROR_LENGTH = 300
"""Errors stored beside samples are cut to this many characters."""


@dataclass(frozen=True)
class Pixels:
    """RGB pixels, uint8, shape (height, width, 3), upright (EXIF applied), sRGB.

    The smallest 1/1, 1/2, 1/4 or 1/8 scale of the picture whose shorter side is still at least
    ``min_side``; ``min_side=0`` means native size. Depends on the file and ``min_side`` alone.
    """

    min_side: int = 0


@dataclass(frozen=True)
class Gray:
    """Luma (ITU-R 601), uint8, shape (height, width); scaled like `Pixels`."""

    min_side: int = 0


@dataclass(frozen=True)
class Header:
    """What the container says without decoding pixels: a `operators.media.MediaInfo`."""


@dataclass(frozen=True)
class RawBytes:
    """The file as it is stored: ``bytes``."""


@dataclass(frozen=True)
class VideoHeader:
    """What a video's container says: a `operators.video.probe.VideoInfo`. Decodes one frame at most."""


@dataclass(frozen=True)
class FileBytes:
    """The bytes of a video's file, read where they are asked for: a `operators.video.source.Window`."""


@dataclass(frozen=True)
class Frames:
    """``count`` frames of a clip, at the middles of as many equal parts of its time: a `operators.video.frames.Sampled`.

    Fewer when the clip has fewer. Each is RGB, uint8, upright, sRGB, of square pixels, at the smallest of 1/1, 1/2, 1/4 and 1/8
    whose shorter side is still ``min_side``; ``min_side=0`` means native size. Depends on the clip and the view alone.
    """

    count: int = 8
    min_side: int = 224


@dataclass(frozen=True)
class Coverage:
    """How much of a clip could be decoded: a `operators.video.media.Decoded`."""


@dataclass(frozen=True)
class Sound:
    """What the first audio track of a clip is like: a `operators.video.sound.SoundFacts`; None without one."""

    speech: bool = False


class Gather(Protocol):
    """Takes the frames of a clip one after the other and says something about all of them."""

    def add(self, frame: Any) -> None:
        """``frame``: a `operators.video.frames.SmallFrame`, in order of time. Valid during the call only."""
        ...

    def finish(self) -> Any: ...


@runtime_checkable
class EveryFrame(Protocol):
    """A view made from every frame of a clip, small, in one decode that all views of a pass share. A frozen dataclass.

    The view's data is what ``finish()`` of the started `Gather` returns. ``rough``: its frames may come out of a decode that does not
    deblock frames which no other is made from: cheaper, and edges of blocks may show. Such a decode is not shared with views that are
    not rough, so no view's pixels depend on the others of its pass.
    """

    @property
    def rough(self) -> bool: ...

    def start(self, info: Any) -> Gather:
        """``info``: the `operators.video.probe.VideoInfo`."""
        ...


View = Pixels | Gray | Header | RawBytes | VideoHeader | FileBytes | Frames | Coverage | Sound | EveryFrame
Videos = Literal["any", "whole", "clips"]


@dataclass(frozen=True)
class Reads:
    """All an operator will be shown.

    ``columns``: columns of ``wide``; naming another operator's column makes it a dependency.
    ``views``: views of the media; empty for text-only operators. ``views`` alone -> keyed by media hash; only
    ``caption`` columns -> keyed by caption hash; both -> keyed by the pair.
    ``order_by`` (corpus scope only): SQL over ``wide``; rows arrive in that order, best first, ties by content hash.
    ``videos``: with views of videos, which of them: ``whole`` files, ``clips`` (and files that `shots` has not split), or ``any``.
    """

    columns: tuple[str, ...] = ()
    views: tuple[View, ...] = ()
    order_by: str = ""
    videos: Videos = "clips"

    @property
    def modality(self) -> Literal["image", "video", ""]:
        """What the views are views of; empty without views."""
        if not self.views:
            return ""
        return "image" if isinstance(self.views[0], Pixels | Gray | Header | RawBytes) else "video"


class Row(Protocol):
    """One sample of a batch, as a row function sees it."""

    def __getitem__(self, column: str) -> Any: ...
    def view(self, view: View) -> Any:
        """The view's data (see each view). Raises `MediaError` when the media cannot be decoded."""
        ...


@dataclass(frozen=True)
class Batch:
    """Rows of one call: ``table`` has the columns asked for; ``rows`` give row-wise access to columns and views."""

    table: pa.Table
    rows: Sequence[Row]

    def __len__(self) -> int:
        return self.table.num_rows


BatchFn = Callable[[Batch], Columns]


@runtime_checkable
class Operator(Protocol):
    """Adds columns to samples; never drops, reorders or judges one.

    The function from ``open()`` may be called from several threads at once and must give each row a result that
    depends on that row alone (scope ``batch``).
    """

    @property
    def name(self) -> str:
        """``clip_score``: names the table ``signal_clip_score``."""
        ...

    @property
    def version(self) -> str:
        """Bump it when the same input gives another output."""
        ...

    @property
    def reads(self) -> Reads: ...
    @property
    def adds(self) -> pa.Schema:
        """All it may return. Field metadata ``unit`` and ``doc`` feed the catalogue (see `field`)."""
        ...

    @property
    def scope(self) -> Scope: ...
    @property
    def gpus(self) -> float: ...
    def open(self) -> BatchFn:
        """Called once per worker: load weights and heavy packages here, return the function."""
        ...


@runtime_checkable
class Updatable(Protocol):
    """A corpus operator that can bring an earlier answer up to date when samples were added, with the result of a full run."""

    def update(self, batch: Batch, before: Columns, known: npt.NDArray[np.bool_]) -> Columns | None:
        """``before``: the columns of an earlier run, nulls where ``known`` is false: for samples that were not there. The others are
        as they were, and in the same order among themselves. None: cannot, run in full."""
        ...


def field(name: str, kind: pa.DataType, doc: str, unit: str = "") -> pa.Field:
    """A documented column: ``doc`` says what it means, ``unit`` its unit or scale ("0-1", "bits", "px")."""
    return pa.field(name, kind, metadata={"doc": doc, "unit": unit})


def settings(operator: Operator) -> dict[str, Any]:
    """The operator's settings as plain JSON data."""
    assert dataclasses.is_dataclass(operator)
    return dataclasses.asdict(operator)


def fingerprint(operator: Operator) -> str:
    """16 hex digits of SHA-256 over name, version and settings: cache key, resume key and lineage key."""
    text = json.dumps([operator.name, operator.version, settings(operator)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def columns_from(adds: pa.Schema, values: Iterable[Mapping[str, Any] | str]) -> Columns:
    """Columns from one item a row: a mapping of values, or a string that says why the row failed."""
    items = list(values)
    good = [item if not isinstance(item, str) else {} for item in items]
    columns = {f.name: pa.array([item.get(f.name) for item in good], type=f.type) for f in adds}
    columns["error"] = pa.array([i[:ERROR_LENGTH] if isinstance(i, str) else None for i in items], type=pa.string())
    return columns


def per_row(adds: pa.Schema, measure: Callable[[Row], Mapping[str, Any]]) -> BatchFn:
    """A batch function from a row function: a row that raises becomes nulls and a short error."""

    def run(batch: Batch) -> Columns:
        return columns_from(adds, [attempt(measure, row) for row in batch.rows])

    return run


def attempt(measure: Callable[[Row], Mapping[str, Any]], row: Row) -> Mapping[str, Any] | str:
    """``measure(row)``, or the reason it failed."""
    try:
        return measure(row)
    except MediaError as error:
        return str(error)
    except (ValueError, ArithmeticError, LookupError, TypeError, OSError, np.linalg.LinAlgError) as error:
        return f"{type(error).__name__}: {error}"
