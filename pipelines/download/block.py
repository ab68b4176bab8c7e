"""A block in work: what of it is there already, what is missing, and its end as a shard."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.download.body import Body
from pipelines.download.fetch import ALGORITHMS, Fetched
from pipelines.download.shard import Part, Stored, copied, read_samples
from pipelines.download.urllist import Block, UrlRow


@dataclass(eq=False)
class OpenBlock:
    """``old``: the finished shard that is being mended, by name; ``old_fd`` is where its samples are. ``left``: rows to come."""

    shard: Path
    names: Sequence[str]
    part: Part
    old: dict[str, Stored] = field(default_factory=dict)
    old_fd: int | None = None
    left: int = 0

    def finish(self) -> None:
        try:
            self.part.finish(self.shard, self.names, self.old, self.old_fd)
        finally:
            self.close()

    def close(self) -> None:
        self.part.close()
        if self.old_fd is not None:
            os.close(self.old_fd)
            self.old_fd = None


def open_block(folder: Path, block: Block, there: Sequence[Path], url_column: str, again: bool) -> tuple[OpenBlock | None, list[UrlRow]]:
    """The block and its missing rows; None when its shard is finished. ``again``: failed rows are missing too.
    ``there``: finished shards of this number.

    The block's shard is there: nothing is missing but failures. Its part is there: the rest is. A shard of the same number with
    other rows is there (the list was edited): what has the same URL is taken from it. Raises `GoldsieveError` when the disk refuses.
    """
    shard, path = folder / f"{block.shard}.tar", folder / f".{block.shard}.part"
    if shard.exists() and not again and not path.exists():
        return None, []
    old: dict[str, Stored] = {}
    old_fd = os.open(shard, os.O_RDONLY | os.O_CLOEXEC) if shard.exists() else None
    if old_fd is not None:
        old = dict(read_samples(old_fd))
        if not path.exists() and all(row.name in old and old[row.name].media for row in block.rows):
            os.close(old_fd)
            return None, []
    part = Part(path)
    opened = OpenBlock(shard, tuple(row.name for row in block.rows), part, old, old_fd)
    if not shard.exists():
        for edited in there:
            _take_over(part, edited, block.rows, url_column)
    missing = []
    for row in block.rows:
        known = part.samples.get(row.name) or old.get(row.name)
        if known is None or (again and known.media is None):
            missing.append(row)
    opened.left = len(missing)
    return opened, missing


def _take_over(part: Part, edited: Path, rows: Sequence[UrlRow], url_column: str) -> None:
    """What an older shard has for the same URLs, with the rows' present captions and columns."""
    fd = os.open(edited, os.O_RDONLY | os.O_CLOEXEC)
    try:
        by_url = {stored.url: stored for _, stored in read_samples(fd, url_column) if stored.media}
        for row in rows:
            stored = by_url.get(str(row.record.get(url_column, ""))) if row.url and row.name not in part.samples else None
            if stored is None or stored.media is None:
                continue
            body = Body(extension=stored.extension)
            for piece in copied(fd, *stored.media):
                body.add(piece)
            if _expected(body, row.expected):
                part.append(row, Fetched(body, stored.facts))
            body.close()
    finally:
        os.close(fd)


def _expected(body: Body, expected: str | None) -> bool:
    if not expected:
        return True
    if (algorithm := ALGORITHMS.get(len(expected))) is None:
        return False
    digest = hashlib.new(algorithm, usedforsecurity=False)
    for piece in body.pieces():
        digest.update(piece)
    return digest.hexdigest() == expected.lower()
