"""Videos: a folder of them, searched like a folder of pictures, or single files."""

import os
from collections.abc import Callable, Iterator

from pipelines.sources.folder import VIDEOS, Search, list_files, list_folder
from pipelines.sources.rows import Row
from pipelines.sources.spec import SourceSpec, expand, source_name


def list_videos(spec: SourceSpec, say: Callable[[str], None]) -> Iterator[Row]:
    """A sample for every video below a folder, or for the files that a path or pattern names; captions lie beside them.

    The key of a file is its name without extension, with its folder's where files of several folders are named.
    """
    if os.path.isdir(spec.path):
        yield from list_folder(spec, VIDEOS, say)
        return
    paths = expand(spec.path)
    source, base = source_name(spec), os.path.commonpath([os.path.dirname(path) for path in paths])
    for folder in dict.fromkeys(os.path.dirname(path) for path in paths):
        named = {os.path.basename(path) for path in paths if os.path.dirname(path) == folder}
        stems = {os.path.splitext(name)[0] for name in named}
        with os.scandir(folder) as entries:
            # The videos that were named, and what lies beside them under their names.
            near = [
                e for e in entries if e.name in named or (not e.name.lower().endswith(ENDINGS) and os.path.splitext(e.name)[0] in stems)
            ]
        near.sort(key=lambda entry: entry.name)
        relative = os.path.relpath(folder, base)
        yield from list_files(Search(source, os.path.realpath(folder), VIDEOS, spec.caption_column), relative, near)


ENDINGS = tuple(f".{extension}" for extension in VIDEOS.extensions)
