"""croissant.json names what is there."""

import hashlib
import json
import tarfile
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest

from manifests import Lake
from pipelines.export import export
from pipelines.export_plan import ExportSettings
from pipelines.reader import Reader


def test_the_description_is_true(gallery: Callable[..., Lake], tmp_path: Path) -> None:
    with Reader() as reader:
        export(gallery(), ExportSettings(to=str(tmp_path / "out")), "recipe", "digest", read=reader.read)
    said = json.loads((tmp_path / "out" / "croissant.json").read_text(encoding="utf-8"))
    assert said["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert "CC BY 4.0" in said["license"]
    shards = [part for part in said["distribution"] if part["@type"] == "cr:FileObject"]
    members: list[str] = []
    for shard in shards:
        data = (tmp_path / "out" / shard["contentUrl"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == shard["sha256"]
        assert shard["contentSize"] == f"{len(data)} B"
        with tarfile.open(tmp_path / "out" / shard["contentUrl"]) as tar:
            members += tar.getnames()
    sets = {part["@id"]: part["includes"] for part in said["distribution"] if part["@type"] == "cr:FileSet"}
    assert all(sum(fnmatch(name, pattern) for patterns in sets.values() for pattern in patterns) == 1 for name in members)
    fields = [field for records in said["recordSet"] for field in records["field"]]
    assert {"content", "caption", "sharpness"} <= {field["name"] for field in fields}
    assert all(field["source"]["fileSet"]["@id"] in sets for field in fields)
    assert len({field["@id"] for field in fields}) == len(fields)


@pytest.mark.filterwarnings("ignore")  # of a tool that is not ours
def test_its_own_reader_takes_it_and_reads_the_pictures(
    gallery: Callable[..., Lake], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROISSANT_CACHE", str(tmp_path / "cache"))  # else it would find the shards of another export by their names
    mlcroissant = pytest.importorskip("mlcroissant")
    with Reader() as reader:
        export(gallery(), ExportSettings(to=str(tmp_path / "out")), "recipe", "digest", read=reader.read)
    dataset = mlcroissant.Dataset(str(tmp_path / "out" / "croissant.json"))  # raises when it is not valid
    records = list(dataset.records("pictures"))
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    assert len(records) == index["samples"]
    assert all(record["pictures/content"].width > 0 for record in records)
