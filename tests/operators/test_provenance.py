import functools
import gzip
import io
import random
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pillow_heif
import pytest
from PIL import Image

from manifests.errors import MediaError
from operators.provenance import Provenance, examine
from operators.testing import encode, make_batch, picture
from tests.operators.provenance_files import (
    A1111,
    CAMERA,
    GRAPH,
    JOB,
    TRAINED,
    WORKFLOW,
    box,
    chunk,
    dumps,
    exif,
    extended_xmp_jpeg,
    iptc_jpeg,
    jpeg,
    mp4,
    plain,
    png,
    riff,
    segment,
    signed,
    stealthy,
    text,
    tiff,
    user_comment,
    xmp,
    xmp_jpeg,
)  # fmt: skip

ROOT = Path(__file__).parents[2]


def measure(data: bytes) -> dict[str, Any]:
    columns = Provenance().open()(make_batch([{}], [data]))
    return {name: column[0].as_py() for name, column in columns.items()}


def heif(**metadata: Any) -> bytes:
    out = io.BytesIO()
    pillow_heif.from_pillow(picture(64, 48)).save(out, **metadata)
    return out.getvalue()


def exif_png(block: bytes) -> bytes:
    return png(chunk(b"eXIf", block.removeprefix(b"Exif\0\0")))


INVOKE = {"positive_prompt": "a red fox", "seed": 5, "model": {"name": "foxy"}, "app_version": "4.2"}
SD_METADATA = {"model_weights": "foxy", "image": {"prompt": [{"prompt": "a red fox", "weight": 1}], "seed": 5}}
NOVEL = {"prompt": "a red fox", "steps": 28, "seed": 5, "sampler": "k_euler", "uc": "blurry"}
FOOOCUS = {"prompt": "a red fox", "base_model": "foxy", "seed": "5", "metadata_scheme": "fooocus", "version": "Fooocus v2.5.5"}
SWARM = {"sui_image_params": {"prompt": "a red fox", "model": "foxy", "seed": 5}}
EASY = {"prompt": "a red fox", "seed": "5", "use_stable_diffusion_model": "foxy", "num_inference_steps": "25"}
DRAW = {"c": "a red fox", "model": "foxy", "sampler": "Euler A", "seed": 5, "steps": 20}
MOCHI = "Date: 1; Include in Image: a red fox; Exclude from Image: ; Model: foxy; Seed: 5; Steps: 9; Generator: Mochi Diffusion 5.1"
RAW = "\nexif\n%8d\n%s\n"

FOX, FOXY = ("foxy", "a red fox", 5), ("foxy", "a red fox, snow", 965400086)
WEBUI, NOTHING_NAMED = ("Stable Diffusion web UI", *FOXY), (None, None, None, None)

# file, generator, model, prompt, seed, a part of the place
WRITTEN: dict[str, tuple[Callable[[], bytes], str | None, str | None, str | None, int | None, str]] = {
    "a1111 png": (lambda: png(text("parameters", A1111)), *WEBUI, "tEXt parameters"),
    "a1111 itxt": (lambda: png(text("parameters", A1111, "iTXt")), *WEBUI, "iTXt"),
    "a1111 ztxt": (lambda: png(text("parameters", A1111, "zTXt")), *WEBUI, "zTXt"),
    "a1111 jpeg": (lambda: jpeg(segment(0xE1, exif({}, user_comment(A1111)))), *WEBUI, "APP1"),
    "a1111 webp": (lambda: riff((b"EXIF", exif({}, user_comment(A1111)))), *WEBUI, "WebP EXIF"),
    "a1111 avif": (lambda: encode(picture(64, 48), "AVIF", exif=exif({}, user_comment(A1111))), *WEBUI, "AVIF item"),
    "a1111 heic": (lambda: heif(exif=exif({}, user_comment(A1111))), *WEBUI, "HEIF item"),
    "a1111 utf-8": (lambda: jpeg(segment(0xE1, exif({}, user_comment(A1111, "ASCII")))), *WEBUI, "UserComment"),
    "a1111 utf-16 without a name": (
        lambda: jpeg(segment(0xE1, exif({}, {0x9286: bytes(8) + A1111.encode("utf-16-le")}))),
        *WEBUI,
        "UserComment",
    ),
    "a1111 gif": (lambda: encode(picture(64, 48), "GIF", comment=A1111.encode()), *WEBUI, "GIF comment"),
    "a1111 in pixels": (lambda: stealthy(gzip.compress(A1111.encode()), "stealth_rgbcomp"), *WEBUI, "PNG pixels"),
    "forge": (lambda: png(text("parameters", A1111 + ", Version: f2.0.1v1.10.1")), "Stable Diffusion WebUI Forge", *FOXY, "parameters"),
    "sd.next": (lambda: png(text("parameters", A1111 + ", App: SD.Next")), "SD.Next", *FOXY, "parameters"),
    "civitai": (lambda: jpeg(segment(0xE1, exif({}, user_comment(A1111 + ", Civitai resources: []")))), "Civitai", *FOXY, "UserComment"),
    "raw profile": (
        lambda: png(text("Raw profile type exif", RAW % (9, exif({}, user_comment(A1111)).hex()), "zTXt")),
        *WEBUI,
        "raw profile",
    ),
    "comfyui prompt": (lambda: png(text("prompt", dumps(GRAPH))), "ComfyUI", "foxy.safetensors", "a red fox", 5, "tEXt prompt"),
    "comfyui workflow": (lambda: png(text("workflow", dumps(WORKFLOW))), "ComfyUI", None, None, None, "tEXt workflow"),
    "comfyui webp": (
        lambda: riff((b"EXIF", exif({272: "prompt:" + dumps(GRAPH), 271: "workflow:" + dumps(WORKFLOW)}))),
        "ComfyUI",
        "foxy.safetensors",
        "a red fox",
        5,
        "Model",
    ),
    "comfyui mp4": (
        lambda: mp4(comment=dumps({"prompt": dumps(GRAPH), "workflow": dumps(WORKFLOW)})),
        "ComfyUI",
        "foxy.safetensors",
        "a red fox",
        5,
        "MP4 ilst comment",
    ),
    "comfyui mov keys": (lambda: mp4(keys={"prompt": dumps(GRAPH)}), "ComfyUI", "foxy.safetensors", "a red fox", 5, "MP4 ilst prompt"),
    "invokeai": (lambda: png(text("invokeai_metadata", dumps(INVOKE))), "InvokeAI", *FOX, "invokeai_metadata"),
    "invokeai 2": (lambda: png(text("sd-metadata", dumps(SD_METADATA))), "InvokeAI", *FOX, "sd-metadata"),
    "invokeai 1": (lambda: png(text("Dream", '"a red fox" -s50 -S5 -W512 -H512 -C7.5 -Ak_lms')), "InvokeAI", None, "a red fox", 5, "Dream"),
    "novelai": (
        lambda: png(
            text("Title", "AI generated image"),
            text("Software", "NovelAI"),
            text("Source", "Stable Diffusion XL 7BCCAA2C"),
            text("Comment", dumps(NOVEL)),
        ),
        "NovelAI",
        "Stable Diffusion XL 7BCCAA2C",
        "a red fox",
        5,
        "Software",
    ),
    "novelai in alpha": (
        lambda: stealthy(gzip.compress(dumps({"Software": "NovelAI", "Source": "V4", "Comment": dumps(NOVEL)}).encode())),
        *("NovelAI", "V4", "a red fox", 5),
        "PNG alpha, lowest bits, Comment",
    ),
    "novelai in alpha, plain": (
        lambda: stealthy(dumps({"Software": "NovelAI", "Comment": dumps(NOVEL)}).encode(), "stealth_pnginfo"),
        *("NovelAI", None, "a red fox", 5),
        "PNG alpha",
    ),
    "fooocus": (lambda: png(text("parameters", dumps(FOOOCUS)), text("fooocus_scheme", "fooocus")), "Fooocus", *FOX, "parameters"),
    "fooocus a1111": (
        lambda: png(text("parameters", A1111 + ", Version: Fooocus v2.5.5"), text("fooocus_scheme", "a1111")),
        "Fooocus",
        *FOXY,
        "parameters",
    ),
    "fooocus jpeg": (
        lambda: jpeg(segment(0xE1, exif({305: "Fooocus v2.5.5"}, user_comment(dumps(FOOOCUS)) | {0x927C: b"fooocus"}))),
        "Fooocus",
        *FOX,
        "Software",
    ),
    "ruined fooocus": (
        lambda: png(text("parameters", dumps({"prompt": "a red fox", "base_model_name": "foxy", "seed": 5, "software": "RuinedFooocus"}))),
        "Fooocus",
        *FOX,
        "parameters",
    ),
    "swarmui": (lambda: png(text("parameters", dumps(SWARM))), "SwarmUI", *FOX, "parameters"),
    "swarmui jpeg": (lambda: jpeg(segment(0xE1, exif({}, user_comment(dumps(SWARM))))), "SwarmUI", *FOX, "UserComment"),
    "easy diffusion": (lambda: png(*(text(k, v) for k, v in EASY.items())), "Easy Diffusion", *FOX, "prompt"),
    "easy diffusion jpeg": (lambda: jpeg(segment(0xE1, exif({}, user_comment(dumps(EASY))))), "Easy Diffusion", *FOX, "UserComment"),
    "draw things": (lambda: xmp_jpeg(xmp(CreatorTool="Draw Things", UserComment=dumps(DRAW))), "Draw Things", *FOX, "XMP"),
    "mochi": (lambda: png(text("Description", MOCHI)), "Mochi Diffusion", None, "a red fox", 5, "Description"),
    "midjourney": (
        lambda: png(text("Description", JOB), text("Author", "fox")),
        "Midjourney",
        None,
        "a red fox in snow",
        None,
        "Description",
    ),
    "midjourney source type": (
        lambda: xmp_jpeg(xmp(DigitalSourceType=TRAINED, CreatorTool="Midjourney")),
        "Midjourney",
        None,
        None,
        None,
        "DigitalSourceType",
    ),
    "dall-e": (lambda: png(text("Software", "DALL-E 3")), "DALL-E", None, None, None, "Software"),
    "openai": (lambda: signed("PNG", agent="gpt-image 2.0"), "OpenAI", "gpt-image 2.0", None, None, "PNG caBX C2PA"),
    "firefly": (lambda: jpeg(segment(0xE1, exif({305: "Adobe Firefly"}))), "Adobe Firefly", None, None, None, "EXIF Software"),
    "firefly c2pa": (lambda: signed("WEBP"), "Adobe Firefly", None, None, None, "WebP C2PA"),
    "stability": (lambda: tiff({305: "Stability AI"}), "Stability AI", None, None, None, "TIFF tags Software"),
    "google credit": (lambda: iptc_jpeg({110: "Made with Google AI"}), "Google", None, None, None, "IPTC Credit"),
    "google xmp": (lambda: xmp_jpeg(xmp(DigitalSourceType=TRAINED, Credit="Made with Google AI")), "Google", None, None, None, "XMP"),
    "grok": (
        lambda: jpeg(segment(0xE1, exif({270: "Signature: " + "Ab3" * 40, 315: "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"}))),
        "Grok",
        None,
        None,
        None,
        "ImageDescription",
    ),
    "iptc ai properties": (
        lambda: xmp_jpeg(xmp(AISystemUsed="Fox Maker", AIPromptInformation="a red fox")),
        "Fox Maker",
        None,
        "a red fox",
        None,
        "AISystemUsed",
    ),
    "apple": (
        lambda: heif(xmp=xmp(Credit="Apple Image Playground", DigitalSourceType=TRAINED)),
        "Apple Image Playground",
        None,
        None,
        None,
        "HEIF item XMP",
    ),
    "extended xmp": (lambda: extended_xmp_jpeg(xmp(DigitalSourceType=TRAINED), 300), *NOTHING_NAMED, "extended XMP"),
    "source type by its short name": (
        lambda: xmp_jpeg(xmp(DigitalSourceType="digsrctype:trainedAlgorithmicMedia")),
        *NOTHING_NAMED,
        "DigitalSourceType",
    ),
    "tc260 png": (lambda: png(text("AIGC", dumps({"Label": "1", "ContentProducer": "fox"}))), *NOTHING_NAMED, "tEXt AIGC"),
    "tc260 xmp": (lambda: xmp_jpeg(xmp(AIGC=dumps({"Label": "1"}))), *NOTHING_NAMED, "XMP AIGC"),
    "mp4 tool": (lambda: mp4(tool="Runway Gen-3"), "Runway", None, None, None, "MP4 ilst software"),
    "mp4 xmp": (
        lambda: mp4(extra=[box(b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac"), xmp(DigitalSourceType=TRAINED))]),
        *NOTHING_NAMED,
        "MP4 uuid XMP",
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_generators_are_recognised(name):
    make, generator, model, prompt, seed, place = WRITTEN[name]
    row = measure(make())
    assert row["error"] is None
    assert row["aigc_strength"] in ("strong", "proof")
    assert (row["aigc_generator"], row["aigc_prompt"], row["aigc_seed"]) == (generator, prompt, seed)
    assert row["aigc_model"] == model
    assert any(place in e["location"] and e["strength"] != "camera" for e in row["aigc_evidence"])


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF"])
def test_content_credentials(format):
    data = signed(format)
    row = measure(data)
    assert (row["c2pa_state"], row["aigc_strength"]) == ("intact", "proof")
    assert "signed by Test Signer" in row["aigc_evidence"][0]["value"]


def test_an_altered_picture_under_a_manifest_is_no_proof():
    data = bytearray(signed("PNG"))
    at = data.index(b"IDAT") + 40
    data[at] ^= 1
    row = measure(bytes(data))
    assert (row["c2pa_state"], row["aigc_strength"]) == ("altered", "strong")


def test_content_credentials_of_others():
    edited = measure(signed(agent="Adobe Photoshop", parent=signed()))
    assert edited["aigc_strength"] == "proof"
    assert edited["aigc_evidence"][0]["value"].startswith("before editing c2pa.created: trainedAlgorithmicMedia")
    camera = measure(signed(kind="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture", agent="Leica M11-P"))
    assert (camera["aigc_strength"], camera["camera_evidence"], camera["aigc_generator"]) == ("none", True, None)
    other = measure(signed(kind="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCreation", agent="Adobe Photoshop"))
    assert (other["aigc_evidence"], other["c2pa_state"]) == ([], "intact")


def test_cut_content_credentials():
    data = signed("PNG")
    at = data.index(b"caBX")
    (length,) = struct.unpack(">I", data[at - 4 : at])
    store = data[at + 4 : at + 4 + length]
    row = measure(png(chunk(b"caBX", store[: length // 2])))
    assert row["c2pa_state"] == "unreadable"
    assert row["aigc_strength"] in ("weak", "none")


WEAK = {
    "enhancer": lambda: jpeg(segment(0xE1, exif({305: "Topaz Photo AI 3.0"}))),
    "caption with parameters": lambda: jpeg(segment(0xE1, exif({270: A1111}))),
    "graph that only loads and saves": lambda: png(text("prompt", dumps({"1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}}}))),
    "edited with ai": lambda: iptc_jpeg({110: "Edited with Google AI"}),
    "algorithmic": lambda: xmp_jpeg(xmp(DigitalSourceType=TRAINED.replace("trainedAlgorithmicMedia", "algorithmicMedia"))),
    "comment": lambda: jpeg(segment(0xFE, A1111.encode())),
}


@pytest.mark.parametrize("name", WEAK)
def test_weak_evidence(name):
    assert measure(WEAK[name]())["aigc_strength"] == "weak"


SENTENCE = f"Made with Midjourney and Stable Diffusion, {TRAINED}, DALL-E 3, parameters: Steps: 20, ComfyUI workflow, c2pa jumb"
NOTHING = {
    "plain png": plain,
    "plain jpeg": lambda: plain("JPEG"),
    "caption in exif": lambda: jpeg(segment(0xE1, exif({270: SENTENCE, 315: "Midjourney"}))),
    "caption in iptc": lambda: iptc_jpeg({120: SENTENCE, 115: "Midjourney Inc."}),
    "caption in xmp": lambda: xmp_jpeg(
        xmp(description=f"{SENTENCE} <Iptc4xmpExt:DigitalSourceType>{TRAINED}</Iptc4xmpExt:DigitalSourceType>")
    ),
    "caption in png": lambda: png(text("Description", SENTENCE), text("Comment", SENTENCE), text("Title", "NovelAI")),
    "comment": lambda: jpeg(segment(0xFE, SENTENCE.encode())),
    "behind the end of a jpeg": lambda: jpeg(after=segment(0xE1, exif({305: "Midjourney"})) + SENTENCE.encode() + signed()),
    "behind the end of a png": lambda: png(after=text("parameters", A1111) + signed("PNG")),
    "behind the end of a webp": lambda: riff(after=b"EXIF" + exif({305: "Midjourney"})),
    "other sentence about software": lambda: jpeg(segment(0xE1, exif({305: "Adobe Photoshop 25.0 with Adobe Firefly"}))),
    "half a source type": lambda: xmp_jpeg(xmp(DigitalSourceType=f"not {TRAINED}")),
    "prompt that is a sentence": lambda: png(text("prompt", "a red fox"), text("parameters", "width 3, height 4"), text("workflow", "{}")),
    "camera word in make alone": lambda: jpeg(segment(0xE1, exif({271: "Canon"}))),
    "pixels": lambda: encode(Image.frombytes("RGB", (64, 48), (A1111.encode() * 80)[: 64 * 48 * 3]), "PNG", compress_level=0),
    "a signature in pixels alone": lambda: stealthy(b"x" * 50, bits=400),
    "a length beyond the pixels": lambda: stealthy(gzip.compress(bytes(1 << 24))[:1500], bits=2**32 - 1),
    "in a free box": lambda: mp4(extra=[box(b"free", xmp(DigitalSourceType=TRAINED)), box(b"skip", A1111.encode())]),
}


@pytest.mark.parametrize("name", NOTHING)
def test_mentions_are_no_evidence(name):
    row = measure(NOTHING[name]())
    assert row["error"] is None
    assert row["aigc_evidence"] == []
    assert (row["aigc_strength"], row["camera_evidence"]) == ("none", False)


@pytest.mark.parametrize(
    "make", [lambda: jpeg(segment(0xE1, CAMERA)), lambda: exif_png(CAMERA), lambda: riff((b"EXIF", CAMERA)), lambda: heif(exif=CAMERA)]
)
def test_camera(make):
    row = measure(make())
    assert (row["aigc_strength"], row["camera_evidence"]) == ("none", True)
    (evidence,) = row["aigc_evidence"]
    assert evidence["strength"] == "camera"
    assert "Canon EOS 40D" in evidence["value"]
    assert "maker note" in evidence["value"]


def test_a_forged_camera_hides_no_generator():
    row = measure(jpeg(segment(0xE1, CAMERA), segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(DigitalSourceType=TRAINED))))
    assert (row["aigc_strength"], row["camera_evidence"]) == ("strong", True)


def test_padding_changes_nothing():
    """Parameters are found in front of, behind and between chunks of 10 MB."""
    big, small = text("Comment", "x" * 10_000_000), text("parameters", A1111)
    expected = measure(png(small))
    for chunks in ([big, small], [small, big], [big, big, small, big], [text("Comment", "x" * 300_000)] * 30 + [small]):
        assert measure(png(*chunks)) == expected
    graph = {**GRAPH, "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x" * 3_000_000}}}
    row = measure(png(text("prompt", dumps(graph))))
    assert (row["aigc_generator"], row["aigc_strength"]) == ("ComfyUI", "strong")


def test_evidence_in_the_evaluation_data(evaluation_data: Path):
    for folder in ("photos", "quality", "broken/exif_samples", "aigc/matched/real"):
        for path in sorted((evaluation_data / folder).iterdir()):
            found, _ = examine(path.read_bytes())
            assert {one.evidence.strength for one in found} <= {"camera"}, path
    for path in sorted((evaluation_data / "aigc/c2pa").iterdir()):
        row = measure(path.read_bytes())
        assert (row["aigc_strength"], row["aigc_generator"], row["aigc_model"]) == ("proof", "OpenAI", "gpt-image 2.0"), path
    for path in sorted((evaluation_data / "aigc/comfyui_metadata").iterdir()):
        with Image.open(path) as image:
            has_some = "prompt" in image.info
        row = measure(path.read_bytes())
        assert (row["aigc_generator"], row["aigc_strength"]) == (("ComfyUI", "strong") if has_some else (None, "none")), path
        assert bool(row["aigc_prompt"]) == has_some


# --- hostile files -------------------------------------------------------------------------------------------------


@functools.cache
def bomb(megabytes: int, start: bytes = b"") -> bytes:
    packer = zlib.compressobj(9)
    return packer.compress(start) + b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(megabytes)) + packer.flush()


def nested(kind: bytes, depth: int) -> bytes:
    """Boxes inside boxes; only their sizes are made, so that depth costs no time."""
    return b"".join(struct.pack(">I", 8 * (depth - i)) + kind for i in range(depth))


def looping_tiff(rng: random.Random) -> bytes:
    entries = [(34665, 4, 1, 8), (700, 7, 0xFFFFFFF0, 8), (270, 2, 1 << 20, 0), (272, 2, 4, 0), (33723, 7, rng.randrange(1 << 32), 9)]
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 0xFFFF) + b"".join(struct.pack("<HHII", *e) for e in entries)


def hostile(seed: int) -> tuple[bytes, bool]:
    """(file, whether it really holds A1111's parameters, which must still be found)."""
    rng = random.Random(seed)
    junk = rng.randbytes(rng.choice([3, 100, 5000]))
    kind, real = seed % 20, bool(seed // 20 % 2)
    mine = [text("parameters", A1111)] * real
    segments = [segment(0xE1, exif({}, user_comment(A1111)))] * real
    makers: list[Callable[[], bytes]] = [
        lambda: png(*mine, chunk(b"zTXt", b"Comment\0\0" + bomb(rng.choice([20, 60])))),
        lambda: png(
            chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb(rng.choice([20, 60]), b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>")), *mine
        ),
        lambda: png(chunk(b"tEXt", b"Comment\0" + b"A" * 10_000_000), *mine),
        lambda: png(*[chunk(b"zTXt", b"k%d\0\0" % i + bomb(2)) for i in range(rng.randrange(40, 90))], *mine),
        lambda: png(*mine, chunk(b"tEXt", b"workflow\0" + b'{"a":' * 100_000), chunk(b"tEXt", b"prompt\0" + b"[" * 1_000_000)),
        lambda: png(*mine, chunk(b"tEXt", b'workflow\0{"nodes":' + b"[[],{}," * 60_000)),
        lambda: png(*mine, chunk(b"tEXt", b'prompt\0{"1":' + b"9" * 400_000 + b"}")),
        lambda: png(*mine, chunk(b"tEXt", junk), chunk(b"iTXt", junk), chunk(b"zTXt", junk), chunk(b"eXIf", junk), chunk(b"caBX", junk)),
        lambda: png(*mine, chunk(b"caBX", nested(b"jumb", rng.randrange(10, 100_000)))),
        lambda: png(*mine, chunk(b"caBX", struct.pack(">I", 1) + b"jumb" + b"\xff" * 8 + junk)),
        lambda: png(
            *mine,
            chunk(
                b"iTXt",
                b"XML:com.adobe.xmp\0\0\0\0\0<!DOCTYPE a [<!ENTITY a 'aaaaaaaaaa'>"
                + b"".join(b"<!ENTITY b%d '%s'>" % (i, b"&a;" * 99) for i in range(9))
                + b"]><a>&b8;</a>",
            ),
        ),
        lambda: png(*mine, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"<a>" * rng.randrange(1000, 300_000))),
        lambda: png(*mine, chunk(b"eXIf", looping_tiff(rng) + junk)),
        lambda: png(*mine) + struct.pack(">I", 0xFFFFFFFF) + b"tEXt" + junk,
        lambda: png(*mine, *[chunk(b"tEXt", b"") for _ in range(rng.randrange(1, 15_000))]),
        lambda: jpeg(*segments, segment(0xE1, b"Exif\0\0" + looping_tiff(rng)), segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04" + junk)),
        lambda: jpeg(
            *segments, segment(0xEB, b"JP\0\1\0\0\0\1" + nested(b"jumb", 5000)), segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + junk)
        ),
        lambda: jpeg(
            *segments, *[segment(0xE1, exif({270: "\udcff".encode("utf-8", "surrogatepass") * 9, 305: junk})) for _ in range(300)]
        ),
        lambda: riff(*((b"EXIF", exif({}, user_comment(A1111))) for _ in mine), (b"EXIF", junk), (b"XMP ", junk), (b"C2PA", junk)) + junk,
        lambda: mp4(
            comment=A1111 * real, extra=[nested(rng.choice([b"moov", b"udta", b"meta", b"uuid"]), 60_000), b"\0\0\0\1uuid" + b"\xff" * 8]
        ),
    ]
    data = makers[kind]()
    return data, real


@pytest.mark.parametrize("part", range(10))
def test_hostile_metadata(part):
    """200 files: the right verdict, no exception, no error, bounded time."""
    for seed in range(part * 20, part * 20 + 20):
        data, real = hostile(seed)
        started = time.perf_counter()
        found, _ = examine(data)
        assert time.perf_counter() - started < 5, seed
        strong = {one.evidence.strength for one in found} & {"strong", "proof"}
        assert bool(strong) == real, (seed, found)


MEMORY = """
import resource, sys
from pathlib import Path
from operators.provenance import examine
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
files = sorted(Path(sys.argv[1]).iterdir())
for path in files[-1], max(files, key=lambda p: p.stat().st_size):  # packages loaded, the largest file read
    data = path.read_bytes()
examine(files[-1].read_bytes())
before = peak()
for path in files:
    data = None
    data = path.read_bytes()
    examine(data)
print((peak() - before) // 1024)
"""


def test_hostile_metadata_takes_little_memory(tmp_path: Path):
    """A process of its own: its peak grows by at most 64 MiB over all 200 files."""
    for seed in range(200):
        (tmp_path / f"{seed:03}").write_bytes(hostile(seed)[0])
    (tmp_path / "zz").write_bytes(signed())
    done = subprocess.run([sys.executable, "-c", MEMORY, str(tmp_path)], capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(done.stdout) <= 64


@pytest.mark.parametrize("seed", range(20))
def test_cut_and_flipped_files(seed):
    rng = random.Random(seed)
    for make in (
        lambda: signed("PNG"),
        lambda: signed("JPEG"),
        lambda: signed("WEBP"),
        WRITTEN["a1111 avif"][0],
        WRITTEN["comfyui mp4"][0],
    ):
        data = bytearray(make())
        for _ in range(rng.randrange(1, 30)):
            data[rng.randrange(12, min(len(data), 20_000))] = rng.randrange(256)
        examine(bytes(data))
        examine(bytes(data[: rng.randrange(12, len(data))]))


def test_what_is_no_picture():
    for data in (b"", b"not a picture", b"%PDF-1.7"):
        with pytest.raises(MediaError):
            examine(data)
    assert examine(encode(picture(9, 7), "BMP")) == ([], None)
