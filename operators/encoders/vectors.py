"""Between Arrow's lists of numbers and matrices, without a Python object a row."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from manifests.errors import UsageError

Float32 = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

EMBEDDING = pa.list_(pa.float32())


def matrix(column: pa.Array | pa.ChunkedArray) -> tuple[Float32, Indices]:
    """The rows of a list<float32> column that are not null, as float32 (k, d), and their places; d is 0 where none is.

    Raises `UsageError` for lists of different lengths: they come from different encoders.
    """
    array: Any = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    places = np.flatnonzero(np.asarray(array.is_valid())).astype(np.int64)
    if not len(places):
        return np.zeros((0, 0), np.float32), places
    lengths: Any = pc.min_max(pc.list_value_length(array)).as_py()
    if lengths["min"] != lengths["max"]:
        raise UsageError(
            f"Embeddings of {lengths['min']} and of {lengths['max']} numbers in one column: they come from different encoders. "
            "Measure them again with one encoder."
        )
    values: Float32 = array.drop_null().flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    return values.reshape(len(places), lengths["max"]), places


def lists(rows: Float32, places: Indices, count: int) -> pa.Array:
    """A list<float32> column of ``count`` rows: ``rows`` (k, d) at ``places`` (ascending), null elsewhere."""
    if not len(places):
        return pa.nulls(count, EMBEDDING)
    present = np.zeros(count, bool)
    present[places] = True
    offsets = np.concatenate([[0], np.cumsum(present) * rows.shape[1]]).astype(np.int32)
    flat, ends, absent = np.ascontiguousarray(rows, np.float32).reshape(-1), pa.array(offsets), pa.array(~present)
    made: pa.Array = pa.ListArray.from_arrays(ends, pa.array(flat), mask=absent)  # type: ignore[call-overload]  # the stubs know no arrays of numpy
    return made


def spread(values: npt.NDArray, places: Indices, count: int, kind: pa.DataType) -> pa.Array:
    """A column of ``count`` rows: ``values`` (k,) at ``places``, null elsewhere."""
    full = np.zeros(count, values.dtype)
    missing = np.ones(count, bool)
    full[places], missing[places] = values, False
    return pa.array(full, mask=missing).cast(kind)


def unit(rows: Float32) -> Float32:
    """Rows divided by their length; a row of zeros stays one."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Float32 = (rows / np.maximum(lengths, 1e-12)).astype(np.float32, copy=False)
    return scaled


def softmax(scores: Float32) -> Float32:
    """Of each row."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Float32 = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32, copy=False)
    return shares
