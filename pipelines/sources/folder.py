"""A folder of pictures, read recursively, with captions and metadata in files of the same name (``cat.jpg``, ``cat.txt``, ``cat.json``)."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

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


IMAGES = Medium("image", "picture", IMAGE_EXTENSIONS)
VIDEOS = Medium("video", "video", VIDEO_EXTENSIONS)


def list_folder(spec: SourceSpec, medium: Medium = IMAGES, say: Callable[[str], None] = lambda text: None) -> Iterator[Row]:
    """Every file with a picture's (or a video's) extension is a sample, whatever is in it.

    Order: a folder's files by name, then its subfolders by name. Hidden files are skipped; a link is followed only to a
    file inside the folder. ``say`` is told at the end what was left out. Memory: the names of one folder.
    """
    refuse_url(spec.path)
    root = os.path.abspath(spec.path)
    if not os.path.isdir(root):
        what = "is not a folder" if os.path.exists(root) else "does not exist"
        raise SourceError(f"{spec.path} {what}. Check the path; relative paths start from {os.getcwd()}.")
    source, real_root = source_name(spec), os.path.realpath(root)
    ignored: Counter[str] = Counter()
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
        folders += [entry.path for entry in reversed(listed) if entry.is_dir(follow_symlinks=False)]
        for row in list_files(source, os.path.relpath(folder, root), real_root, listed, ignored, spec.caption_column, medium):
            rows += 1
            yield row
    seen = ", ".join(f"{count} {extension or 'without extension'}" for extension, count in ignored.most_common(8))
    if not rows:
        word = medium.word
        raise SourceError(
            f"{root} holds no {word}{f' (it has {seen})' if seen else ''}. {word.capitalize()}s end in {', '.join(medium.extensions)}."
        )
    if seen:
        others = " Tables, tars and other media are sources of their own." if any(ending in OTHER_SOURCES for ending in ignored) else ""
        say(f"{source}: left out {seen}, for they are neither {medium.word}s nor their captions.{others}")


def list_files(
    source: str,
    folder: str,
    real_root: str,
    entries: list[os.DirEntry[str]],
    ignored: Counter[str],
    caption_key: str | None,
    medium: Medium,
) -> Iterator[Row]:
    sidecars: dict[str, list[os.DirEntry[str]]] = {}
    media: list[tuple[str, os.DirEntry[str]]] = []
    stems: Counter[str] = Counter()
    for entry in entries:
        stem, extension = os.path.splitext(entry.name)
        lower = extension.lower()
        if lower[1:] in medium.extensions and not entry.is_dir():
            media.append((stem, entry))
            stems[stem] += 1
        elif lower in SIDECARS:
            sidecars.setdefault(stem, []).append(entry)
        elif entry.is_symlink() and entry.is_dir():
            if not _inside(real_root, entry.path):  # a link to a folder inside shows nothing new
                key = os.path.normpath(os.path.join(folder, entry.name))
                yield error_row(
                    source, key, entry.path, "A link to a folder outside is not followed: add the folder as a source of its own."
                )
        elif not entry.is_dir():
            ignored[lower] += 1
    named = {*stems, *(entry.name for _, entry in media)}
    for stem, orphans in sidecars.items():
        if stem not in named:
            ignored.update(os.path.splitext(entry.name)[1].lower() for entry in orphans)
    for stem, entry in media:
        name = entry.name if stems[stem] > 1 else stem
        key = name if folder == os.curdir else f"{folder}{os.sep}{name}"
        near = sidecars.get(stem, []) + sidecars.get(entry.name, [])
        yield _sample(source, real_root, key, entry, near, caption_key, medium.modality)


def _sample(
    source: str,
    real_root: str,
    key: str,
    entry: os.DirEntry[str],
    sidecars: list[os.DirEntry[str]],
    caption_key: str | None,
    modality: str,
) -> Row:
    stored = printable(entry.path)
    if stored != entry.path:
        return error_row(source, key, entry.path, "The file's name is not valid UTF-8. Rename the file.")
    if entry.is_symlink() and not _inside(real_root, entry.path):
        return error_row(source, key, entry.path, "A link that leads outside the folder is not followed.")
    try:
        stat = entry.stat()
    except OSError as error:
        return error_row(source, key, entry.path, f"The file cannot be read: {error.strerror}")
    if not entry.is_file():
        return error_row(source, key, entry.path, "This is a device or a pipe, not a file.")
    row: Row = {"source": source, "key": key, "uri": stored, "byte_length": stat.st_size, "stamp": stamp_of(stat), "modality": modality}
    if not sidecars:
        return row
    record: dict[str, Any] = {}
    notes: dict[str, Any] = {}
    captions: list[str] = []
    for sidecar in sidecars:
        data = _read_sidecar(real_root, sidecar)
        if data is None:
            notes.setdefault("not_read", []).append(printable(sidecar.name))
        elif sidecar.name.lower().endswith(".json"):
            captions += read_json(data, record, notes)
        else:
            text, note = decode(data)
            captions.append(text)
            if note:
                notes["caption_encoding"] = note
    from_record = take_captions(record, caption_key)
    return sample_row(row, record, from_record + captions if caption_key else captions + from_record, notes)


def _read_sidecar(real_root: str, entry: os.DirEntry[str]) -> bytes | None:
    try:
        if not entry.is_file() or entry.stat().st_size > TEXT_LIMIT or (entry.is_symlink() and not _inside(real_root, entry.path)):
            return None
        with open(entry.path, "rb") as file:
            return file.read(TEXT_LIMIT + 1)
    except OSError:
        return None


def _inside(real_root: str, path: str) -> bool:
    real = os.path.realpath(path)
    return real == real_root or real.startswith(os.path.join(real_root, ""))
