"""The few XMP properties that tell where a picture comes from, read by a real XML parser.

Only properties of the packet's own ``rdf:Description`` count: text that looks like one inside a caption is text. Document types
(and so entities) are refused, nesting and sizes are bounded.
Sources: XMP part 1; IPTC Photo Metadata Standard 2025.1 (DigitalSourceType, AI properties); GB 45438-2025 (TC260 AIGC label).
"""

from contextlib import suppress
from typing import Any
from xml.parsers import expat

from operators.provenance.pieces import MAX_PIECE

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
WANTED = {
    f"{_IPTC} DigitalSourceType": "DigitalSourceType",
    f"{_IPTC} DigitalSourcefileType": "DigitalSourceType",
    f"{_IPTC} AISystemUsed": "AISystemUsed",
    f"{_IPTC} AISystemVersionUsed": "AISystemVersionUsed",
    f"{_IPTC} AIPromptInformation": "AIPromptInformation",
    "http://ns.adobe.com/xap/1.0/ CreatorTool": "CreatorTool",
    "http://ns.adobe.com/photoshop/1.0/ Credit": "Credit",
    "http://purl.org/dc/elements/1.1/ description": "description",
    "http://ns.adobe.com/exif/1.0/ UserComment": "UserComment",
    "http://ns.adobe.com/tiff/1.0/ Make": "Make",
    "http://ns.adobe.com/tiff/1.0/ Model": "Model",
    "http://ns.adobe.com/tiff/1.0/ Software": "Software",
    "http://ns.adobe.com/tiff/1.0/ ImageDescription": "description",
    "http://ns.adobe.com/exif/1.0/ ExposureTime": "ExposureTime",
}
_TC260 = "http://www.tc260.org.cn/ns/AIGC/"
MAX_DEPTH, MAX_TEXT = 64, 1 << 19


class _Stop(Exception):
    """Enough seen, or something that no packet has."""


def read(packet: bytes) -> dict[str, str]:
    """Property -> text; the first value of a list. What stands before an error counts."""
    found: dict[str, str] = {}
    path: list[str] = []
    text: list[str] = []
    depth, size = 0, 0  # where the property being read began; characters of it

    def known(name: str) -> str:
        return "AIGC" if name.startswith(_TC260) and name.endswith(" AIGC") else WANTED.get(name, "")

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, size
        if len(path) >= MAX_DEPTH:
            raise _Stop
        own = len(path) <= 3 and path[-1:] == [f"{RDF} RDF"] and name == f"{RDF} Description"
        inside = bool(depth) or (path[-1:] == [f"{RDF} Description"] and len(path) <= 3)
        path.append(name)
        if own:
            for attribute, value in attributes.items():
                if known(attribute):
                    found.setdefault(known(attribute), value[:MAX_TEXT])
        elif inside and not depth and known(name):
            depth, size = len(path), 0
            text.clear()
            if f"{RDF} resource" in attributes:
                text.append(attributes[f"{RDF} resource"])

    def end(name: str) -> None:
        nonlocal depth
        if depth and (len(path) == depth or name == f"{RDF} li"):
            value = "".join(text).strip()
            if value:
                found.setdefault(known(path[depth - 1]), value)
            if len(path) == depth:
                depth = 0
            text.clear()
        path.pop()

    def characters(data: str) -> None:
        nonlocal size
        if depth and size < MAX_TEXT:
            size += len(data)
            text.append(data)

    def refuse(*_: Any) -> None:
        raise _Stop

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    parser.StartDoctypeDeclHandler = refuse
    with suppress(_Stop, expat.ExpatError, ValueError, LookupError):
        parser.Parse(packet[:MAX_PIECE].rstrip(b"\0 \r\n"), False)
    return found
