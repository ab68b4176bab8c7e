"""A lake with one signal, for tests of what decides over measured values."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from manifests import Lake, create_lake
from manifests.parts import uuids, write_part
from manifests.schema import REFERENCE
from manifests.tables import signal_table


def add_signal(lake: Lake, column: str, values: dict[str, float | None], settings: str = "{}", operator: str | None = None) -> None:
    """Measure ``column`` of the samples with these keys."""
    operator = operator or column
    kind = pa.float32()
    schema = pa.schema({"key": pa.uuid(), "fingerprint": pa.string(), "run_id": pa.uuid(), column: kind, "error": pa.string()})
    lake.set_current(operator, "f1", "1", settings, "corpus", "sample", schema)
    ids = {row["key"]: row["id"] for row in lake.rows("SELECT key, CAST(sample_id AS VARCHAR) AS id FROM samples")}
    rows = {
        "key": uuids([uuid.UUID(ids[key]) for key in values]),
        "fingerprint": pa.array(["f1"] * len(values)),
        "run_id": uuids([uuid.UUID(int=1)] * len(values)),
        column: pa.array(list(values.values()), kind),
        "error": pa.nulls(len(values), pa.string()),
    }
    lake.commit([write_part(lake.address.data, signal_table(operator), pa.table(rows, schema=schema))], f"measure {operator}")


@pytest.fixture
def measured() -> Callable[..., None]:
    """`add_signal`."""
    return add_signal


@pytest.fixture
def scored(tmp_path: Path) -> Iterator[Callable[..., Lake]]:
    """``scored({key: value}, ...)``: a lake, at ``tmp_path / "lake"``, whose samples have these values of clip_score."""
    opened: list[Lake] = []

    def make(values: dict[str, float | None], settings: str = '{"encoder": "starter"}', sources: tuple[str, ...] = ("web",)) -> Lake:
        lake = create_lake(tmp_path / "lake")
        opened.append(lake)
        for source in sources:
            rows = [
                {"source": source, "key": key, "uri": f"/{source}/{key}", "stamp": "1:1", "modality": "image", "caption": f"caption {key}"}
                for key in values
            ]
            lake.ingest(source, f"/{source}", iter(pa.Table.from_pylist(rows, schema=REFERENCE).to_batches()))
        add_signal(lake, "clip_score", values, settings)
        return lake

    yield make
    for lake in opened:
        lake.close()
