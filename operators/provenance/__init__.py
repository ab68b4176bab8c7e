"""Where a picture comes from, as its file says: evidence for a generator, and for a camera. One container format a file."""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar

import pyarrow as pa

from manifests.errors import MediaError
from operators.base import BatchFn, RawBytes, Reads, Row, Scope, field, per_row
from operators.provenance import content_credentials, exif, generators, gif, iptc, isobmff, jpeg, png, riff, tiff, xmp
from operators.provenance.digital_source import source
from operators.provenance.evidence import STRENGTHS, Evidence, Found
from operators.provenance.pieces import LATER, MAX_PIECES, MAX_TOTAL, Piece, Place, Text, decode, first, short

BYTES = RawBytes()
MAX_EVIDENCE, MAX_PROMPT = 40, 20_000

EVIDENCE = pa.list_(
    pa.struct(
        [
            pa.field("kind", pa.string()),
            pa.field("location", pa.string()),
            pa.field("value", pa.string()),
            pa.field("strength", pa.string()),
        ]
    )
)

_PARAMETER_KEYS = {
    *("parameters", "prompt", "workflow", "comment", "Comment", "UserComment", "postprocessing", "Dream", "sd-metadata", "AIGC"),
    *("invokeai_metadata", "invokeai_graph", "invokeai_workflow"),
}
_SOFTWARE_KEYS = {"Software", "software", "CreatorTool", "Credit", "AISystemUsed", "generator", "Generator"}


@dataclass(frozen=True)
class Provenance:
    """Evidence in a file's metadata that a generator made the picture, or a camera: C2PA, IPTC, generators' own texts, EXIF.

    `aigc_evidence` says what stands where. `strength` is `proof` (a C2PA manifest that says so, signature and hashes hold),
    `strong` (a field made for it says so: IPTC's digital source type, a generator's parameters in its own place, its name as
    Software, a C2PA manifest of a picture that was altered since), `weak` (parameters inside a caption, AI enhancers, parts of a collage,
    a ComfyUI graph that makes no picture) or `camera` (make and model with exposure, lens or maker note; a signed capture), which speaks
    for a camera and is easily forged.

    No evidence means nothing: most sites strip metadata. Only the container's own metadata counts, and texts in the lowest bits of a PNG
    under a generator's signature; never what a picture shows, what stands behind the end of the file, or a caption that merely mentions a
    generator. See docs/aigc.md.
    """

    name, version = "provenance", "2"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(BYTES,))
    adds = pa.schema(
        [
            field("aigc_evidence", EVIDENCE, "what the file says about its origin, strongest first", "kind, location, value, strength"),
            field("aigc_strength", pa.string(), "strongest evidence for a generator: proof, strong, weak or none", "name"),
            field("camera_evidence", pa.bool_(), "something speaks for a camera; forgeable"),
            field("aigc_generator", pa.string(), "the generator it names"),
            field("aigc_model", pa.string(), "the model it names"),
            field("aigc_prompt", pa.string(), "the prompt, as the file has it; a candidate for a caption"),
            field("aigc_seed", pa.int64(), "the seed; null where larger than 63 bits"),
            field("c2pa_state", pa.string(), "of the C2PA manifest: intact, altered or unreadable; null: none"),
        ]
    )

    def open(self) -> BatchFn:
        content_credentials.load()
        return per_row(self.adds, lambda row: measure(row))


def measure(row: Row) -> dict[str, Any]:
    return told(*examine(row.view(BYTES)))


def told(found: Iterable[Found], state: str | None) -> dict[str, Any]:
    """The columns of `Provenance`, of all that was found and the state of the C2PA manifest."""
    ranked = sorted(found, key=lambda one: [*STRENGTHS, "camera"].index(one.evidence.strength))
    for_generator = [one for one in ranked if one.evidence.strength != "camera"]
    seed = next((one.seed for one in for_generator if one.seed is not None), None)
    prompt = first(one.prompt for one in for_generator)
    return {
        "aigc_evidence": list({tuple(e.items()): e for e in (one.evidence.as_dict() for one in ranked)}.values())[:MAX_EVIDENCE],
        "aigc_strength": for_generator[0].evidence.strength if for_generator else "none",
        "camera_evidence": any(one.evidence.strength == "camera" for one in ranked),
        "aigc_generator": _named(one.generator for one in for_generator),
        "aigc_model": _named(one.model for one in for_generator),
        "aigc_prompt": prompt.encode("utf-8", "replace").decode()[:MAX_PROMPT] if prompt else None,
        "aigc_seed": seed if seed is not None and abs(seed) < 1 << 63 else None,
        "c2pa_state": state,
    }


def _named(values: Iterator[str | None]) -> str | None:
    value = first(values)
    return short(value) or None if value else None


def walker(data: bytes) -> Callable[[bytes], Iterator[Piece]]:
    """The walker for a file. Raises `MediaError` for what is no container of pictures or video that this reads."""
    if data.startswith(b"\xff\xd8\xff"):
        return jpeg.walk
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return png.walk
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return riff.walk
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return tiff.walk
    if data[4:8] == b"ftyp":
        return isobmff.walk
    if data.startswith((b"GIF87a", b"GIF89a")):
        return gif.walk
    from operators.containers import sniff

    sniff(data)  # says what else it is
    return lambda _: iter(())  # a picture of a format that holds no such metadata


def examine(data: bytes) -> tuple[list[Found], str | None]:
    """(all that was found, state of the C2PA manifest). Raises `MediaError`."""
    if not data:
        raise MediaError("the file is empty (0 bytes)")
    return judged(walker(data)(data), lambda: io.BytesIO(data), data)


def judged(pieces: Iterable[Piece], opened: Callable[[], BinaryIO], whole: bytes = b"") -> tuple[list[Found], str | None]:
    """(all that was found in ``pieces``, state of the C2PA manifest). ``opened``: the file; ``whole``: its bytes, if a piece may be all of
    them."""
    found: list[Found] = []
    texts: list[Text] = []
    state, left = None, MAX_TOTAL
    for count, piece in enumerate(pieces):
        if count == MAX_PIECES:
            break
        if piece.kind != "c2pa" and piece.data is not whole:
            piece = piece if len(piece.data) <= left else piece._replace(data=piece.data[:LATER])
            left -= len(piece.data)
        if piece.kind == "c2pa" and state is None:
            signed = content_credentials.read(opened, piece)
            found, state = [*found, *signed.found], signed.state
        elif piece.kind == "exif":
            tags = tiff.read_tags(piece.data)
            if tags is not None:
                texts += exif.texts(tags, piece.where)
                found += [camera] if (camera := exif.camera(tags, piece.where)) else []
        elif piece.kind in ("xmp", "iptc"):
            values = xmp.read(piece.data) if piece.kind == "xmp" else iptc.read(piece.data)
            found += _properties(values, piece.where)
            texts += [Text(_place(key), f"{piece.where} {key}", key, value) for key, value in values.items()]
        elif piece.kind == "text":
            texts.append(Text(_place(piece.key), piece.where, piece.key, decode(piece.data)))
    return [*found, *generators.recognise(texts)], state


def _place(key: str) -> Place:
    return "software" if key in _SOFTWARE_KEYS else "parameters" if key in _PARAMETER_KEYS else "caption"


def _properties(values: dict[str, str], where: str) -> Iterator[Found]:
    """Digital source type, IPTC's properties for generators, and a camera, of XMP."""
    kind = source(values.get("DigitalSourceType"))
    prompt, system = values.get("AIPromptInformation"), values.get("AISystemUsed")
    version = values.get("AISystemVersionUsed")
    if kind is not None:
        named = Found(Evidence("digital_source_type", f"{where} DigitalSourceType", kind.name, kind.strength))
        yield named if kind.strength == "camera" else Found(named.evidence, system, version, prompt)
    if system:
        yield Found(Evidence("software", f"{where} AISystemUsed", system, "strong"), system, version, prompt)
    if values.get("Make") and values.get("Model") and values.get("ExposureTime"):
        yield Found(Evidence("camera", where, short(f"{values['Make']} {values['Model']}: exposure"), "camera"))
