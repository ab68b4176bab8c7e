import collections
import hashlib
import io
import tarfile
from pathlib import Path

import imagehash
import pytest
from PIL import Image

from manifests.errors import UsageError
from pipelines.demo_data import DemoSet, build_demo, read_labels
from pipelines.demo_defects import COPIES, SHARES, bomb
from pipelines.demo_pictures import PICTURES, Picture

SAMPLES = 100


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoSet:
    return build_demo(tmp_path_factory.mktemp("demo") / "set", SAMPLES)


@pytest.fixture(scope="module")
def files(demo: DemoSet) -> dict[str, dict[str, bytes]]:
    """Key -> suffix -> bytes, from the folder and the tar alike."""
    found: dict[str, dict[str, bytes]] = collections.defaultdict(dict)
    for file in (demo.directory / "pictures").iterdir():
        found[file.stem][file.suffix[1:]] = file.read_bytes()
    with tarfile.open(demo.directory / "crawl-00000.tar") as tar:
        for member in tar:
            stem, _, suffix = member.name.partition(".")
            body = tar.extractfile(member)
            assert body is not None
            found[stem][suffix] = body.read()
    return found


def media(parts: dict[str, bytes]) -> bytes:
    return next(data for suffix, data in parts.items() if suffix not in ("txt", "json"))


def picture(parts: dict[str, bytes]) -> Image.Image:
    return Image.open(io.BytesIO(media(parts))).convert("RGB")


def tree(directory: Path) -> dict[str, str]:
    return {
        str(file.relative_to(directory)): hashlib.sha256(file.read_bytes()).hexdigest() for file in directory.rglob("*") if file.is_file()
    }


def test_every_defect_is_planted_and_most_samples_are_clean(demo: DemoSet) -> None:
    counts = collections.Counter(label["defect"] for label in read_labels(demo.labels))
    assert counts.total() == SAMPLES
    assert set(counts) == {"", *SHARES}
    assert counts[""] > SAMPLES / 2


def test_labels_and_files_are_about_the_same_samples(demo: DemoSet, files: dict[str, dict[str, bytes]]) -> None:
    labels = read_labels(demo.labels)
    assert {label["key"] for label in labels} == set(files)
    for label in labels:
        assert len(files[label["key"]]) == 3  # picture, caption, origin
        assert (demo.directory / label["file"]).is_file()


def test_same_seed_same_bytes_and_other_seed_other_bytes(demo: DemoSet, tmp_path: Path) -> None:
    again, other = build_demo(tmp_path / "again", SAMPLES), build_demo(tmp_path / "other", SAMPLES, seed=8)
    assert tree(again.directory) == tree(demo.directory)
    assert tree(other.directory) != tree(demo.directory)


def test_rebuilding_leaves_times_alone_and_no_stale_samples(tmp_path: Path) -> None:
    first = build_demo(tmp_path / "d", 80)
    times = {file: file.stat().st_mtime_ns for file in first.directory.rglob("img-*")}
    build_demo(tmp_path / "d", 80)
    assert {file: file.stat().st_mtime_ns for file in first.directory.rglob("img-*")} == times
    (tmp_path / "d" / "pictures" / "mine.jpg").write_bytes(b"kept")
    smaller = build_demo(tmp_path / "d", 60)
    keys = {label["key"] for label in read_labels(smaller.labels)}
    assert {file.stem for file in (tmp_path / "d" / "pictures").iterdir()} - keys == {"mine"}


def test_a_directory_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="not an earlier demo"):
        build_demo(tmp_path)
    with pytest.raises(UsageError, match="60 to 400"):
        build_demo(tmp_path / "new", 10)


def test_copies_look_like_their_original_and_clean_samples_like_nothing_else(demo: DemoSet, files: dict[str, dict[str, bytes]]) -> None:
    labels = read_labels(demo.labels)
    looks = {s["key"]: imagehash.phash(picture(files[s["key"]])) for s in labels if s["defect"] in ("", *COPIES)}
    for label in labels:
        if label["defect"] in COPIES:
            assert looks[label["key"]] - looks[label["of"]] <= 14, label
        if label["defect"] == "exact copy":
            assert media(files[label["key"]]) == media(files[label["of"]])
    clean = [label["key"] for label in labels if not label["defect"]]
    apart = [looks[a] - looks[b] for i, a in enumerate(clean) for b in clean[:i]]
    assert min(apart) >= 10  # re-encoding moves the 14 bits demanded of crops by a few


def test_broken_files_are_broken_and_all_others_decode(demo: DemoSet, files: dict[str, dict[str, bytes]]) -> None:
    for label in read_labels(demo.labels):
        if label["defect"] in ("truncated file", "empty file"):
            with pytest.raises(OSError, match=r"truncated|cannot identify|broken"):
                picture(files[label["key"]])
        elif label["defect"] != "decompression bomb":
            assert picture(files[label["key"]]).width > 0


def test_the_bomb_has_a_valid_header() -> None:
    assert len(bomb()) < 500
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(bomb()))
    with Image.open(io.BytesIO(bomb(64))) as small:
        assert small.size == (64, 64)


def test_clean_captions_name_their_own_picture(demo: DemoSet, files: dict[str, dict[str, bytes]]) -> None:
    scenes = {picture.name: picture.scene for picture in PICTURES}
    for label in read_labels(demo.labels):
        caption = files[label["key"]]["txt"].decode()
        describes = scenes[label["picture"]].lower() in caption.lower()
        assert describes == (label["defect"] not in ("junk caption", "empty caption", "wrong caption")), (label, caption)


def test_a_package_that_is_not_installed_is_named() -> None:
    missing = Picture("x", "no_such_package", "x.png", "nothing")
    with pytest.raises(Exception, match=r"no_such_package.*pip install"):
        missing.open()
