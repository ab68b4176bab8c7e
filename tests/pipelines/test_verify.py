import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from manifests import create_lake
from manifests.errors import UsageError
from pipelines.export import export
from pipelines.export_plan import ExportSettings
from pipelines.reader import Reader
from pipelines.verify import verify


@pytest.fixture(scope="session")
def exported(galleries, tmp_path_factory) -> Path:
    settings = ExportSettings(to=str(tmp_path_factory.mktemp("export")), shard_size="40KB")
    with create_lake(galleries(12) / "lake") as lake:
        return export(lake, settings, "recipe", "digest", read=Reader().read).directory


@pytest.fixture
def out(exported, tmp_path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "out"))


Members = list[tuple[str, bytes]]


def rewrite(folder: Path, change: Callable[[Members], Members], number: int = 0) -> None:
    """Change the members of a shard, and let the index agree on its bytes."""
    index = json.loads((folder / "index.json").read_text())
    entry = index["shards"][number]
    path = folder / entry["name"]
    with tarfile.open(path) as tar:
        members = [(m.name, tar.extractfile(m).read()) for m in tar]
    with tarfile.open(path, "w") as tar:
        for name, data in change(members):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    index["bytes"] += path.stat().st_size - entry["bytes"]
    entry.update(bytes=path.stat().st_size, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    (folder / "index.json").write_text(json.dumps(index))


def names(path: Path) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


def problems(folder: Path, **options: bool) -> str:
    report = verify(folder, **options)
    assert report.ok == (report.problem_count == 0)
    return " / ".join(p.problem for p in report.problems)


def swap(name_part: str, data: bytes) -> Callable[[Members], Members]:
    """Replace the content of the first member whose name ends so."""

    def change(members: Members) -> Members:
        position = next(i for i, (name, _) in enumerate(members) if name.endswith(name_part))
        return [(name, data if i == position else old) for i, (name, old) in enumerate(members)]

    return change


def test_a_good_export(out):
    seen = []
    report = verify(out, progress=lambda done, total: seen.append((done, total)))
    assert report.ok
    assert (report.samples, report.decoded, report.shards) == (12, 12, len(seen))
    assert report.bytes == sum(p.stat().st_size for p in out.glob("*.tar"))
    assert verify(out, decode=False).decoded == 0


def test_flipped_bit_truncated_missing_and_stray_files(out):
    first, second, third = sorted(out.glob("*.tar"))[:3]
    data = bytearray(first.read_bytes())
    data[600] ^= 1
    first.write_bytes(data)
    second.write_bytes(second.read_bytes()[:3000])
    third.unlink()
    (out / "extra.tar").write_bytes(b"")
    report = verify(out)
    found = {(p.shard, p.problem.split(" 3000")[0]) for p in report.problems}
    assert (first.name, "the SHA-256 of the file is not the one in the index") in found
    assert (second.name, "the file has") in found
    assert (third.name, "the file is missing") in found
    assert ("", "the file 'extra.tar' is not in the index") in found
    assert any(p.shard == second.name and "tar archive" in p.problem for p in report.problems)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda m: m[1:], "it has 0 media files"),
        (lambda m: [x for x in m if x[0] != m[1][0]], "it has no .json"),
        (swap(".json", b"{"), "its .json cannot be read"),
        (swap(".json", b"[" * 100_000), "its .json cannot be read"),
        (swap(".json", b"{}"), "its .json has no 'sample_id'"),
        (swap(".json", b'{"sample_id": "other"}'), "its .json is about 'other'"),
        (swap(".txt", b"\xff"), "its .txt is not UTF-8"),
        (swap(".txt", b"another caption"), "its .txt is not the caption"),
        (lambda m: [*m, ("../evil.jpg", b"")], "is no file of a sample"),
        (lambda m: [m[0], *m], "two members are named"),
        (lambda m: m[3:], "samples, the index says"),
    ],
)
def test_what_is_wrong_with_a_sample_is_said(out, change, problem):
    with_caption = next(n for n, p in enumerate(sorted(out.glob("*.tar"))) if any(m.endswith("txt") for m in names(p)))
    rewrite(out, change, with_caption)
    assert problem in problems(out)
    assert "SHA-256" not in problems(out)


def test_other_media_are_noticed_and_undecodable_ones_when_decoding(out):
    def cut(members: Members) -> Members:
        return [(members[0][0], members[0][1][:200]), *members[1:]]

    rewrite(out, cut)
    assert "media_hash differs" in problems(out)
    assert "cannot be decoded" in problems(out)
    assert "cannot be decoded" not in problems(out, decode=False)


def test_sample_in_two_shards(out):
    with tarfile.open(sorted(out.glob("*.tar"))[0]) as tar:
        copied = [(m.name, tar.extractfile(m).read()) for m in list(tar)[:2]]
    rewrite(out, lambda members: [*members, *copied], 1)
    report = verify(out)
    (again,) = [p for p in report.problems if "more than once" in p.problem]
    assert (again.shard, again.key) == ("shard-000001.tar", copied[0][0].split(".")[0])


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "goldsieve-export/1", "shards": [{"name": "../x.tar"}]}', '{"format": "other"}']
)
def test_without_a_readable_index_it_says_so(tmp_path, text):
    with pytest.raises(UsageError, match=r"has no index\.json"):
        verify(tmp_path)
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(UsageError, match=r"index\.json (cannot be read|has the format)"):
        verify(tmp_path)
