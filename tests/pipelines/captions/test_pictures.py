"""Pictures and frames as requests carry them."""

import asyncio
import base64
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from manifests.errors import MediaError
from operators.testing import encode, film, panning, picture
from pipelines.captions.pictures import PictureRef, with_pictures


def parts(ref: PictureRef) -> list[Any]:
    body = asyncio.run(with_pictures({"messages": [{"role": "user", "content": "what is it?"}]}, (ref,)))
    question, *found = body["messages"][-1]["content"]
    assert question == {"type": "text", "text": "what is it?"}
    return found


def image(part: Any) -> Image.Image:
    kind, _, data = part["image_url"]["url"].partition(",")
    assert kind == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_a_picture_is_sent_small_and_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    (tmp_path / "one.jpg").write_bytes(encode(picture(300, 200), "JPEG", exif=exif))
    (sent,) = parts(PictureRef(str(tmp_path / "one.jpg"), None, None, 150))
    assert image(sent).size == (100, 150)
    assert not image(sent).getexif()


def test_a_broken_picture_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(encode(picture(300, 200), "JPEG")[:900])
    with pytest.raises(MediaError):
        parts(PictureRef(str(tmp_path / "one.jpg"), None, None, 150))


def test_frames_of_a_clip_come_with_its_times_wherever_it_lies(tmp_path: Path) -> None:
    data = film(panning(40, 96, 64))
    (tmp_path / "one.mp4").write_bytes(data)
    with tarfile.open(tmp_path / "films.tar", "w") as tar:
        entry = tarfile.TarInfo("one.mp4")
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    with tarfile.open(tmp_path / "films.tar") as tar:
        offset = tar.getmember("one.mp4").offset_data
    whole = parts(PictureRef(str(tmp_path / "one.mp4"), None, len(data), 48, frames=2, start_s=0.4, end_s=1.2))
    member = parts(PictureRef(str(tmp_path / "films.tar"), offset, len(data), 48, frames=2, start_s=0.4, end_s=1.2))
    assert whole == member
    assert [part["text"] for part in whole[::2]] == ["0.2 s", "0.6 s"]
    assert [image(part).size for part in whole[1::2]] == [(48, 32), (48, 32)]
