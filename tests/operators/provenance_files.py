"""Builds files that carry metadata as generators, cameras and attackers write it. Used by the tests of `operators.provenance`."""

import datetime
import functools
import io
import json
import struct
import zlib
from collections.abc import Iterable
from typing import Any

import c2pa
import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import ExifTags, Image

from operators.testing import encode, picture

A1111 = "a red fox, snow\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 965400086, Size: 512x512, Model: foxy"
GRAPH = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 5, "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "foxy.safetensors"}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red fox", "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
}
WORKFLOW = {"last_node_id": 9, "nodes": [{"id": 3, "type": "KSampler"}, {"id": 9, "type": "SaveImage"}], "links": []}
TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
JOB = "a red fox in snow --ar 16:9 --v 6.0 Job ID: 1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"


@functools.cache
def plain(format: str = "PNG") -> bytes:
    return encode(picture(64, 48), format)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes, after: bytes = b"", data: bytes = b"") -> bytes:
    """A PNG with ``chunks`` behind its header and ``after`` behind its end."""
    whole = data or plain()
    return whole[:33] + b"".join(chunks) + whole[33:] + after


def text(key: str, value: str, kind: str = "tEXt") -> bytes:
    name, body = key.encode("latin-1") + b"\0", value.encode("utf-8" if kind == "iTXt" else "latin-1", "replace")
    if kind == "zTXt":
        return chunk(b"zTXt", name + b"\0" + zlib.compress(body))
    return chunk(kind.encode(), name + (b"\0\0\0\0" if kind == "iTXt" else b"") + body)


def stealthy(body: bytes, signature: str = "stealth_pngcomp", bits: int = -1) -> bytes:
    """A PNG with ``body`` in the lowest bits of its pixels, column by column; ``bits``: the length it states."""
    head = signature.encode() + struct.pack(">I", len(body) * 8 if bits < 0 else bits)
    hidden = np.unpackbits(np.frombuffer(head + body, np.uint8))
    mode = "RGB" if "rgb" in signature else "RGBA"
    pixels = np.asarray(picture(90, 160).convert(mode)).transpose(1, 0, 2).copy()
    channels = pixels[:, :, :3] if mode == "RGB" else pixels[:, :, 3:]
    flat = channels.reshape(-1)
    flat[: len(hidden)] = flat[: len(hidden)] & 254 | hidden
    channels[:] = flat.reshape(channels.shape)
    return encode(Image.fromarray(pixels.transpose(1, 0, 2).copy()), "PNG")


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def jpeg(*segments: bytes, after: bytes = b"") -> bytes:
    whole = plain("JPEG")
    return whole[:2] + b"".join(segments) + whole[2:] + after


def exif(ifd0: dict[int, Any] | None = None, inner: dict[int, Any] | None = None) -> bytes:
    """An EXIF block from "Exif" on."""
    made = Image.Exif()
    made.update(ifd0 or {})
    made.get_ifd(ExifTags.IFD.Exif).update(inner or {})
    return made.tobytes()


def user_comment(value: str, charset: str = "UNICODE") -> dict[int, bytes]:
    body = value.encode("utf-16-be") if charset == "UNICODE" else value.encode()
    return {0x9286: charset.encode().ljust(8, b"\0") + body}


CAMERA = exif({271: "Canon", 272: "Canon EOS 40D", 305: "GIMP 2.10"}, {33434: 0.005, 33437: 7.1, 37500: b"maker" * 40, 42036: "EF 24-70"})


def xmp(**properties: str) -> bytes:
    names = {
        "DigitalSourceType": "Iptc4xmpExt", "AISystemUsed": "Iptc4xmpExt", "AIPromptInformation": "Iptc4xmpExt", "CreatorTool": "xmp",
        "Credit": "photoshop", "description": "dc", "UserComment": "exif", "AIGC": "TC260",
    }  # fmt: skip
    from xml.sax.saxutils import escape

    inside = "".join(f"<{names[k]}:{k}>{escape(v)}</{names[k]}:{k}>" for k, v in properties.items())
    spaces = (
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/"'
    )
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        f'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" {spaces}>{inside}'
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def xmp_jpeg(packet: bytes) -> bytes:
    return jpeg(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet))


def extended_xmp_jpeg(packet: bytes, size: int) -> bytes:
    """``packet`` in parts of ``size`` bytes, the last one first."""
    head, whole = b"http://ns.adobe.com/xmp/extension/\0" + b"F" * 32, len(packet)
    parts = [head + struct.pack(">II", whole, at) + packet[at : at + size] for at in range(0, whole, size)]
    return jpeg(*(segment(0xE1, part) for part in reversed(parts)))


def iptc_jpeg(sets: dict[int, str]) -> bytes:
    body = b"".join(b"\x1c\x02" + bytes([n]) + struct.pack(">H", len(v.encode())) + v.encode() for n, v in sets.items())
    resource = b"8BIM\x03\xed\0\0\0\0\0\x02ab" + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(body)) + body
    return jpeg(segment(0xED, b"Photoshop 3.0\0" + resource))


def riff(*chunks: tuple[bytes, bytes], after: bytes = b"") -> bytes:
    whole = plain("WEBP")
    body = whole[8:] + b"".join(k + struct.pack("<I", len(d)) + d + b"\0" * (len(d) % 2) for k, d in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body + after


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I", 8 + len(body)) + kind + body


def mp4(comment: str = "", tool: str = "", keys: dict[str, str] | None = None, extra: Iterable[bytes] = ()) -> bytes:
    """A video file's skeleton: user data with iTunes-style strings, or QuickTime's keys."""

    def value(body: str) -> bytes:
        return box(b"data", struct.pack(">II", 1, 0), body.encode())

    handler = box(b"hdlr", b"\0" * 8 + b"mdir" + b"\0" * 13)
    strings = b"".join(box(kind, value(body)) for kind, body in ((b"\xa9cmt", comment), (b"\xa9too", tool)) if body)
    user = box(b"udta", box(b"meta", b"\0" * 4, handler, box(b"ilst", strings)))
    named = b""
    if keys:
        names = b"".join(box(b"mdta", key.encode()) for key in keys)
        values = b"".join(box(struct.pack(">I", i + 1), value(body)) for i, body in enumerate(keys.values()))
        named = box(b"meta", handler, box(b"keys", struct.pack(">II", 0, len(keys)), names), box(b"ilst", values))
    moov = box(b"moov", box(b"mvhd", b"\0" * 100), named, user)
    return box(b"ftyp", b"isom\0\0\2\0isom") + box(b"free", b"x" * 32) + moov + b"".join(extra) + box(b"mdat", b"\0" * 64)


def tiff(exif_tags: dict[int, Any]) -> bytes:
    info = Image.Exif()
    info.update(exif_tags)
    return encode(picture(64, 48), "TIFF", exif=info)


@functools.cache
def signer() -> Any:
    """A signer with certificates made for this run."""
    start, keys = datetime.datetime(2024, 1, 1), [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, text), x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def certificate(subject: str, key: Any, ca: bool) -> bytes:
        made = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name("Test CA")).public_key(key.public_key())
        made = made.serial_number(7 + ca).not_valid_before(start).not_valid_after(start + datetime.timedelta(days=36500))
        made = made.add_extension(x509.BasicConstraints(ca, None), True)
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), False)
        made = made.add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), True)
        if not ca:
            made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        return made.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    chain = certificate("Test Signer", keys[1], False) + certificate("Test CA", keys[0], True)
    key = keys[1].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", chain, key, None))


def signed(
    format: str = "JPEG",
    action: str = "c2pa.created",
    kind: str = TRAINED,
    agent: str = "Adobe Firefly",
    parent: bytes = b"",
    film: bytes = b"",
) -> bytes:
    """A picture, or the MP4 ``film``, with a C2PA manifest; ``parent``: a signed file that another program opened and saved instead."""
    mime = "video/mp4" if film else f"image/{format.lower()}"
    said = {"action": action, "softwareAgent": agent} | ({"digitalSourceType": kind} if kind else {})
    manifest = {
        "claim_generator_info": [{"name": agent, "version": "1"}],
        "assertions": [] if parent else [{"label": "c2pa.actions", "data": {"actions": [said]}}],
    }
    out = io.BytesIO()
    with c2pa.Builder(manifest) as builder:
        if parent:
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
        builder.sign(signer(), mime, io.BytesIO(film or parent or plain(format)), out)
    return out.getvalue()


def dumps(value: Any) -> str:
    return json.dumps(value)
