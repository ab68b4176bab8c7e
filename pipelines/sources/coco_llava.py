"""Annotation files: COCO (``images`` and ``annotations`` in one JSON object) and LLaVA (a JSON list of pictures with conversations).

COCO: https://cocodataset.org/#format-data. LLaVA: https://github.com/haotian-liu/LLaVA/blob/main/docs/Finetune_Custom_Data.md.
A list of ``{"image": ..., "caption": ...}`` is read as LLaVA too. The whole JSON is held in memory.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from manifests.errors import SourceError
from pipelines.sources.paths import MEDIA_COLUMNS, locate, single
from pipelines.sources.rows import Row, conversation_captions, error_row, parse_json, printable, sample_row, take_captions
from pipelines.sources.spec import SourceSpec, source_files, source_name

PROBED = 20

Id = str | int | None


def list_annotations(spec: SourceSpec) -> Iterator[Row]:
    """Samples of all annotation files; whether one is COCO or LLaVA is seen from its content."""
    source = source_name(spec)
    for path in source_files(spec, (".json",)):
        try:
            with open(path, "rb") as file:
                content = parse_json(file.read())
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}. Check the path and its permissions.") from error
        except ValueError as error:
            raise SourceError(f"{path} is not valid JSON: {error}. Check the file.") from error
        if isinstance(content, dict) and isinstance(content.get("images"), list):
            yield from _coco(spec, source, path, content)
        elif isinstance(content, list):
            yield from _llava(spec, source, path, content)
        else:
            raise SourceError(f"{path} is neither COCO (an object with a list of images) nor LLaVA (a list of samples). Check the file.")


def _coco(spec: SourceSpec, source: str, path: str, content: dict[str, Any]) -> Iterator[Row]:
    images = [image for image in content["images"] if isinstance(image, dict)]
    column = _media_column(spec, path, images, ("file_name",))
    root = _media_root(spec, path, (image.get(column) for image in images))
    listing = _Listing(source, path, root, column, spec.key_column or column, confine=True)
    licenses = {_id(item.get("id")): item for item in _dicts(content.get("licenses"))}
    categories = {_id(item.get("id")): item.get("name") for item in _dicts(content.get("categories"))}
    captions: dict[Id, list[str]] = {}
    labels: dict[Id, dict[str, None]] = {}  # a dict keeps the order
    for annotation in _dicts(content.get("annotations")):
        image_id = _id(annotation.get("image_id"))
        if isinstance(annotation.get("caption"), str):
            captions.setdefault(image_id, []).append(annotation["caption"])
        if name := categories.get(_id(annotation.get("category_id"))):
            labels.setdefault(image_id, {})[str(name)] = None
    seen: set[Id] = set()
    for number, image in enumerate(images):
        record, image_id = dict(image), _id(image.get("id"))
        seen.add(image_id)
        if said := licenses.get(_id(record.get("license"))):
            record |= {"license": said.get("name") or said.get("url"), "license_url": said.get("url")}
        if image_id in labels:
            record["categories"] = list(labels[image_id])
        yield listing.sample(record, number, captions.get(image_id, []))
    if lost := len((captions.keys() | labels.keys()) - seen):
        error = f"{lost} pictures have annotations in {os.path.basename(path)}, but are not in its list of images."
        yield error_row(source, os.path.basename(path), path, error)
    if lost := len(content["images"]) - len(images):
        yield error_row(source, os.path.basename(path), path, f"{lost} entries of the list of images are no objects.")


def _llava(spec: SourceSpec, source: str, path: str, content: list[Any]) -> Iterator[Row]:
    column = _media_column(spec, path, content, MEDIA_COLUMNS)
    root = _media_root(spec, path, (item.get(column) for item in content if isinstance(item, dict)))
    listing = _Listing(source, path, root, column, spec.key_column or "id", confine=spec.media_root is not None)
    for number, item in enumerate(content):
        if not isinstance(item, dict):
            yield error_row(source, f"{os.path.basename(path)}#{number}", path, "This entry is no object.")
            continue
        record = dict(item)
        captions = take_captions(record, spec.caption_column) or conversation_captions(record)
        yield listing.sample(record, number, captions)


@dataclass(frozen=True)
class _Listing:
    """One file of annotations. ``column`` has a picture's path, from ``root``; ``confine``: none may lead outside of that."""

    source: str
    file: str
    root: str
    column: str
    key_column: str
    confine: bool

    def sample(self, record: dict[str, Any], number: int, captions: list[str]) -> Row:
        """The sample of an entry, the ``number``-th, whose captions were found."""
        key = record.get(self.key_column)
        try:
            text = single(record.get(self.column))
            place = locate(self.root, text, self.confine)
            del record[self.column]
        except ValueError as error:
            text = f"{os.path.basename(self.file)}#{number}"
            place = {"uri": self.file, "stamp": "", "modality": "image", "error": str(error)}
        row: Row = {"source": self.source, "key": printable(str(key) if isinstance(key, str | int) and str(key) else text), **place}
        return sample_row(row, record, captions, {})


def _media_column(spec: SourceSpec, path: str, entries: list[Any], usual: tuple[str, ...]) -> str:
    """The key of the entries that names a picture: the one the source names, else the first usual one that occurs."""
    if not entries:
        raise SourceError(f"{path} has an empty list of images. Check the file.")
    present = {name for entry in entries if isinstance(entry, dict) for name in entry}
    for name in (spec.media_column,) if spec.media_column else usual:
        if name in present:
            return name
    names = ", ".join(sorted(map(str, present))[:20]) or "no keys"
    wanted = spec.media_column or usual[0]
    raise SourceError(f"{path}: none of its {len(entries):,} entries has {wanted!r}. They have {names}; name one with media_column.")


def _media_root(spec: SourceSpec, path: str, names: Iterable[Any]) -> str:
    """The folder the pictures are in: ``media_root``, or the first usual place beside the file where one of them is."""
    if spec.media_root:
        if not os.path.isdir(spec.media_root):
            raise SourceError(f"media_root {spec.media_root} is not a folder. Relative paths start from {os.getcwd()}.")
        return os.path.abspath(spec.media_root)
    folder = os.path.dirname(path)
    split = os.path.splitext(os.path.basename(path))[0].rpartition("_")[2]  # captions_val2017.json -> val2017
    bases = (folder, os.path.dirname(folder))
    candidates = [os.path.join(base, *sub) for base in bases for sub in ((), ("images",), (split,), ("images", split))]
    probes = []
    for name in names:
        try:
            probes.append(single(name))
        except ValueError:
            continue
        if len(probes) == PROBED:
            break
    for candidate in candidates:
        if any("\0" not in name and os.path.isfile(os.path.join(candidate, name)) for name in probes):
            return candidate
    places = ", ".join(dict.fromkeys(os.path.relpath(candidate, folder) for candidate in candidates))
    raise SourceError(f"{path}: its pictures are not beside it (looked in {places}). Give their folder as media_root.")


def _id(value: Any) -> Id:
    return value if isinstance(value, str | int) else None


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())
