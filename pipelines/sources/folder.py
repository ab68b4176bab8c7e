"""A folder of pictures, read recursively, with captions and metadata in files of the same name (``cat.jpg``, ``cat.txt``, ``cat.json``)."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from manifests.address import CATALOG
from manifests.errors import SourceError
from pipelines.sources.rows import TEXT_LIMIT, Row, decode, error_row, printable, read_json, sample_row, stamp_of, take_captions
from pipelines.sources.spec import IMAGE_EXTENSIONS, VIDEO_EXTENSIONS, SourceSpec, refuse_url, source_name

SIDECARS = (".txt", ".json")
OTHER_SOURCES = tuple(f".{e}" for e in ("csv", "tsv", "jsonl", "parquet", "tar", "tgz", *VIDEO_EXTENSIONS))


@dataclass(frozen=True)
class Medium:
    """What a folder is searched for."""

    modality: str
    word: str
    extensions: tuple[str, ...]


@dataclass(frozen=True)
class Search:
    """What is looked for in a folder. Links may lead below ``real_root``; ``ignored`` counts the files left out, by extension."""

    source: str
    real_root: str
    medium: Medium
    caption_column: str | None
    ignored: Counter[str] = field(default_factory=Counter)

    def inside(self, path: str) -> bool:
        """Whether a file, or what a link leads to, is in the folder."""
        real = os.path.realpath(path)
        return real == self.real_root or real.startswith(os.path.join(self.real_root, ""))


IMAGES = Medium("image", "picture", IMAGE_EXTENSIONS)
VIDEOS = Medium("video", "video", VIDEO_EXTENSIONS)


def list_folder(spec: SourceSpec, medium: Medium = IMAGES, say: Callable[[str], None] = lambda text: None) -> Iterator[Row]:
    """Every file with a picture's (or a video's) extension is a sample, whatever is in it.

    Order: a folder's files by name, then its subfolders by name. Hidden files are skipped, and so are lakes; a link is followed only to a
    file inside the folder. ``say`` is told at the end what was left out. Memory: the names of one folder.
    """
    refuse_url(spec.path)
    root = os.path.abspath(spec.path)
    if not os.path.isdir(root):
        what = "is not a folder" if os.path.exists(root) else "does not exist"
        raise SourceError(f"{spec.path} {what}. Check the path; relative paths start from {os.getcwd()}.")
    source = source_name(spec)
    search = Search(source, os.path.realpath(root), medium, spec.caption_column)
    rows, folders = 0, [root]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                listed = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
        except OSError as error:
            if folder == root:
                raise SourceError(f"{root} cannot be listed: {error.strerror}. Check its permissions.") from error
            rows += 1
            yield error_row(source, os.path.relpath(folder, root), folder, f"This folder cannot be listed: {error.strerror}")
            continue
        if folder != root and any(entry.name == CATALOG for entry in listed):
            say(f"{source}: {os.path.relpath(folder, root)} is a lake and was not searched.")
            continue
        folders += [entry.path for entry in reversed(listed) if entry.is_dir(follow_symlinks=False)]
        for row in list_files(search, os.path.relpath(folder, root), listed):
            rows += 1
            yield row
    seen = ", ".join(f"{count} {extension or 'without extension'}" for extension, count in search.ignored.most_common(8))
    if not rows:
        word = medium.word
        raise SourceError(
            f"{root} holds no {word}{f' (it has {seen})' if seen else ''}. {word.capitalize()}s end in {', '.join(medium.extensions)}."
        )
    if seen:
        others = (
            " Tables, tars and other media are sources of their own." if any(ending in OTHER_SOURCES for ending in search.ignored) else ""
        )
        say(f"{source}: left out {seen}, for they are neither {medium.word}s nor their captions.{others}")


def list_files(search: Search, folder: str, entries: list[os.DirEntry[str]]) -> Iterator[Row]:
    """Samples of one folder, whose files are ``entries``; keys begin with ``folder``, its path below the root."""
    sidecars: dict[str, list[os.DirEntry[str]]] = {}
    media: list[tuple[str, os.DirEntry[str]]] = []
    stems: Counter[str] = Counter()
    for entry in entries:
        stem, extension = os.path.splitext(entry.name)
        lower = extension.lower()
        if lower[1:] in search.medium.extensions and not entry.is_dir():
            media.append((stem, entry))
            stems[stem] += 1
        elif lower in SIDECARS:
            sidecars.setdefault(stem, []).append(entry)
        elif entry.is_symlink() and entry.is_dir():
            if not search.inside(entry.path):  # a link to a folder inside shows nothing new
                key = os.path.normpath(os.path.join(folder, entry.name))
                error = "A link to a folder outside is not followed: add the folder as a source of its own."
                yield error_row(search.source, key, entry.path, error)
        elif not entry.is_dir():
            search.ignored[lower] += 1
    named = {*stems, *(entry.name for _, entry in media)}
    for stem, orphans in sidecars.items():
        if stem not in named:
            search.ignored.update(os.path.splitext(entry.name)[1].lower() for entry in orphans)
    for stem, entry in media:
        name = entry.name if stems[stem] > 1 else stem
        key = name if folder == os.curdir else f"{folder}{os.sep}{name}"
        near = sidecars.get(stem, []) + sidecars.get(entry.name, [])
        yield _sample(search, key, entry, near)


def _sample(search: Search, key: str, entry: os.DirEntry[str], sidecars: list[os.DirEntry[str]]) -> Row:
    source, stored = search.source, printable(entry.path)
    if stored != entry.path:
        return error_row(source, key, entry.path, "The file's name is not valid UTF-8. Rename the file.")
    if entry.is_symlink() and not search.inside(entry.path):
        return error_row(source, key, entry.path, "A link that leads outside the folder is not followed.")
    try:
        stat = entry.stat()
    except OSError as error:
        return error_row(source, key, entry.path, f"The file cannot be read: {error.strerror}")
    if not entry.is_file():
        return error_row(source, key, entry.path, "This is a device or a pipe, not a file.")
    row: Row = {"source": source, "key": key, "uri": stored, "byte_length": stat.st_size, "stamp": stamp_of(stat)}
    row["modality"] = search.medium.modality
    if not sidecars:
        return row
    record: dict[str, Any] = {}
    notes: dict[str, Any] = {}
    captions: list[str] = []
    for sidecar in sidecars:
        data = _read_sidecar(search, sidecar)
        if data is None:
            notes.setdefault("not_read", []).append(printable(sidecar.name))
        elif sidecar.name.lower().endswith(".json"):
            captions += read_json(data, record, notes)
        else:
            text, note = decode(data)
            captions.append(text)
            if note:
                notes["caption_encoding"] = note
    from_record = take_captions(record, search.caption_column)
    return sample_row(row, record, from_record + captions if search.caption_column else captions + from_record, notes)


def _read_sidecar(search: Search, entry: os.DirEntry[str]) -> bytes | None:
    try:
        if not entry.is_file() or entry.stat().st_size > TEXT_LIMIT or (entry.is_symlink() and not search.inside(entry.path)):
            return None
        with open(entry.path, "rb") as file:
            return file.read(TEXT_LIMIT + 1)
    except OSError:
        return None
