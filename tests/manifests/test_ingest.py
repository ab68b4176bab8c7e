"""Ids are what they always were, and ordinals follow the listing."""

import hashlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from manifests import Lake, create_lake
from manifests.schema import REFERENCE


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    with create_lake(tmp_path / "lake") as made:
        yield made


def listing(rows: list[dict[str, Any]], size: int = 10_000) -> Iterator[pa.RecordBatch]:
    usual = {"source": "s", "uri": "/x", "stamp": "1:2", "modality": "image"}
    for start in range(0, len(rows), size):
        yield pa.RecordBatch.from_pylist([usual | row for row in rows[start : start + size]], schema=REFERENCE)


def hashed(*parts: object) -> str:
    """The first half of a SHA-256 over the parts' own, by other means than the lake's."""
    digests = "".join(hashlib.sha256(str(part).encode()).hexdigest() for part in parts)
    return str(uuid.UUID(hashlib.sha256(digests.encode()).hexdigest()[:32]))


def test_ids_never_change(lake: Lake) -> None:
    lake.ingest(
        "s",
        "/x",
        listing(
            [
                {"key": "a'é", "caption": 'one "é"', "captions": ['one "é"', "two"]},
                {"key": "a'é", "byte_offset": 512, "byte_length": 1, "caption": "", "captions": []},
            ]
        ),
    )
    text = ", ".join(f"CAST({name} AS VARCHAR) AS {name}" for name in ("sample_id", "ref_hash", "caption_hash"))
    found = lake.rows(f"SELECT {text} FROM refs ORDER BY ordinal")
    ids = [(row["sample_id"], row["ref_hash"], row["caption_hash"]) for row in found]
    written = json.dumps(['one "é"', "two"], separators=(",", ":"), ensure_ascii=False)
    assert ids == [
        (hashed("s", "a'é", 1), hashed("/x", "whole", "rest", "1:2"), hashed("caption", 'one "é"', written)),
        (hashed("s", "a'é", 2), hashed("/x", 512, 1, "1:2"), hashed("caption", "", "[]")),
    ]
    assert ids[0] == PINNED


PINNED = ("31638211-e9ab-5cb6-6174-818c45719c1c", "ea1ee91d-9831-097b-c91f-fa87ac51bb9b", "984cc12e-8570-ce4d-bf8e-f9c42b319df2")
"""As written into lakes since the first version."""


def test_many_batches_arrive_whole_and_in_order(lake: Lake) -> None:
    """Several threads of DuckDB add them: more rows than one of its row groups (122,880)."""
    rows = [{"key": str(n % 250_000), "byte_offset": n} for n in range(300_000)]
    result = lake.ingest("s", "/x", listing(rows))
    assert (result.added, result.errors) == (300_000, 0)
    doubled = "ordinal = CASE WHEN byte_offset < 250000 THEN 1 ELSE 2 END AND CAST(key AS BIGINT) = byte_offset % 250000"
    found = lake.rows(
        f"SELECT count(DISTINCT sample_id) AS ids, count(DISTINCT byte_offset) AS rows, bool_and({doubled}) AS fits FROM refs"
    )
    assert found == [{"ids": 300_000, "rows": 300_000, "fits": True}]
    assert lake.ingest("s", "/x", listing(rows, 7_000)).unchanged == 300_000


def test_ordinals_go_on_where_they_were(lake: Lake) -> None:
    """What was there twice and is there once, and a key of another path, keep their numbers."""
    lake.ingest("s", "/x", listing([{"key": k} for k in "aabc"]))
    lake.ingest("s", "/y", listing([{"key": k} for k in "abbd"]))
    lake.ingest("s", "/y", listing([{"key": k} for k in "bbda"]))
    result = lake.ingest("s", "/x", listing([{"key": k} for k in "abcd"]))
    assert (result.added, result.unchanged, result.vanished) == (1, 3, 1)
    found = lake.rows("SELECT key, ordinal, listed_in, vanished FROM refs ORDER BY ALL")
    assert [(r["key"], r["ordinal"], r["listed_in"]) for r in found if not r["vanished"]] == [
        ("a", 1, "/x"), ("a", 3, "/y"), ("b", 1, "/x"), ("b", 2, "/y"), ("b", 3, "/y"), ("c", 1, "/x"), ("d", 1, "/y"), ("d", 2, "/x"),
    ]  # fmt: skip


def test_a_listing_that_fails_leaves_nothing(lake: Lake) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield from listing([{"key": "a"}])
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        lake.ingest("s", "/x", broken())
    assert lake.value("SELECT count(*) FROM refs") == 0
    assert lake.ingest("s", "/x", iter(())).added == 0
