"""croissant.json of an export: the data set described for machines, as JSON-LD in the Croissant format 1.0 of MLCommons.

https://docs.mlcommons.org/croissant/docs/croissant-spec.html. It names every shard with its SHA-256, and the picture, the caption and
the facts of a sample as fields. Nothing in it depends on the time it was written.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
TYPES = {"width": "sc:Integer", "height": "sc:Integer", "byte_length": "sc:Integer", "aesthetic": "sc:Float", "clip_score": "sc:Float"}


def croissant(index: Mapping[str, Any], breakdown: Sequence[Mapping[str, Any]], columns: Mapping[str, tuple[str, str]]) -> str:
    """JSON text. ``index``: the content of index.json; ``breakdown``: rows with license; ``columns``: name -> (text, unit)."""
    shards = [
        {
            "@type": "cr:FileObject",
            "@id": shard["name"],
            "name": shard["name"],
            "contentUrl": shard["name"],
            "contentSize": f"{shard['bytes']} B",
            "encodingFormat": "application/x-tar",
            "sha256": shard["sha256"],
        }
        for shard in index["shards"]
    ]
    inside = [{"@id": shard["name"]} for shard in index["shards"]]
    sets = [
        _files("media", inside, [f"*.{name}" for name in index["extensions"]], "image/*"),
        _files("captions", inside, ["*.txt"], "text/plain"),
        _files("facts", inside, ["*.json"], "application/json"),
    ]
    licences = sorted({str(row["license"]) for row in breakdown if row["license"]})
    # A set of files each: joins of files are in the format, but its own reader (mlcroissant 1.1) does not carry them out.
    beginning = _field(
        "pictures/sample_id", "The sample_id: names of files begin with it.", "sc:Text", "media", {"fileProperty": "filename"}
    )
    beginning["source"]["transform"] = {"regex": r"^(.*)\.[^.]+$"}
    pictures = [beginning, _field("pictures/content", "The picture.", "sc:ImageObject", "media", {"fileProperty": "content"})]
    facts = [
        _field(f"samples/{name}", _described(name, columns), TYPES.get(name, "sc:Text"), "facts", {"jsonPath": f"$.{name}"})
        for name in index["columns"]
    ]
    document = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"{index['recipe']}-{index['settings']['tier']}",
        "description": (
            f"{index['samples']:,} samples of tier {index['settings']['tier']}, chosen by the rules in README.md. "
            "Pictures, captions and licences are those of the sources."
        ),
        "license": licences or ["not stated"],
        "version": f"1.0.0+{index['plan'][:12]}",
        "isLiveDataset": False,
        "distribution": [*shards, *sets],
        "recordSet": [
            {"@type": "cr:RecordSet", "@id": "samples", "name": "samples", "key": {"@id": "samples/sample_id"}, "field": facts},
            {"@type": "cr:RecordSet", "@id": "pictures", "name": "pictures", "key": {"@id": "pictures/sample_id"}, "field": pictures},
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _files(name: str, inside: list[dict[str, str]], includes: list[str], encoding: str) -> dict[str, Any]:
    return {"@type": "cr:FileSet", "@id": name, "name": name, "containedIn": inside, "encodingFormat": encoding, "includes": includes}


def _field(place: str, text: str, kind: str, files: str, extract: dict[str, str]) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": place,
        "name": place.rpartition("/")[2],
        "description": text,
        "dataType": kind,
        "source": {"fileSet": {"@id": files}, "extract": extract},
    }


def _described(name: str, columns: Mapping[str, tuple[str, str]]) -> str:
    text, unit = columns.get(name, ("", ""))
    return f"{text} ({unit})" if unit else text
