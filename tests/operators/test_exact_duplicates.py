"""exact_duplicates: equal files are found, the best copy is kept, and every row gets its answer."""

import uuid

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from operators.base import Batch
from operators.exact_duplicates import ExactDuplicates


def as_uuid(number: int | None) -> uuid.UUID | None:
    return None if number is None else uuid.UUID(int=number)


def mark(ids: list[int], hashes: list[int | None]) -> dict[str, list[object]]:
    table = pa.table(
        {
            "sample_id": pa.array([uuid.UUID(int=i).bytes for i in ids], pa.uuid()),
            "media_hash": pa.array([None if h is None else uuid.UUID(int=h).bytes for h in hashes], pa.uuid()),
        }
    )
    return {name: column.to_pylist() for name, column in ExactDuplicates().open()(Batch(table, [])).items()}


def test_first_of_equal_files_is_kept() -> None:
    got = mark([1, 2, 3, 4, 5], [10, 20, 10, None, 10])
    assert got == {
        "exact_duplicate": [False, False, True, None, True],
        "exact_duplicate_of": [None, None, as_uuid(1), None, as_uuid(1)],
        "exact_group": [as_uuid(1), None, as_uuid(1), None, as_uuid(1)],
    }


def test_unreadable_samples_are_no_copies_of_each_other() -> None:
    assert mark([1, 2], [None, None]) == {"exact_duplicate": [None] * 2, "exact_duplicate_of": [None] * 2, "exact_group": [None] * 2}


def test_chunked_tables_are_one_corpus() -> None:
    part = pa.table({"sample_id": pa.array([uuid.UUID(int=1).bytes], pa.uuid()), "media_hash": pa.array([b"h" * 16], pa.uuid())})
    other = part.set_column(0, "sample_id", pa.array([uuid.UUID(int=2).bytes], pa.uuid()))
    got = ExactDuplicates().open()(Batch(pa.concat_tables([part, other]), []))
    assert got["exact_duplicate"].to_pylist() == [False, True]


def test_keep_is_the_order_asked_for() -> None:
    assert ExactDuplicates(keep="aesthetic desc").reads.order_by == "aesthetic desc"


@given(st.lists(st.one_of(st.none(), st.integers(0, 5)), max_size=40))
def test_against_the_plain_rule(hashes: list[int | None]) -> None:
    got = mark(list(range(len(hashes))), hashes)
    for row, value in enumerate(hashes):
        first = None if value is None else hashes.index(value)
        alone = value is None or hashes.count(value) == 1
        assert got["exact_duplicate"][row] == (None if value is None else first != row)
        assert got["exact_duplicate_of"][row] == (None if first in (None, row) else as_uuid(first))
        assert got["exact_group"][row] == (None if alone else as_uuid(first))
