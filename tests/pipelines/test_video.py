"""Videos through the spine: ingest, shots, clips as samples, measures, tiers, export, verify."""

import io
import json
import tarfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import duckdb
import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.common import differing, files, lake_content
from manifests import create_lake, open_lake
from operators.base import Sound
from operators.provenance import Provenance
from operators.testing import encode, film, panning, picture
from operators.video.media import VideoMedia
from operators.video.source import VideoFile
from pipelines.cli import app
from pipelines.clip_cutter import CutSettings, cut_clip
from pipelines.engine import InlineEngine
from pipelines.measure import measure
from pipelines.passes import OperatorUse
from pipelines.progress import Reporter
from pipelines.reader import Reader
from pipelines.recipe import load_recipe
from pipelines.run import run_recipe
from pipelines.sources import SourceSpec, guess_kind, list_source
from pipelines.thumbnails import small_pictures, thumbnails
from pipelines.verify import verify
from quality.dump import dump

FPS = 12
SHOT = 18
HUM = np.sin(np.arange(16000 * 4) / 20).astype(np.float32) * 0.3


def two_shots(first: int, sound: bool = False) -> bytes:
    frames = [*panning(SHOT, 160, 96, seed=first, step=1), *panning(SHOT, 160, 96, seed=first + 1, step=1)]
    tone = np.sin(np.arange(16000 * 3) / 20).astype(np.float32) * 0.3 if sound else None
    return film(frames, FPS, sound=tone)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    (folder / "a.mp4").write_bytes(two_shots(1, sound=True))
    (folder / "a.txt").write_text("A film of two shots.")
    (folder / "sub").mkdir()
    (folder / "sub" / "b.mkv").write_bytes(two_shots(3))
    (folder / "broken.mp4").write_bytes(b"no film")
    return folder


def write_recipe(folder: Path, films: Path, only_clips: bool = False, **clips: Any) -> Path:
    recipe: dict[str, Any] = {
        "lake": str(folder / "lake"),
        "sources": [{"path": str(films), "kind": "video"}],
        "operators": [
            *("video_facts", "shots", {"clips": {"min_s": 1.0, **clips}}, "motion", "light", "audio"),
            *("clip_hashes", "clip_duplicates", "exact_duplicates", "caption_quality"),
        ],
        "tiers": {
            "silver": {"clip": "parent_id is not null"},
            "gold": {"from": "silver", "moving": "motion > 0.01", "unique": "not is_duplicate"},
        },
        "export": {"tier": "gold", "to": str(folder / "gold"), "frames": 1},
    }
    if only_clips:
        recipe = {key: recipe[key] for key in ("lake", "sources")} | {
            "operators": [*recipe["operators"][1:3], "clip_hashes", "clip_duplicates"]
        }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe))
    return path


def run(path: Path, *overrides: str) -> Any:
    return run_recipe(load_recipe(path, overrides), engine="inline", reporter=Reporter(quiet=True), overwrite=bool(overrides))


def rows(path: Path, sql: str) -> list[dict[str, Any]]:
    with open_lake(path.parent / "lake") as lake:
        return lake.rows(sql)


@pytest.fixture(scope="module")
def done(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_recipe(tmp_path_factory.mktemp("done"), films)
    run(path)
    return path


def test_clips_are_samples_of_their_own(done: Path) -> None:
    clips = rows(done, "SELECT * FROM wide WHERE parent_id IS NOT NULL ORDER BY uri, span_start_s")
    assert [c["key"] for c in clips] == ["a#t=0.000,1.500", "a#t=1.500,3.000", "sub/b#t=0.000,1.500", "sub/b#t=1.500,3.000"]
    parents = {p["sample_id"]: p for p in rows(done, "SELECT * FROM wide WHERE parent_id IS NULL")}
    for clip in clips:
        parent = parents[clip["parent_id"]]
        assert (clip["uri"], clip["caption"], clip["width"], clip["height"]) == (parent["uri"], parent["caption"], 160, 96)
        assert clip["duration_s"] == pytest.approx(1.5)
        assert clip["media_hash"] != parent["media_hash"]
        assert clip["motion"] > 0.01
        assert (clip["error"], clip["tier"]) == (None, "gold")
        assert parent["motion"] is None, "a video that was split is looked at clip by clip"
    assert [c["has_audio"] for c in clips] == [True, True, False, False]
    assert [p["error"] for p in parents.values() if p["key"] == "broken"] == [
        "not a video, or damaged at its beginning (Invalid data found when processing input)"
    ]


def test_every_video_and_clip_has_a_picture(done: Path, tmp_path: Path) -> None:
    """Of a clip a frame of its own, for the report, the live view, notebooks and dumps alike."""
    with open_lake(done.parent / "lake") as lake, Reader() as reader:
        readable = lake.rows("SELECT *, CAST(sample_id AS VARCHAR) AS id FROM wide WHERE \"error\" IS NULL AND key LIKE 'a%' ORDER BY key")
        drawn = {row["key"]: picture for row, picture in thumbnails(readable, reader, 80)}
        assert {(p.width, p.height) for p in drawn.values()} == {(80, 48)}
        assert len({p.data for p in drawn.values()}) == len(drawn) == 3
        dump(lake, tmp_path / "lake.duckdb", draw=small_pictures(80))
    with duckdb.connect(str(tmp_path / "lake.duckdb")) as plain:
        assert plain.execute("SELECT count(*), count(picture), count(DISTINCT picture) FROM thumbnails").fetchone() == (7, 6, 6)


def test_an_operator_for_pictures_says_that_there_are_none(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(Reporter, "say", lambda _, text: said.append(text))
    with create_lake(tmp_path / "lake") as lake:
        lake.ingest("films", str(films), list_source(SourceSpec(str(films))))
        assert measure(lake, [OperatorUse(Provenance())], InlineEngine(1), uuid.uuid4(), Reporter(quiet=True)) == []
    assert said == ["provenance: nothing to measure, as only images are looked at and the lake has none"]


def test_a_second_run_has_nothing_to_do(done: Path) -> None:
    result = run(done)
    assert result.measured == ()
    assert (result.exported.written, result.exported.samples) == (0, 4)


def test_gold_clips_are_cut_and_can_be_verified(done: Path) -> None:
    folder = done.parent / "gold"
    assert verify(folder).ok
    with tarfile.open(folder / "shard-000000.tar") as tar:
        names = tar.getnames()
        records = [json.loads(tar.extractfile(n).read()) for n in names if n.endswith(".json")]  # type: ignore[union-attr]
    assert sorted(name.partition(".")[2] for name in names) == ["frame0.jpg"] * 4 + ["json"] * 4 + ["mp4"] * 4 + ["txt"] * 2
    assert {r["clip"]["frames"] for r in records} == {SHOT}
    assert {r["clip"]["method"] for r in records} == {"encode"}


@pytest.mark.ray
def test_ray_gives_the_same_tables_and_shards(done: Path, films: Path, tmp_path: Path, ray_engine: Callable[[], object]) -> None:
    ray_engine()
    path = write_recipe(tmp_path, films)
    run_recipe(load_recipe(path), engine="ray", reporter=Reporter(quiet=True))
    assert differing(lake_content(done.parent / "lake"), lake_content(tmp_path / "lake")) == []
    assert files(done.parent / "gold") == files(tmp_path / "gold")


def test_a_changed_clip_is_found(done: Path, tmp_path: Path) -> None:
    data = bytearray((done.parent / "gold" / "shard-000000.tar").read_bytes())
    with tarfile.open(done.parent / "gold" / "shard-000000.tar") as tar:
        member = next(m for m in tar if m.name.endswith(".mp4"))
    data[member.offset_data + member.size // 2] ^= 255
    for name in ("index.json", "README.md"):
        (tmp_path / name).write_bytes((done.parent / "gold" / name).read_bytes())
    (tmp_path / "shard-000000.tar").write_bytes(data)
    problems = " ".join(p.problem for p in verify(tmp_path).problems)
    assert "sha256 differs" in problems


def test_copied_packets_hold_the_same_frames(films: Path, tmp_path: Path) -> None:
    path = write_recipe(tmp_path, films)
    run(path, "export.clips=copy")
    with tarfile.open(tmp_path / "gold" / "shard-000000.tar") as tar:
        records = [json.loads(tar.extractfile(m).read()) for m in tar if m.name.endswith(".json")]  # type: ignore[union-attr]
    assert {r["clip"]["method"] for r in records} >= {"copy"}
    assert {r["clip"]["frames"] for r in records} == {SHOT}
    assert verify(tmp_path / "gold").ok


@pytest.mark.parametrize("format", ["mp4", "matroska", "mpegts", "avi"])
def test_packets_are_copied_out_of_any_container(format: str) -> None:
    """MPEG-TS has no index, so a seek may end behind the key frame; Matroska states no decoding time for the first packets after a seek;
    AVI does not say when a packet is shown, so clips of it are encoded."""
    data = film(panning(54), FPS, format, sound=HUM, gop_size=18, max_b_frames=2)
    file, frames = VideoFile("film", data=data), grays(data)
    start = VideoMedia(file).info.start_s
    for first in (0, 18, 36):
        cut = cut_clip(file, (start + first / FPS, start + (first + 18) / FPS), CutSettings("copy"))
        apart = np.abs(np.array(grays(cut.data), int) - np.array(frames[first : first + 18], int)).mean()
        assert (cut.facts["method"], apart) == (("encode", pytest.approx(0, abs=8)) if format == "avi" else ("copy", 0))


def grays(data: bytes) -> list[Any]:
    with av.open(io.BytesIO(data)) as clip:
        return [frame.to_ndarray(format="gray") for frame in clip.decode(video=0)]


def test_sound_stays_where_it_was() -> None:
    """A clip of seconds 1 to 4 whose sound lasts from 2 to 3, behind packets that cannot be decoded."""
    data = bytearray(film(panning(48), FPS, "matroska", sound=HUM[:48000]))
    with av.open(io.BytesIO(data)) as whole:
        for packet in whole.demux(audio=0):
            if packet.pts is not None and packet.pts < 2000:  # milliseconds
                at = data.index(bytes(packet))
                data[at : at + packet.size] = b"\xff" * packet.size
    cut = cut_clip(VideoFile("film", data=bytes(data)), (1.0, 4.0), CutSettings())
    with av.open(io.BytesIO(cut.data)) as clip:
        frames = [(f.time, float(np.abs(f.to_ndarray()).max())) for f in clip.decode(audio=0)]
    rest = VideoMedia(VideoFile("film", data=bytes(data)), (3.5, 4.0))  # after the sound
    assert rest.view(Sound()) is None
    loud = [at for at, level in frames if level > 0.1]
    assert (loud[0], loud[-1]) == (pytest.approx(1.0, abs=0.15), pytest.approx(2.0, abs=0.15))


def test_mp3_is_copied_too() -> None:
    """Its decoder has another name than the codec."""
    data = io.BytesIO()
    with av.open(data, "w", format="mp4") as out, av.open(io.BytesIO(film(panning(36), FPS, sound=HUM[:48000]))) as given:
        video, audio = out.add_stream_from_template(given.streams.video[0]), out.add_stream("libmp3lame", rate=16000, layout="mono")
        resampler = av.AudioResampler("s16p", "mono", 16000, 576)
        for packet in given.demux():
            if packet.stream.type == "audio":
                made = [piece for frame in packet.decode() for piece in resampler.resample(frame)]
                out.mux([coded for piece in made for coded in audio.encode(piece)])
            elif packet.dts is not None:
                packet.stream = video
                out.mux(packet)
    file = VideoFile("film", data=data.getvalue())
    cut = cut_clip(file, (VideoMedia(file).info.start_s, 3.0), CutSettings("copy"))
    assert cut.facts["method"] == "copy"
    with av.open(io.BytesIO(cut.data)) as clip:
        assert clip.streams.audio[0].codec_context.codec.canonical_name == "mp3"


def test_other_lengths_replace_the_clips_and_decode_nothing(films: Path, tmp_path: Path) -> None:
    run(write_recipe(tmp_path, films, only_clips=True))
    path = write_recipe(tmp_path, films, only_clips=True, trim_s=0.1)
    result = run(path)
    assert "shots" not in " ".join(p.name for p in result.measured)
    keys = [r["key"] for r in rows(path, "SELECT key FROM wide WHERE parent_id IS NOT NULL ORDER BY key")]
    assert keys == ["a#t=0.100,1.400", "a#t=1.600,2.900", "sub/b#t=0.100,1.400", "sub/b#t=1.600,2.900"]
    (films / "c.mp4").write_bytes(two_shots(1))  # a copy of the first without its sound
    try:
        run(path)
        copies = rows(path, "SELECT key, duplicate_kind FROM wide WHERE is_duplicate ORDER BY key")
        assert len(copies) == 2
        assert {c["duplicate_kind"] for c in copies} == {"clip"}
    finally:
        (films / "c.mp4").unlink()
    run(path)
    assert len(rows(path, "SELECT 1 FROM wide WHERE parent_id IS NOT NULL")) == 4, "clips go with their video"


def test_a_video_that_changed_is_left_out(films: Path, tmp_path: Path) -> None:
    copy = tmp_path / "films"
    copy.mkdir()
    (copy / "a.mp4").write_bytes((films / "a.mp4").read_bytes())
    path = write_recipe(tmp_path, copy)
    run(path)
    data = bytearray((copy / "a.mp4").read_bytes())
    data[-1] ^= 1
    (copy / "a.mp4").write_bytes(data)
    with open_lake(tmp_path / "lake", read_only=False) as lake:
        from pipelines.run import export_tier, recorded_run

        loaded = load_recipe(path, ["export.seed=5"])
        with recorded_run(lake, "export", loaded, "inline") as (run_id, _):
            result = export_tier(lake, loaded, Reporter(quiet=True), run_id, overwrite=True)
    assert result.samples == 0
    assert all("has changed" in item.reason for item in result.left_out)


def test_sources(films: Path, tmp_path: Path) -> None:
    assert guess_kind(str(films)) == "video"
    assert guess_kind(str(films / "a.mp4")) == "video"
    one = [r for batch in list_source(SourceSpec(str(films / "a.mp4"))) for r in batch.to_pylist()]
    assert [(r["key"], r["modality"], r["caption"]) for r in one] == [("a", "video", "A film of two shots.")]
    both = [r for batch in list_source(SourceSpec(str(films / "**" / "*.m*"), "video")) for r in batch.to_pylist()]
    assert [r["key"] for r in both] == ["a", "broken", "sub/b"]
    with tarfile.open(tmp_path / "films.tar", "w") as tar:
        for name in ("x.mp4", "x.txt", "x.jpg"):
            data = two_shots(1) if name == "x.mp4" else b"words" if name == "x.txt" else encode(picture())
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    (member,) = [r for batch in list_source(SourceSpec(str(tmp_path / "films.tar"))) for r in batch.to_pylist()]
    assert (member["key"], member["modality"], member["caption"]) == ("x", "video", "words")
    runner = CliRunner()
    lake = str(tmp_path / "lake")
    assert runner.invoke(app, ["ingest", lake, str(tmp_path / "films.tar"), "-q"]).exit_code == 0
    assert runner.invoke(app, ["measure", lake, "shots", "clips", "light", "--engine", "inline", "-q"]).exit_code == 0
    with open_lake(lake) as opened:
        assert opened.value("SELECT count(luminance) FROM wide WHERE parent_id IS NOT NULL") == 2
