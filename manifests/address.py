"""Where a lake is: a folder, or a catalog and a data location."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from manifests.errors import LakeError
from manifests.storage import is_remote

CATALOG = "manifest.sqlite"
"""The database of a local lake, in its folder."""
POINTER = "lake.json"
"""In the folder of a lake that has its catalog or its data elsewhere: where they are."""


@dataclass(frozen=True)
class LakeAddress:
    """``catalog`` is what DuckLake attaches (without ``ducklake:``), ``data`` where its Parquet files are.

    ``folder`` is the lake's own folder on this machine: home of the lease of a local lake, the logs and crash notes.
    """

    catalog: str
    data: str
    folder: Path | None = None

    @property
    def is_local(self) -> bool:
        return self.catalog.startswith("sqlite:")

    @property
    def catalog_file(self) -> Path:
        """Of a local lake: its SQLite database."""
        return Path(self.catalog.removeprefix("sqlite:"))

    def __str__(self) -> str:
        return str(self.folder) if self.folder else f"{without_password(self.catalog)} + {self.data}"


def local_lake(folder: Path | str) -> LakeAddress:
    """A folder with a SQLite catalog and Parquet data inside."""
    path = Path(folder).expanduser().absolute()
    return LakeAddress(f"sqlite:{path / CATALOG}", f"{path / 'data'}/", path)


def lake_address(lake: Path | str | LakeAddress, data: str | None = None, catalog: str | None = None) -> LakeAddress:
    """From what a user writes: a folder, or ``postgresql://...`` / ``postgres:...`` plus a data location.

    A folder with a `POINTER` means what that says. ``data`` and ``catalog`` are for a lake that is about to be made.
    """
    if isinstance(lake, LakeAddress):
        return lake
    text = str(lake)
    if is_postgres(text):
        return LakeAddress(*_shared(text, data))
    if "://" in text:
        raise LakeError(f"{without_password(text)} is not a lake address: give a folder, or a postgresql:// catalog with a data location.")
    local = local_lake(text)
    assert local.folder is not None
    if catalog is None and data is None:
        catalog, data = _pointed(local.folder / POINTER)
    if catalog:
        return LakeAddress(*_shared(catalog, data), local.folder)
    return LakeAddress(local.catalog, _as_folder(data), local.folder) if data else local


def write_pointer(address: LakeAddress) -> Path | None:
    """Note in the lake's folder where its catalog and data are, if they are elsewhere; the file, if there was need of a new one.

    Raises `LakeError` for a password, and for a folder that is another lake already: that one would be lost from sight.
    """
    if address.folder is None:
        return None
    local, pointer = local_lake(address.folder), address.folder / POINTER
    if without_password(address.catalog) != address.catalog:
        raise LakeError(
            f"The catalog's address is kept in {pointer}, where others can read it: leave the password out of it, and give it in "
            "PGPASSWORD or in ~/.pgpass."
        )
    if pointer.exists() or local.catalog_file.exists():
        if (there := lake_address(address.folder)) != address:
            raise LakeError(f"{address.folder} already holds a lake, with its data in {there.data}. Give another folder for the new one.")
        return None
    if address == local:
        return None
    known = {"data": address.data} if address.is_local else {"catalog": address.catalog, "data": address.data}
    pointer.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    return pointer


def is_postgres(text: str) -> bool:
    """Whether this names a catalog in PostgreSQL."""
    return text.startswith(("postgres:", "postgresql:"))


def _pointed(path: Path) -> tuple[str | None, str | None]:
    if not path.is_file():
        return None, None
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return known.get("catalog"), known["data"]
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise LakeError(
            f"{path} does not say where the lake is ({error}): it needs the key data, and catalog unless the catalog is in this folder."
        ) from None


def _shared(catalog: str, data: str | None) -> tuple[str, str]:
    if not is_postgres(catalog):
        raise LakeError(f"{without_password(catalog)} is not a catalog address: give postgresql://user@host/database.")
    if not data:
        raise LakeError(f"The catalog {without_password(catalog)} needs a data location: give --data (a folder or s3://bucket/prefix/).")
    rest = catalog if "://" in catalog else catalog.split(":", 1)[1]
    rest = rest.removeprefix("postgres:") if rest.startswith("postgres:postgresql:") else rest
    return f"postgres:{rest}", _as_folder(data)


def _as_folder(data: str) -> str:
    """With a slash at the end; a folder of this machine in full, as the next command may run elsewhere."""
    place = data if is_remote(data) else str(Path(data).expanduser().absolute())
    return place if place.endswith("/") else place + "/"


def without_password(url: str) -> str:
    """The address with a password replaced, for messages."""
    return re.sub(r"(//[^/@:]*:)[^/]*@|(\bpassword\s*=\s*)('[^']*'|\S+)", lambda m: f"{m[1]}***@" if m[1] else f"{m[2]}***", url)
