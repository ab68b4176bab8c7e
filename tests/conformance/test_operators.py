"""What every operator owes its users, checked for each of `ALL` and `OPTIONAL`. A new operator is tested by being listed there.

Optional operators are skipped where their packages are not installed, and see fewer samples: models are slow.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import pickle
import random
import re
import struct
import subprocess
import sys
import uuid
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import ExifTags, Image, ImageDraw, PngImagePlugin

import manifests.schema
from manifests.errors import MissingDependencyError
from operators import ALL, OPTIONAL
from operators.base import Batch, BatchFn, Operator, fingerprint, settings
from operators.catalogue import markdown, rows
from operators.encoders import load, settle
from operators.plugins import MEMBERS
from operators.testing import encode, film, make_batch, panning, picture

ROOT = Path(__file__).parents[2]
EVERY = (*ALL, *OPTIONAL)
BATCH = [operator for operator in EVERY if operator.scope == "batch"]
CORPUS = [operator for operator in EVERY if operator.scope == "corpus"]

SAMPLE_COLUMNS: dict[str, pa.DataType] = {
    "sample_id": pa.uuid(),
    **{f.name: f.type for f in manifests.schema.REFERENCE},
    **{f.name: f.type for f in manifests.schema.MEDIA},
    "is_protected": pa.bool_(),
}
"""Columns of ``wide`` that are there before any operator ran."""

ADDED: dict[str, pa.DataType] = {f.name: f.type for operator in EVERY for f in operator.adds}

CAPTIONS = [
    "A brown dog runs through the snow .",
    "一只棕色的狗在雪地里奔跑",
    "IMG_2034.jpg",
    None,
    "",
    "buy now buy now buy now",
    "Ein brauner Hund läuft durch den Schnee",
    "#love 🔥 https://example.com",
]


HEADS = ("clip_score", "aesthetic", "style", "concept", "zero_shot")
"""Matrix products over embeddings: their last bits depend on the number of rows."""
TOLERANCE = 1e-5

OTHER = {
    "encoder": "openclip:ViT-B-32/openai",
    "precision": "bf16",
    "device": "cuda",
    "head": "starter",
    "names": ("a cat", "a dog"),
    "prompts": (("a prompt",),) * 8,
}
"""Another value of settings that do not take any."""


def by_name(operators: list[Operator]) -> Any:
    return pytest.mark.parametrize("operator", operators, ids=lambda operator: operator.name)


def count(operator: Operator) -> int:
    """How many samples it is shown; 32 have one of every kind, 10 one of every kind of video."""
    if operator.reads.modality == "video":
        return 10
    return 32 if operator in OPTIONAL else 64


@functools.cache
def open_once(operator: Operator) -> BatchFn:
    try:
        return operator.open()
    except MissingDependencyError as error:
        pytest.skip(str(error))


def column_types(operator: Operator) -> dict[str, pa.DataType]:
    return {name: {**SAMPLE_COLUMNS, **ADDED}[name] for name in operator.reads.columns}


@functools.cache
def samples(count: int = 64) -> tuple[list[dict[str, Any]], list[bytes | None]]:
    """Rows with a value, a null or a copy in every column, and files of many kinds: good, broken and missing."""
    rng = random.Random(0)
    files: list[bytes | None] = []
    exif = Image.Exif()
    exif.update(
        {ExifTags.Base.Make: "Maker", ExifTags.Base.Model: "Model", ExifTags.Base.Software: "Software", ExifTags.Base.Orientation: 6}
    )
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2019:11:21 10:11:12"
    for seed in range(4):
        image = picture(260 + 40 * seed, 240, seed)
        files += [
            encode(image),
            encode(image, "JPEG", exif=exif, quality=60),
            encode(image.convert("L")),
            encode(image, "WEBP", quality=50),
        ]
    files += [encode(np.full((300, 300, 3), level, np.uint8)) for level in (0, 128, 255)]
    text = Image.new("RGB", (400, 300), (20, 60, 40))
    ImageDraw.Draw(text).text((20, 100), "www.example.org", fill="white", font_size=40)
    files.append(encode(text))
    with contextlib.suppress(ImportError):  # a face: without scikit-image nothing that looks for faces finds one
        import skimage.data

        files.append(encode(skimage.data.astronaut()[:256, 100:356], "JPEG"))
    parameters = "a fox\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 64x64, Model: foxy"
    files.append(encode(picture(200, 190), pnginfo=png_texts(parameters=parameters)))
    files.append(with_chunk(encode(picture(190, 200)), b"caBX", b"not a manifest"))
    files += [encode(picture(9, 7)), encode(picture(300, 2)), files[1][:4000] if files[1] else None, b"", b"not a picture", None]
    values: dict[str, list[Any]] = {
        "caption": CAPTIONS,
        "media_hash": [uuid.UUID(int=n).bytes for n in range(9)] + [None],
        "phash": [0x0F0F0F0F0F0F0F0F ^ (2**n - 1) for n in range(0, 60, 4)] + [None, 1],
        "dhash": [0x123456789ABCDEF0, 0x123456789ABCDEF1, None],
        "exact_duplicate": [False, False, False, True, None],
        "near_duplicate": [False, False, True, None],
        "exact_duplicate_of": [uuid.UUID(int=1).bytes, None, None, None],
        "near_duplicate_of": [uuid.UUID(int=2).bytes, None, None, None],
        "pixel_hash": [uuid.UUID(int=n).bytes for n in range(9)] + [None],
        "is_protected": [False, False, False, True],
    }
    values |= embeddings()
    values |= {
        "frame_embeddings": [values["image_embedding"][:3], values["image_embedding"][2:4], None],
        "video_face_height": [0.0, 0.3, None],
    }
    values |= {
        "shots": [[SHOT, SHOT | {"start_s": 30.0, "end_s": 45.0}], [], None],
        "video_damage": [None, "truncated"],
        "fps": [25.0, None],
    }
    values |= {"clip_hashes": [[5, 6, 7, 8], [5, 6, 7, 9], [1 << 60], None], "clip_hash_times": [[0.0, 0.25, 0.5, 0.75]]}
    values |= {"style": ["photo", "anime", None], "over_smooth": [0.0, 0.3, None], "texture_loss": [1.5, 3.0, None], "moire": [8.0, 20.0]}
    values |= {"upsampling_grid": [0.0, 0.5], "banding": [0.0, 7.0, None], "oversharpen_halo": [0.1, 0.2]}
    made = [{name: rng.choice(some) for name, some in values.items()} | {"sample_id": uuid.UUID(int=n).bytes} for n in range(count)]
    return made, [files[n % len(files)] for n in range(count)]


SHOT = {"start_s": 1.0, "end_s": 3.0, "first_frame": 25, "frames": 50, "entry": "cut"}


def shown(operator: Operator, number: int = 0) -> tuple[list[dict[str, Any]], list[bytes | None]]:
    """As `samples`, with videos for operators that look at those."""
    made, files = samples(number or count(operator))
    if operator.reads.modality == "video":
        files = [videos()[n % len(videos())] for n in range(len(made))]
    return made, files


@functools.cache
def videos() -> list[bytes | None]:
    """Good, broken and missing ones; the first two have everything that can be measured between them."""
    time = np.arange(32000) / 16000
    voice = (0.5 * np.sin(2 * np.pi * 220 * time) * (np.sin(2 * np.pi * 3 * time) > 0)).astype(np.float32)
    text = [np.array(Image.fromarray(frame).resize((400, 300))) for frame in panning(8, seed=3)]
    for frame in text:
        frame[200:290] = (20, 60, 40)
    lettered = [Image.fromarray(frame) for frame in text]
    for image in lettered:
        ImageDraw.Draw(image).text((20, 220), "www.example.org", fill="white", font_size=40)
    good = film(panning(20, seed=1), sound=voice)
    parameters = "a fox\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 64x64, Model: foxy"
    credentials = bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + b"\0\0\0\0manifest\0" + b"\0" * 8 + b"none"
    broken_credentials = struct.pack(">I", 8 + len(credentials)) + b"uuid" + credentials
    made = [
        good,
        film([np.asarray(image) for image in lettered], color_trc=16),
        film([*panning(12, seed=4), *panning(12, seed=5)], fps=12, rotation=90),
        film(panning(4, 66, 50), format="matroska"),
        film([np.full((64, 96, 3), 128, np.uint8)] * 9, metadata={"comment": parameters}) + broken_credentials,
        film(panning(60, seed=6), format="matroska"),
    ]
    return [*made[:-1], made[-1][: len(made[-1]) * 8 // 10], good[: len(good) // 2], b"", None]


def png_texts(**texts: str) -> PngImagePlugin.PngInfo:
    made = PngImagePlugin.PngInfo()
    for key, value in texts.items():
        made.add_text(key, value)
    return made


def with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """A PNG with one more chunk behind its header."""
    return png[:33] + struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) + png[33:]


@functools.cache
def embeddings() -> dict[str, list[Any]]:
    """What `starter` makes of some pictures and captions; of several captions, of one and of none."""
    try:
        starter = load(settle("starter", "auto", "cpu", 16, ""))
        images = starter.encode_images([np.asarray(picture(240, 230, seed)) for seed in range(6)]).tolist()
        texts = starter.encode_texts([caption or "" for caption in CAPTIONS]).tolist()
    except MissingDependencyError as error:
        pytest.skip(str(error))
    return {
        "captions": [CAPTIONS[:1], CAPTIONS[:3], CAPTIONS[5:], [None, None], None],
        "image_embedding": [*images, None],
        "text_embedding": [*texts, None],
        "caption_embeddings": [texts[:2], [texts[2], None, texts[3]], None],
    }


def batch_of(operator: Operator, made: list[dict[str, Any]], files: list[bytes | None]) -> Batch:
    types = column_types(operator)
    unknown = set(types) - {*made[0], "sample_id"} if made else set()
    assert not unknown, f"add example values for {unknown} to samples()"
    schema = pa.schema(list(types.items()))
    table = pa.table({name: pa.array([row[name] for row in made], kind) for name, kind in types.items()}, schema=schema) if types else None
    filmed = operator.reads.modality == "video"
    built = make_batch([{name: row[name] for name in types} for row in made], files, views=operator.reads.views if filmed else None)
    return Batch(table, built.rows) if table is not None else built


def as_rows(operator: Operator, columns: Mapping[str, pa.Array]) -> list[tuple[Any, ...]]:
    """Rows that compare equal when they are equal bit for bit (so that NaN equals itself); of the heads, to `TOLERANCE`."""
    kept = Rough if operator.name in HEADS else repr
    return list(zip(*(map(kept, columns[name].to_pylist()) for name in [*operator.adds.names, "error"] if name in columns), strict=True))


@dataclasses.dataclass(frozen=True, eq=False)
class Rough:
    """A value that equals another one when their numbers are closer than `TOLERANCE`."""

    value: Any

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Rough)
        return near(self.value, other.value)


def near(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= TOLERANCE
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(near, a, b))
    return bool(a == b)


def keep_promise(operator: Operator, columns: Mapping[str, pa.Array], count: int) -> None:
    assert set(columns) - {"error"} == set(operator.adds.names)
    for added in operator.adds:
        assert columns[added.name].type == added.type, added.name
        assert len(columns[added.name]) == count, added.name
    if "error" in columns:
        assert columns["error"].type == pa.string()
        assert len(columns["error"]) == count


@by_name(list(EVERY))
def test_keeps_rows_and_promise(operator: Operator) -> None:
    columns = open_once(operator)(batch_of(operator, *shown(operator)))
    keep_promise(operator, columns, count(operator))
    for added in operator.adds:
        if added.name == "near_points":
            continue  # only with the setting `strong`; see tests/operators/test_copies.py
        assert columns[added.name].null_count < count(operator), f"{added.name} was measured for no sample"


@by_name(list(EVERY))
def test_empty_batch(operator: Operator) -> None:
    keep_promise(operator, open_once(operator)(batch_of(operator, [], [])), 0)


@by_name(list(EVERY))
def test_null_input(operator: Operator) -> None:
    """Nothing known but the id, no media: an answer or an error for each row, and no exception."""
    made = [dict.fromkeys(samples()[0][0]) | {"sample_id": uuid.UUID(int=n).bytes} for n in range(3)]
    columns = open_once(operator)(batch_of(operator, made, [None] * 3))
    keep_promise(operator, columns, 3)
    if operator.reads.views:
        assert columns["error"].null_count == 0
        assert all(columns[added.name].null_count == 3 for added in operator.adds)


@by_name([operator for operator in BATCH if operator.reads.views])
def test_a_broken_file_harms_no_neighbour(operator: Operator) -> None:
    made, files = shown(operator, 3)
    got = open_once(operator)(batch_of(operator, made, [files[0], b"not a picture", files[1]]))
    assert [error is None for error in got["error"].to_pylist()] == [True, False, True]


@by_name(BATCH)
@pytest.mark.parametrize("size", [1, 7, 64])
def test_independent_of_batch_and_order(operator: Operator, size: int) -> None:
    made, files = shown(operator)
    run = open_once(operator)
    expected = as_rows(operator, run(batch_of(operator, made, files)))
    order = random.Random(size).sample(range(len(made)), len(made))
    got: list[tuple[Any, ...]] = []
    for start in range(0, len(made), size):
        part = order[start : start + size]
        got += as_rows(operator, run(batch_of(operator, [made[i] for i in part], [files[i] for i in part])))
    assert got == [expected[i] for i in order]


@by_name(CORPUS)
def test_corpus_result_follows_the_order_given_alone(operator: Operator) -> None:
    """The engine sorts best first; however the samples were stored before, the same order gives the same answer, in one chunk or many."""
    made, files = samples()
    whole = batch_of(operator, made, files)
    chunked = pa.concat_tables([whole.table.slice(start, 5) for start in range(0, 64, 5)])
    run = open_once(operator)
    assert as_rows(operator, run(Batch(chunked, whole.rows))) == as_rows(operator, run(whole))
    assert operator.reads.order_by


@by_name(list(EVERY))
def test_deterministic_and_thread_safe(operator: Operator) -> None:
    run, batch = open_once(operator), lambda: batch_of(operator, *shown(operator))
    expected = as_rows(operator, operator.open()(batch()))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for got in pool.map(lambda _: as_rows(operator, run(batch())), range(4 if operator in OPTIONAL else 8)):
            assert got == expected


@by_name(list(EVERY))
def test_picklable(operator: Operator) -> None:
    copy = pickle.loads(pickle.dumps(operator))
    assert copy == operator
    assert fingerprint(copy) == fingerprint(operator)


def test_fingerprints_are_the_same_in_every_process() -> None:
    code = "from operators import ALL, OPTIONAL; from operators.base import fingerprint; print(*map(fingerprint, (*ALL, *OPTIONAL)))"
    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == [fingerprint(operator) for operator in EVERY]


def test_fingerprint_is_what_lakes_already_hold() -> None:
    """A literal: if this changes, every lake would be measured anew."""
    near = next(operator for operator in ALL if operator.name == "near_duplicates")
    keep = "width * height desc, byte_length desc"
    assert settings(near) == {"radius": 10, "check_radius": 12, "keep": keep, "strong": False, "points": 9, "turned": False}
    assert fingerprint(near) == "32f36ef1b0211005"


@by_name(list(EVERY))
def test_every_setting_changes_the_fingerprint(operator: Operator) -> None:
    for name, value in settings(operator).items():
        change = {bool: lambda v: not v, int: lambda v: v + 1, float: lambda v: v / 2 + 0.1, tuple: lambda v: (*v, "x")}
        other = OTHER[name] if name in OTHER else change.get(type(value), lambda v: v + " ")(value)
        try:
            changed = dataclasses.replace(operator, **{name: other})  # type: ignore[type-var]
        except ValueError:  # a refused value has no fingerprint
            continue
        assert fingerprint(changed) != fingerprint(operator), name
        assert fingerprint(dataclasses.replace(changed, **{name: value})) == fingerprint(operator)  # type: ignore[type-var]


@by_name(list(EVERY))
def test_shape(operator: Operator) -> None:
    assert isinstance(operator, Operator)
    assert dataclasses.is_dataclass(operator)
    assert type(operator).__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert re.fullmatch(r"[a-z][a-z0-9_]*", operator.name)
    assert not set(settings(operator)) & set(MEMBERS), "annotate it as ClassVar: what has an annotation is a setting"
    assert bool(operator.reads.order_by) == (operator.scope == "corpus")
    for column in operator.reads.columns:
        assert column in {**SAMPLE_COLUMNS, **ADDED}, f"{column} is neither a column of the samples nor added by an operator"


@by_name(list(EVERY))
def test_documented(operator: Operator) -> None:
    doc = type(operator).__doc__ or ""
    assert len(doc) > 30
    assert not doc.startswith(f"{type(operator).__name__}("), "that is the docstring dataclass makes up"
    for name in settings(operator):
        assert f"``{name}" in doc, f"the docstring does not say what the setting {name} does"
    for added in operator.adds:
        metadata = added.metadata or {}
        assert metadata.get(b"doc"), added.name
        assert b"unit" in metadata, added.name


def test_names_and_columns_are_unique() -> None:
    names = [operator.name for operator in EVERY]
    assert len(set(names)) == len(names)
    columns = [added.name for operator in EVERY for added in operator.adds]
    assert len(set(columns)) == len(columns)
    assert not set(columns) & set(SAMPLE_COLUMNS)


def test_catalogue_is_up_to_date() -> None:
    assert (ROOT / "docs/operators.md").read_text() == markdown(), (
        "run: python -c \"from operators.catalogue import markdown; print(markdown(), end='')\" > docs/operators.md"
    )


def test_catalogue_rows_are_all_columns() -> None:
    assert [(row["operator"], row["column"]) for row in rows()] == [(o.name, f.name) for o in EVERY for f in o.adds]
    assert all(row["doc"] and row["type"] for row in rows())


def test_the_example_in_the_documentation_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/writing-an-operator.md").read_text(), re.S)
    assert len(blocks) == 2
    namespace: dict[str, Any] = {"__name__": "example"}
    sys.modules["example"] = type(sys)("example")  # dataclasses look their module up
    try:
        for block in blocks:
            exec(compile(block, "docs/writing-an-operator.md", "exec"), namespace)
    finally:
        del sys.modules["example"]
    assert isinstance(namespace["DarkShare"](), Operator)
