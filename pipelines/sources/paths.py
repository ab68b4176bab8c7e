"""Turns a path that a table or an annotation names into a reference."""

import os
import stat

from pipelines.sources.rows import Row, clean, printable, stamp_of

MEDIA_COLUMNS = (
    "image", "images", "image_bytes", "img", "picture", "jpg", "jpeg", "png", "webp", "image_path", "image_file", "image_name", "img_path",
    "path", "file_path", "filepath", "file", "file_name", "filename", "bytes",
)  # fmt: skip
"""Usual names of what tells which picture a record has."""
LONGEST_PATH = 4096


def locate(root: str, text: str, confine: bool) -> Row:
    """Reference columns of a picture: ``uri``, ``byte_length``, ``stamp``; or ``error`` when it cannot be read.

    Relative paths start from ``root``. ``confine``: the file, with all links followed, must lie inside ``root``.
    """
    path = os.path.normpath(os.path.join(root, text))
    row: Row = {"uri": printable(path), "stamp": "", "modality": "image"}
    if "://" in text:
        row["uri"], row["error"] = clean(text), "This is a URL. This version reads local files: download it first."
    elif row["uri"] != path:
        row["error"] = "The path is not valid UTF-8."
    elif confine and not os.path.realpath(path.replace("\0", "")).startswith(os.path.join(os.path.realpath(root), "")):
        row["error"] = f"The path {text!r} leads outside the folder of the pictures and was not followed."
    else:
        try:
            info = os.stat(path)
        except (OSError, ValueError) as error:
            row["error"] = f"The file cannot be read: {getattr(error, 'strerror', None) or error}. Relative paths start from {root}."
        else:
            row["byte_length"], row["stamp"] = info.st_size, stamp_of(info)
            if not stat.S_ISREG(info.st_mode):
                row["error"] = "The path is a folder, a device or a pipe, not a file."
    return row


def is_path(text: str) -> bool:
    """Whether text can be a path at all, and is not a picture written as text."""
    return not text.isspace() and 0 < len(text) <= LONGEST_PATH and not text.startswith("data:")


def single(value: object) -> str:
    """The one path in a cell: text, or a list with one text. Raises ValueError with the reason when there is none or several."""
    if isinstance(value, dict):
        value = value.get("path") or value.get("file_name")
    if isinstance(value, list):
        if len(value) != 1:
            raise ValueError(f"It has {len(value)} pictures; this version takes one picture a sample.")
        value = value[0]
    if not isinstance(value, str) or not value.strip():
        raise ValueError("It names no picture.")
    if not is_path(value):
        raise ValueError("It names no file: the picture itself seems to be written as text (base64). Make it a file, or bytes in Parquet.")
    return value
