"""What a recipe may say about a source, and the paths such a statement stands for."""

import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from braceexpand import braceexpand

from manifests.errors import SourceError
from pipelines.download.settings import DownloadSettings

Kind = Literal["folder", "webdataset", "parquet", "csv", "jsonl", "coco", "llava", "urls", "video"]

IMAGE_EXTENSIONS = (
    *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "avif", "heic", "heif", "gif", "tif", "tiff", "bmp", "jp2"),
    *("j2k", "jxl", "mpo", "ppm", "pgm", "pbm", "pnm", "qoi", "ico"),
)
"""File name endings that make a file an image, lower case; the order decides when a WebDataset sample has several.

A file that cannot be decoded (JPEG XL) says so; one that is not listed would be missed by nobody.
"""

VIDEO_EXTENSIONS = ("mp4", "mov", "mkv", "webm", "avi", "m4v", "mpg", "mpeg", "ts", "mts", "m2ts", "flv", "wmv", "3gp", "ogv", "mxf")

TAR_ENDINGS = (".tar", ".tar.gz", ".tgz")
COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".rar")


@dataclass(frozen=True)
class SourceSpec:
    """One source of samples.

    ``path``: a folder or file; globs (``*.tar``) and braces (``{00000..00099}.tar``) where a kind reads files.
    ``kind``: guessed from the path when not given. ``name``: by default the folder's or file's name.
    ``media_column``, ``caption_column``, ``key_column``: which table column (or JSON key) to use, where the usual names do not fit.
    ``media_root``: the folder that paths in tables and annotations start from; when given, no path may leave it.
    ``download``: how a list of URLs is fetched.
    """

    path: str
    kind: Kind | None = None
    name: str | None = None
    media_column: str | None = None
    caption_column: str | None = None
    key_column: str | None = None
    media_root: str | None = None
    download: DownloadSettings | None = None


def deciding(spec: SourceSpec) -> dict[str, Any]:
    """The settings that decide which samples a source has, for digests. How URLs are fetched is not among them."""
    return {name: value for name, value in vars(spec).items() if name != "download"}


def expand(path: str) -> list[str]:
    """The files a path with braces and globs stands for, absolute, in the order of braces and then of names.

    Raises `SourceError` for a URL, for unbalanced braces, and for every pattern that matches nothing.
    """
    refuse_url(path)
    if os.path.exists(path):  # a real file may have braces or brackets in its name
        return [os.path.abspath(path)]
    try:
        patterns = list(braceexpand(path))
    except ValueError as error:
        raise SourceError(f"{path}: the braces do not match. Write {{00000..00099}} or {{a,b}}.") from error
    found: list[str] = []
    for pattern in patterns:
        matches = [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern, recursive=True))
        if not matches:
            what = "does not exist" if pattern == path and not glob.has_magic(path) else f"matches no file ({pattern})"
            raise SourceError(f"{path} {what}. Check the path; relative paths start from {os.getcwd()}.")
        found += [os.path.abspath(match) for match in matches]
    return list(dict.fromkeys(found))


def refuse_url(path: str) -> None:
    """Remote paths are not read by this version."""
    if match := re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", path):
        raise SourceError(
            f"{path}: {match[1]}:// addresses cannot be listed. This version reads local paths; copy or mount the data first."
        )


def source_files(spec: SourceSpec, endings: tuple[str, ...]) -> list[str]:
    """The files of a source whose path is a file, a pattern, or a folder that directly holds such files."""
    files: list[str] = []
    for path in expand(spec.path):
        if not os.path.isdir(path):
            files.append(path)
            continue
        inside = sorted(entry for entry in listdir(path) if entry.lower().endswith(endings) and not entry.startswith("."))
        if not inside:
            raise SourceError(f"{path} has no file ending in {', '.join(endings)}. Give another folder, or another kind.")
        files += [os.path.join(path, entry) for entry in inside]
    return files


def listdir(path: str) -> list[str]:
    """Names in a folder; a `SourceError` when it cannot be listed."""
    try:
        return os.listdir(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be listed: {error.strerror}. Check the path and its permissions.") from error


def guess_kind(path: str) -> Kind:
    """The kind a path most likely is, from its name and, for folders and .json files, a glance inside."""
    refuse_url(path)
    first = expand(path)[0]
    if os.path.isdir(first):
        return _guess_folder(first)
    name = first.lower()
    if name.endswith(TAR_ENDINGS):
        return "webdataset"
    suffix = Path(name).suffix
    by_suffix: dict[str, Kind] = {
        ".parquet": "parquet",
        ".pq": "parquet",
        ".csv": "csv",
        ".tsv": "csv",
        ".jsonl": "jsonl",
        ".ndjson": "jsonl",
    }
    if suffix in by_suffix:
        return by_suffix[suffix]
    if suffix == ".json":
        return _guess_json(first)
    if suffix == ".txt":
        return _guess_text(first)
    if suffix[1:] in VIDEO_EXTENSIONS:
        return "video"
    if suffix[1:] in IMAGE_EXTENSIONS:
        raise SourceError(f"{path} is a single picture. Give the folder that holds it.")
    if ".tar." in name:  # listing says how it is compressed
        return "webdataset"
    if suffix in COMPRESSED:
        raise SourceError(f"{path} is compressed, and of such files only .tar.gz can be read in place. Unpack it first.")
    raise SourceError(f"{path}: its kind cannot be guessed from its name. Name it with kind (--kind webdataset, parquet, csv, ...).")


def _guess_folder(path: str) -> Kind:
    names = [name.lower() for name in listdir(path) if not name.startswith(".")]
    if any(name.endswith(TAR_ENDINGS) for name in names):
        return "webdataset"
    has_images = any(name.endswith(tuple(f".{ext}" for ext in IMAGE_EXTENSIONS)) for name in names)
    has_folders = any(os.path.isdir(os.path.join(path, name)) for name in listdir(path) if not name.startswith("."))
    has_videos = any(name.endswith(tuple(f".{ext}" for ext in VIDEO_EXTENSIONS)) for name in names)
    if has_videos and not has_images:
        return "video"
    if any(name.endswith((".parquet", ".pq")) for name in names) and not has_images and not has_folders:
        return "parquet"
    return "folder"


def _guess_text(path: str) -> Kind:
    lines = [line for line in _head(path).splitlines() if line.strip() and not line.startswith(b"#")]
    if lines and b"://" not in lines[0]:
        raise SourceError(
            f"{path} is text whose first line is not a URL. Name its kind: --kind csv for a table with a header, urls for a list of URLs."
        )
    return "urls"


def _head(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(65536).lstrip(b"\xef\xbb\xbf \t\r\n")
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}. Check the path and its permissions.") from error


def _guess_json(path: str) -> Kind:
    head = _head(path)
    if head.startswith(b"["):
        return "llava"
    if head.startswith(b"{"):
        return "coco"
    raise SourceError(f"{path} is not JSON: it starts with neither {{ nor [. Check the file.")


def source_name(spec: SourceSpec) -> str:
    """``spec.name``, or the folder's or file's name: ``flickr8k/*.tar`` -> flickr8k, ``train-{00000..00003}.tar`` -> train."""
    if spec.name:
        return spec.name
    path = spec.path if os.path.isdir(spec.path) or os.path.isfile(spec.path) else re.sub(r"\{[^{}]*\}|[*?]+|\[[^\]]*\]", "\0", spec.path)
    path = os.path.abspath(path.replace("\0", "*"))
    while True:
        path, last = os.path.split(path)
        if not last:
            return "source"
        stem = last
        if "*" in last or not os.path.isdir(os.path.join(path, last)):
            ending = next((end for end in TAR_ENDINGS if last.lower().endswith(end)), os.path.splitext(last)[1])
            stem = last[: len(last) - len(ending)] if ending else last
        if stem := stem.replace("*", "").strip("-_. "):
            return stem
