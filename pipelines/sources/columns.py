"""Rows of `manifests.schema.REFERENCE` from many records of a table at once, column by column.

The rules are those of `pipelines.sources.tables` and `pipelines.sources.rows` for one record, and the tests compare the two: what a
column cannot decide is marked as odd here and listed there.
"""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from manifests.schema import REFERENCE
from pipelines.sources.records import Record, Some
from pipelines.sources.rows import CONVERSATIONS, STRICT, credit_names

WHITESPACE = "".join(filter(str.isspace, map(chr, range(sys.maxunicode + 1))))
"""What `str.strip` removes; Arrow means something else by white space."""
ESCAPED = r'["\\\x00-\x1f]'

pc: Any = pyarrow.compute  # its stubs know few of the combinations of arguments
Values = Any
"""An Arrow array."""
Columns = dict[str, Values]


def plain_columns(batch: Some) -> Columns | None:
    """The columns of a batch with text as plain text.

    None where some of it is not UTF-8, two columns have the same name, or records of a list are not all text of the same columns in
    the same order.
    """
    if isinstance(batch, list):
        return _text_columns(batch)
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        return None
    columns = {name: _plain(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}
    return columns if len(columns) == batch.num_columns else None


def _text_columns(records: Sequence[Record | str]) -> Columns | None:
    plain = [record for record in records if isinstance(record, dict)]
    if len(plain) < len(records) or any(list(record) != list(plain[0]) for record in plain):
        return None
    try:
        return {name: pa.array([record[name] for record in plain], pa.string()) for name in plain[0]}
    except (pa.ArrowException, UnicodeEncodeError):  # lists, numbers, bytes that are not UTF-8
        return None


def rows_of(
    columns: Columns, places: Columns, source: str, caption: str | None, key: str | None
) -> tuple[pa.RecordBatch, np.ndarray] | None:
    """The rows of records, and which of them are odd: these have to be made one by one. None: all of them.

    ``columns``: of the records, without the media column. ``places``: what is known already of ``REFERENCE``: uri (null: an odd record),
    stamp, and the key of a record that has none.
    """
    columns, found, count = dict(columns), dict(places), len(places["key"])
    odd = _true(places["uri"].is_null())
    if any(name in columns and pa.types.is_nested(columns[name].type) for name in CONVERSATIONS):
        return None
    if key in columns:
        own = _as_text(columns.pop(key))
        if own is None:
            return None
        found["key"] = or_else(own, found["key"])
    left: Columns = {}  # by column, where its value stays in the metadata
    if caption in columns:
        said = columns[caption]
        if pa.types.is_nested(said.type) or any(names for _, names in credit_names((caption,))):
            return None
        if pa.types.is_string(said.type):
            odd |= _true(pc.or_(pc.starts_with(said, "["), pc.match_substring(said, "<__dj__")))
            found["caption"] = _filled(pc.utf8_trim(said, WHITESPACE))
            found["captions"] = _lists(found["caption"])
            left[caption] = pc.is_null(said)
    for column, names in credit_names(tuple(columns)):
        taken = pa.nulls(count, pa.string())
        for name in names:
            if (text := _as_text(columns[name])) is not None:
                text = _filled(pc.utf8_trim(text, WHITESPACE))
                left[name] = pc.or_(pc.is_valid(taken), pc.is_null(text))
                taken = pc.coalesce(taken, text)
        found[column] = taken
    found |= {"source": pa.repeat(source, count), "modality": pa.repeat("image", count)}
    found["metadata"] = _objects(columns, left, count)
    arrays = [found.get(field.name, pa.nulls(count, field.type)) for field in REFERENCE]
    return pa.RecordBatch.from_arrays(arrays, schema=REFERENCE), odd


def or_else(text: Values, other: Values | str) -> Values:
    """The other text where one is null or empty."""
    return pc.coalesce(_filled(text), other)


def field_text(structs: Values, name: str) -> Values:
    """A field of structs, as text."""
    return pc.struct_field(structs, name).cast(pa.string())


def replaced(rows: pa.RecordBatch, numbers: Sequence[int], others: pa.RecordBatch) -> pa.RecordBatch:
    """Rows with others in the place of those with these numbers."""
    order = np.arange(len(rows))
    order[list(numbers)] = len(rows) + np.arange(len(numbers))
    (batch,) = pa.Table.from_batches([rows, others]).take(order).combine_chunks().to_batches()
    return batch


def _plain(column: Values) -> Values:
    if pa.types.is_dictionary(column.type):
        return _plain(column.dictionary_decode())
    if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        return column.cast(pa.string())
    return column


def _as_text(column: Values) -> Values:
    """Strings and integers as text; None for other kinds."""
    if pa.types.is_string(column.type):
        return column
    return column.cast(pa.string()) if pa.types.is_integer(column.type) else None


def _filled(text: Values) -> Values:
    """Empty text becomes null."""
    return pc.if_else(pc.equal(text, ""), None, text)


def _true(flags: Values) -> np.ndarray:
    found: np.ndarray = pc.fill_null(flags, False).to_numpy(zero_copy_only=False)
    return found


def _lists(text: Values) -> Values:
    """A list with the text, null where there is none."""
    ends = np.concatenate([[0], np.cumsum(_true(text.is_valid()))])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), text.drop_null(), mask=text.is_null())


def _objects(columns: Columns, left: Columns, count: int) -> Values:
    """JSON objects of the values that are left, in the order of the columns; null where there is none."""
    members = []
    for name, column in columns.items():
        member = pc.binary_join_element_wise(f"{STRICT.encode(name)}: ", _json(column), "")
        members.append(pc.if_else(left[name], member, None) if name in left else member)
    # Arrow 26 leaves out a row all of whose members are null, so each begins with an empty one.
    inside = pc.binary_join_element_wise(pa.repeat("", count), *members, ", ", null_handling="skip")
    text = pc.binary_join_element_wise(pc.binary_replace_slice(inside, 0, 2, "{"), "}", "")
    return pc.if_else(pc.equal(inside, ""), None, text)


def _json(column: Values) -> Values:
    """Values as `pipelines.sources.rows.to_json` writes them."""
    kind = column.type
    if pa.types.is_string(kind):
        texts = pc.binary_join_element_wise('"', column, '"', "")
        escaped = pc.match_substring_regex(column, ESCAPED)
        if pc.any(escaped).as_py():
            texts = pc.replace_with_mask(
                texts, pc.fill_null(escaped, False), pa.array([STRICT.encode(text) for text in column.filter(escaped).to_pylist()])
            )
    elif pa.types.is_integer(kind):
        texts = column.cast(pa.string())
    elif pa.types.is_boolean(kind):
        texts = pc.if_else(column, "true", "false")
    elif pa.types.is_floating(kind):
        numbers = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        texts = pa.array(map(repr, numbers.tolist()), pa.string(), mask=~np.isfinite(numbers))
    else:
        values: list[Any] = column.to_pylist()
        texts = pa.array(map(STRICT.encode, values), pa.string())
    return pc.coalesce(texts, "null")
