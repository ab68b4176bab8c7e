"""WebDataset tars, plain or gzip: members that stand next to each other and share a key are one sample.

The key is the member's name up to the first dot of its last part, with the folder (the rule of the ``webdataset`` package).
The bytes stay in the archive: a sample names their offset (in a gzip tar, the offset in the decompressed stream).
"""

import gzip
import os
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from manifests.errors import SourceError
from pipelines.reader import is_gzip
from pipelines.sources.rows import TEXT_LIMIT, Row, decode, error_row, printable, read_json, sample_row, stamp_of, take_captions
from pipelines.sources.spec import IMAGE_EXTENSIONS, TAR_ENDINGS, VIDEO_EXTENSIONS, SourceSpec, source_files, source_name
from pipelines.sources.tar import DamageError, GzipStream, Member, PlainStream, Stream, walk

CAPTION_EXTENSIONS = ("txt", "text", "caption", "cap")
MEDIA_EXTENSIONS = (*VIDEO_EXTENSIONS, *IMAGE_EXTENSIONS)
TEXT_EXTENSIONS = (*CAPTION_EXTENSIONS, "json", "cls")

DOWNLOAD = "download"
"""Where a sample's JSON says how its URL was fetched (`pipelines.download`); a sample without a picture says there why."""

Part = tuple[Member, bytes | None]
"""A member of a sample and its content, if that is small text. A sample maps extensions (all behind the first dot) to parts."""


def list_webdataset(spec: SourceSpec) -> Iterator[Row]:
    """Samples of all archives, archive after archive. A broken archive gives what is readable and one row that says what is wrong."""
    source, rows = source_name(spec), 0
    for path in source_files(spec, TAR_ENDINGS):
        for row in _list_archive(source, path, spec):
            rows += 1
            yield row
    if not rows:
        raise SourceError(f"{spec.path} holds no sample: its archives are empty. Check the path.")


def _list_archive(source: str, path: str, spec: SourceSpec) -> Iterator[Row]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}. Check the path and its permissions.") from error
    try:
        stamp, size = stamp_of(os.fstat(fd)), os.fstat(fd).st_size
        common: Row = {"source": source, "uri": printable(path), "stamp": stamp, "modality": "image"}
        if is_gzip(os.pread(fd, 3, 0)):
            with open(fd, "rb", closefd=False) as raw, gzip.GzipFile(fileobj=raw) as file:
                yield from _list_members(common, GzipStream(file), None, spec)
        else:
            yield from _list_members(common, PlainStream(fd), size, spec)
    except DamageError as error:
        text = f"The archive {os.path.basename(path)} {error}. What could be read before that is listed; fetch or write it again."
        yield error_row(source, os.path.basename(path), path, text, stamp)
    except OSError as error:
        yield error_row(source, os.path.basename(path), path, f"The archive {os.path.basename(path)} cannot be read: {error}", stamp)
    finally:
        os.close(fd)


def _list_members(common: Row, stream: Stream, size: int | None, spec: SourceSpec) -> Iterator[Row]:
    group: dict[str, Part] = {}
    current, text_read = "", 0
    damage: DamageError | None = None
    members = walk(stream, size)
    while True:
        try:
            member = next(members, None)
        except DamageError as error:
            member, damage = None, error
        if member is None:
            break
        if wrong := member.odd or _unsafe(member.name):
            error_text = f"The archive member {printable(member.name)!r} is {wrong}; it was not followed or read."
            yield error_row(common["source"], member.name, common["uri"], error_text, common["stamp"])
            continue
        key, extension = split_name(member.name)
        if not extension:
            continue  # no extension, or a hidden file: not part of a sample, as in the webdataset package
        if key != current or extension in group:  # the same name again begins another sample of that key
            yield from _samples(common, current, group, spec)
            group, current, text_read = {}, key, 0
        text = None
        if last_extension(extension) in TEXT_EXTENSIONS and text_read + member.size <= TEXT_LIMIT:
            text = stream.read_at(member.offset, member.size)
            text_read += member.size
        group[extension] = (member, text)
    yield from _samples(common, current, group, spec)
    if damage:
        raise damage


def split_name(name: str) -> tuple[str, str]:
    """Key and extension of a member; the extension is empty when the member belongs to no sample."""
    folder, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return (f"{folder}{slash}{stem}", extension) if stem else (name, "")


@lru_cache(1024)
def last_extension(extension: str) -> str:
    """``V1.JPG`` -> jpg."""
    return extension.rpartition(".")[2].lower()


def _unsafe(name: str) -> str | None:
    if name.startswith("/"):
        return "an absolute path"
    if ".." in name and ".." in name.split("/"):
        return "a path that leaves the archive"
    return None


def _samples(common: Row, key: str, group: dict[str, Part], spec: SourceSpec) -> Iterator[Row]:
    """The sample of a group. Images with different dotted prefixes (``a.v1.jpg``, ``a.v2.jpg``) are samples of their own."""
    if not group:
        return
    images = [extension for extension in group if last_extension(extension) in VIDEO_EXTENSIONS]
    if images:  # pictures beside a video are frames or posters of it
        yield {**_sample(common, key, group, images, spec), "modality": "video"}
        return
    images = [extension for extension in group if last_extension(extension) in IMAGE_EXTENSIONS]
    if not images:
        first = next(iter(group.values()))[0]
        members = ", ".join(f".{printable(extension)}" for extension in list(group)[:8])
        error = (
            f"This sample has no picture, only {members}. The members of a sample must stand next to each other in the archive;"
            " tar --sort=name writes it so."
        )
        row = _sample(common, key, group, [], spec)
        yield {"error": error, **row, "byte_offset": first.offset, "byte_length": 0}
        return
    prefixes = dict.fromkeys(extension.rpartition(".")[0] for extension in images)
    if len(prefixes) == 1:
        yield _sample(common, key, group, images, spec)
        return
    shared = {ext: part for ext, part in group.items() if not any(prefix and ext.startswith(f"{prefix}.") for prefix in prefixes)}
    for prefix in prefixes:
        own = {ext: part for ext, part in group.items() if ext.startswith(f"{prefix}.")} if prefix else shared
        mine = [extension for extension in images if extension.rpartition(".")[0] == prefix]
        if prefix and not any(last_extension(ext) in TEXT_EXTENSIONS for ext in own):
            own |= {ext: part for ext, part in shared.items() if last_extension(ext) in TEXT_EXTENSIONS}
        yield _sample(common, f"{key}.{prefix}" if prefix else key, own, mine, spec)


def _sample(common: Row, key: str, group: dict[str, Part], images: list[str], spec: SourceSpec) -> Row:
    if len(images) > 1:
        images = sorted(images, key=lambda extension: MEDIA_EXTENSIONS.index(last_extension(extension)))
    record: dict[str, Any] = {}
    notes: dict[str, Any] = {}
    captions: list[str] = []
    for extension, (member, text) in sorted(group.items(), key=lambda item: (len(item[0]), item[0])):  # txt, 1.txt, 2.txt, 10.txt
        kind = last_extension(extension)
        if text is None:
            if extension not in images[:1]:
                what = "other_images" if extension in images else "not_read" if kind in TEXT_EXTENSIONS else "other_members"
                notes.setdefault(what, []).append(printable(member.name))
        elif kind == "json":
            captions += read_json(text, record, notes)
        else:
            decoded, note = decode(text)
            if note:
                notes["caption_encoding"] = note
            if kind == "cls":
                record.setdefault("cls", decoded)
            else:
                captions.append(decoded)
    from_record = take_captions(record, spec.caption_column)
    captions = from_record + captions if spec.caption_column else captions + from_record
    key = _own_key(record, spec.key_column) or key
    stored = printable(key)
    if stored != key:
        notes["key_encoding"] = "not UTF-8: undecodable bytes are written as \\xff"
    row: Row = {**common, "key": stored}
    if images:
        image = group[images[0]][0]
        row |= {"byte_offset": image.offset, "byte_length": image.size}
    elif isinstance(facts := record.get(DOWNLOAD), dict) and facts.get("error"):
        row["error"] = f"Not downloaded ({facts['error']}): {facts.get('message')}."
    return sample_row(row, record, captions, notes)


def _own_key(record: dict[str, Any], column: str | None) -> str | None:
    """The key that a sample's JSON gives under the named column; it then leaves the metadata."""
    if column is None or not isinstance(value := record.get(column), str | int) or not str(value):
        return None
    return str(record.pop(column))
