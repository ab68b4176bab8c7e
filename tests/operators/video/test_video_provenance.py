"""Evidence in the files of videos: MP4 by boxes, others by tags, from files, parts of files and memory."""

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from operators.testing import MediaRow, film, panning
from operators.video.media import VideoMedia
from operators.video.source import VideoFile
from operators.video.video_provenance import VideoProvenance, measure
from tests.operators.provenance_files import A1111, GRAPH, TRAINED, WORKFLOW, box, dumps, signed, xmp

FRAMES = panning(6)
COMFYUI = dumps({"prompt": dumps(GRAPH), "workflow": dumps(WORKFLOW)})


def told(file: VideoFile) -> dict[str, Any]:
    found = measure(MediaRow({}, VideoMedia(file)))
    assert list(found) == VideoProvenance.adds.names
    return {name.removeprefix("video_"): value for name, value in found.items()}


@pytest.mark.parametrize(
    ("container", "codec", "place"),
    [
        ("mp4", "libx264", "MP4 ilst comment"),
        ("mov", "libx264", "MP4 udta comment"),
        ("matroska", "libx264", "mkv tag COMMENT"),
        ("webm", "libvpx-vp9", "webm tag COMMENT"),
        ("avi", "mpeg4", "avi tag comment"),
    ],
)
def test_comfyui_writes_its_graph_into_a_comment(container: str, codec: str, place: str) -> None:
    found = told(VideoFile("test", data=film(FRAMES, format=container, codec=codec, metadata={"comment": COMFYUI})))
    assert (found["aigc_strength"], found["aigc_generator"], found["aigc_prompt"], found["aigc_seed"]) == (
        "strong",
        "ComfyUI",
        "a red fox",
        5,
    )
    assert [one["location"] for one in found["aigc_evidence"]] == [place]


def test_comfyui_names_its_tags_after_what_they_hold() -> None:
    found = told(VideoFile("test", data=film(FRAMES, format="matroska", metadata={"prompt": dumps(GRAPH)})))
    assert (found["aigc_strength"], found["aigc_model"]) == ("strong", "foxy.safetensors")


def test_a_program_that_makes_videos_and_one_that_encodes_them() -> None:
    assert (
        told(VideoFile("test", data=film(FRAMES, format="matroska", metadata={"encoded_by": "Runway Gen-3"})))["aigc_generator"] == "Runway"
    )
    for container in ("mp4", "matroska", "webm", "mpegts", "avi"):
        codec = {"webm": "libvpx-vp9", "avi": "mpeg4"}.get(container, "libx264")
        found = told(VideoFile("test", data=film(FRAMES, format=container, codec=codec)))
        assert (found["aigc_strength"], found["aigc_evidence"], found["camera_evidence"]) == ("none", [], False)


def test_content_credentials_of_a_video_and_of_an_altered_one(tmp_path: Path) -> None:
    data = signed(film=film(FRAMES), agent="Sora")
    (tmp_path / "sora.mp4").write_bytes(data)
    (tmp_path / "part.tar").write_bytes(b"x" * 700 + data + b"y" * 50)
    for file in (
        VideoFile(str(tmp_path / "sora.mp4")),
        VideoFile(str(tmp_path / "part.tar"), 700, len(data)),
        VideoFile("test", data=data),
    ):
        found = told(file)
        assert (found["aigc_strength"], found["c2pa_state"]) == ("proof", "intact")
        assert found["aigc_evidence"][0]["location"] == "MP4 uuid C2PA"
    at = data.rindex(b"mdat") + 40
    altered = told(VideoFile("test", data=data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]))
    assert (altered["aigc_strength"], altered["c2pa_state"]) == ("strong", "altered")


def test_only_metadata_is_read_of_a_large_file(tmp_path: Path) -> None:
    uuid = box(b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac"), xmp(DigitalSourceType=TRAINED))
    with (tmp_path / "large.mp4").open("wb") as file:
        file.write(film(FRAMES))
        file.write((200 << 20).to_bytes(4, "big") + b"free")
        file.seek((200 << 20) - 8, 1)
        file.write(uuid)
    tracemalloc.start()
    found = told(VideoFile(str(tmp_path / "large.mp4")))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found["aigc_strength"], found["aigc_evidence"][0]["location"]) == ("strong", "MP4 uuid XMP DigitalSourceType")
    assert most < 16 << 20


def test_what_stands_in_a_title_proves_nothing() -> None:
    found = told(VideoFile("test", data=film(FRAMES, format="matroska", metadata={"title": A1111, "artist": "Midjourney"})))
    assert found["aigc_strength"] in ("none", "weak")
