"""Creates lakes and opens them."""

import contextlib
import dataclasses
import os
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

from manifests.address import LakeAddress, lake_address, write_pointer
from manifests.connection import confine, connect
from manifests.errors import LakeError, LakeMissingError
from manifests.store import Lake
from manifests.tables import create_tables, migrate, require_current
from manifests.wide import create_wide


def create_lake(lake: Path | str | LakeAddress, data: str | None = None) -> Lake:
    """Create a lake and open it for writing. An existing lake is opened as it is.

    The SQLite catalog is put into WAL mode, so readers never block the writer.
    """
    address = lake_address(lake, data)
    if address.folder:
        if address.folder.exists() and not address.folder.is_dir():
            raise LakeError(f"{address.folder} is a file: a lake is a folder.")
        address.folder.mkdir(parents=True, exist_ok=True)
    pointer = write_pointer(address)
    try:
        if address.is_local:
            if not address.catalog_file.exists():
                with contextlib.suppress(FileExistsError), new_catalog(address) as begun:
                    _create(begun)
        elif not exists(address):
            _create(address)
    except BaseException:
        if pointer:  # it would lead to a lake that is not there
            pointer.unlink(missing_ok=True)
        raise
    return open_lake(address, read_only=False)


def _create(address: LakeAddress) -> None:
    with contextlib.closing(connect(address, read_only=False, create=True)) as connection:
        create_tables(connection)
        create_wide(connection)


@contextlib.contextmanager
def new_catalog(address: LakeAddress) -> Iterator[LakeAddress]:
    """The address under which the body makes a SQLite catalog, which then appears complete or not at all: a process may be killed at any
    moment, or another one be as fast. Raises `FileExistsError` when it was."""
    path = address.catalog_file
    new = path.with_name(f".{path.name}.{uuid.uuid4()}")
    try:
        yield dataclasses.replace(address, catalog=f"sqlite:{new}")
        with contextlib.closing(sqlite3.connect(new)) as catalog:
            catalog.execute("PRAGMA journal_mode = WAL")
        os.link(new, path)  # unlike a rename it never replaces the lake of somebody who was faster
    finally:
        for leftover in path.parent.glob(f"{new.name}*"):
            leftover.unlink()


def exists(lake: Path | str | LakeAddress) -> bool:
    """Whether a lake was created at the address. Raises `LakeError` when what is there cannot be used."""
    try:
        with open_lake(lake):
            return True
    except LakeMissingError:
        return False


def open_lake(lake: Path | str | LakeAddress, *, read_only: bool = True, at: int | None = None, confined: bool = False) -> Lake:
    """Open an existing lake.

    ``at``: as it was at this snapshot. ``confined``: SQL can reach nothing but the lake (for SQL that somebody else wrote).
    Raises `LakeError` when there is none, or it is of an unknown format.
    """
    address = lake_address(lake)
    connection = connect(address, read_only=read_only or at is not None, at=at)
    try:
        if read_only and at is None:
            require_current(connection, address)
        elif not read_only and migrate(connection):
            create_wide(connection)
        if confined:
            confine(connection, address)
    except BaseException:
        connection.close()
        raise
    return Lake(address, connection)
