"""Column by column or record by record: a Parquet table gives the same samples."""

import csv
import datetime
import decimal
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from manifests.errors import SourceError
from pipelines.sources import SourceSpec, list_source, tables
from pipelines.sources.columns import WHITESPACE

TEXTS = (
    *("", " ", "a", " \u2003b\u3000", "\x1cfs\x1d", "\x85x\xa0", "\x7f\u2028", "é 😀", "1.0", "-0", "{", "null", "\x00", "tab\tnl\n"),
    *('quote " here', "back\\slash", "[sic]", '["x"]', '["x", 1]', "<__dj__image> q"),
    *("http://x/y", "../a.jpg", "a.jpg", "sub/b.jpg", "/etc/hostname", "nul\0.jpg"),
)
FLOATS = (0.1, 1e16, 1e22, 1e-5, math.nan, math.inf, -0.0, 5.0, 0.30000000000000004)
NAMES = (
    *("image", "path", "caption", "text", "captions", "alt", "license", "licence", "rights", "author", "creator", "credit", "url"),
    *("source_url", "URL", "key", "id", "uid", "score", "conversations", 'a b"c', "ä"),
)
LISTED_AS: tuple[Callable[[random.Random], tuple[Any, pa.DataType]], ...] = (
    *[lambda r: (r.choice(TEXTS), pa.string())] * 5,
    lambda r: (r.choice(TEXTS), pa.large_string()),
    lambda r: (r.choice(TEXTS), pa.dictionary(pa.int32(), pa.string())),
    lambda r: ([r.choice(TEXTS)] * r.randrange(3), pa.list_(pa.string())),
    lambda r: (r.randrange(-(2**63), 2**63), pa.int64()),
    lambda r: (r.randrange(2**64), pa.uint64()),
    lambda r: (r.randrange(100), pa.int8()),
    lambda r: (r.choice(FLOATS), pa.float64()),
    lambda r: (np.float32(r.choice(FLOATS)), pa.float32()),
    lambda r: (r.random() < 0.5, pa.bool_()),
    lambda r: (datetime.datetime(2020, 1, 1, r.randrange(24)), pa.timestamp("us")),
    lambda r: (datetime.date(2020, 1, 1 + r.randrange(28)), pa.date32()),
    lambda r: (decimal.Decimal(r.randrange(1000)) / 100, pa.decimal128(12, 2)),
    lambda r: (None, pa.null()),
)


def column(r: random.Random, rows: int) -> pa.Array:
    make, holes = r.choice(LISTED_AS), r.choice([0.0, 0.3])
    values = [make(r) for _ in range(rows)]
    return pa.array([None if r.random() < holes else value for value, _ in values], values[0][1])


def write(path: Path, r: random.Random) -> None:
    rows = r.choice([1, 3, 40])
    columns = {name: column(r, rows) for name in r.sample(NAMES, r.randrange(1, 9))}
    media = r.randrange(4)
    if media == 0:
        columns["image"] = pa.array([b"x"] * rows, pa.binary())
    elif media == 1:
        struct = pa.struct({"bytes": pa.binary(), "path": r.choice([pa.string(), pa.large_string()])})
        columns["image"] = pa.array([r.choice([None, {"bytes": b"x", "path": r.choice([None, *TEXTS])}]) for _ in range(rows)], struct)
    elif media == 2:
        columns["path"] = pa.array([r.choice([None, *TEXTS]) for _ in range(rows)], pa.string())
    pq.write_table(pa.table(dict(r.sample(list(columns.items()), len(columns)))), path, row_group_size=7)


def listed(path: Path, settings: dict[str, Any]) -> list[dict[str, Any]] | str:
    try:
        return [row for batch in list_source(SourceSpec(str(path), **settings)) for row in batch.to_pylist()]
    except SourceError as error:
        return str(error)


@pytest.mark.parametrize("seed", range(4))
def test_columns_give_what_records_give(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jpg").write_bytes(b"1")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.jpg").write_bytes(b"22")
    r, path, in_columns, samples = random.Random(seed), tmp_path / "t.parquet", tables.plain_columns, 0
    for _ in range(60):
        write(path, r)
        names = pq.read_schema(path).names
        choices = {"caption_column": r.choice(names), "key_column": r.choice(names), "media_root": str(tmp_path)}
        settings = {name: value for name, value in choices.items() if r.random() < 0.3}
        monkeypatch.setattr(tables, "plain_columns", in_columns)
        found = listed(path, settings)
        monkeypatch.setattr(tables, "plain_columns", lambda batch: None)
        assert found == listed(path, settings)
        samples += len(found) if isinstance(found, list) else 0
    assert samples > 300


def test_white_space_is_python_s() -> None:
    text = f"{WHITESPACE}a{WHITESPACE}b{WHITESPACE}"
    assert pc.utf8_trim(text, WHITESPACE).as_py() == text.strip()
    assert WHITESPACE.isspace()


def test_odd_rows_stay_where_they_are(tmp_path: Path) -> None:
    """One list of captions among plain ones, in a table of more than a batch."""
    captions = [f"caption {n}" for n in range(12_000)]
    captions[5] = '["one", "two"]'
    pq.write_table(pa.table({"image": [b"x"] * 12_000, "caption": captions}), tmp_path / "t.parquet")
    batches = list(list_source(SourceSpec(str(tmp_path / "t.parquet"))))
    assert [batch.num_rows for batch in batches] == [10_000, 2_000]
    rows = pa.Table.from_batches(batches)
    assert rows["byte_offset"].to_pylist() == list(range(12_000))
    assert rows["caption"].to_pylist() == ["one" if n == 5 else f"caption {n}" for n in range(12_000)]
    assert rows["captions"][5].as_py() == ["one", "two"]
    assert rows["key"][11_999].as_py() == "t#11999"


def test_csv_in_columns_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    r, path, in_columns = random.Random(7), tmp_path / "t.csv", tables.plain_columns
    (tmp_path / "a.jpg").write_bytes(b"1")
    for bad in (b"", b"too,few\n", b"a.jpg,caf\xe9,,\n"):
        with open(path, "w", newline="") as file:
            csv.writer(file).writerows([["path", "caption", "license", "note"], *([r.choice(TEXTS) for _ in range(4)] for _ in range(40))])
        path.write_bytes(path.read_bytes() + bad)
        monkeypatch.setattr(tables, "plain_columns", in_columns)
        found = listed(path, {})
        monkeypatch.setattr(tables, "plain_columns", lambda batch: None)
        assert found == listed(path, {})
        assert len(found) == 40 + bool(bad)


def test_lines_whose_keys_come_in_another_order(tmp_path: Path) -> None:
    """The metadata keeps the order of each record."""
    (tmp_path / "t.jsonl").write_text('{"path": "a.jpg", "a": "1", "b": "2"}\n{"b": "3", "path": "a.jpg", "a": "4"}\n')
    assert [row["metadata"] for row in listed(tmp_path / "t.jsonl", {})] == ['{"a": "1", "b": "2"}', '{"b": "3", "a": "4"}']
