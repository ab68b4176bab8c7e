"""croissant.json names what is there."""

import hashlib
import json
import tarfile
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

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
    fields = said["recordSet"][0]["field"]
    assert {"media", "caption", "sharpness"} <= {field["name"] for field in fields}
    assert all(field["source"]["fileSet"]["@id"] in sets for field in fields)
    assert len({field["@id"] for field in fields}) == len(fields)
