"""Something measured and little else, for tests of what decides over measured values."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from manifests import Lake
from manifests.address import local_lake
from manifests.tables import TABLES

MEASURED = {"clip_score": '{"weights": ""}', "image_embedding": '{"encoder": "starter"}', "text_embedding": '{"encoder": "starter"}'}


@pytest.fixture(scope="session")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Lake]]:
    """``scored({key: value})``: a lake whose samples have these values of clip_score.

    Its tables are in memory (a lake on disk takes a second to make); what reads them is the real thing.
    ``settings``: of the operators that measured. ``sources``: each has a sample of every key.
    """
    made: list[Lake] = []
    address = local_lake(Path(tmp_path_factory.mktemp("scored")))

    def make(values: dict[str, float | None], settings: dict[str, str] = MEASURED, sources: tuple[str, ...] = ("web",)) -> Lake:
        lake = Lake(address, duckdb.connect())
        made.append(lake)
        for table in ("labels", "operator_versions"):
            lake.connection.execute(f"CREATE TABLE {table} ({TABLES[table]})")
        lake.connection.execute(
            'CREATE TABLE wide (sample_id UUID, key VARCHAR, source VARCHAR, caption VARCHAR, clip_score FLOAT, "error" VARCHAR)'
        )
        rows = [
            [uuid.uuid5(uuid.NAMESPACE_URL, f"{source}/{key}"), key, source, value] for source in sources for key, value in values.items()
        ]
        lake.connection.executemany("INSERT INTO wide VALUES (?, ?, ?, 'a caption', ?, NULL)", rows)
        for name, text in settings.items():
            lake.connection.execute(
                "INSERT INTO operator_versions VALUES (?, 'f1', '1', ?, 'batch', 'pair', [?], now())", [name, text, name]
            )
        return lake

    yield make
    for lake in made:
        lake.close()
