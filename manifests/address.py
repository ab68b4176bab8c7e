"""Where a lake is: a folder, or a catalog and a data location."""

from dataclasses import dataclass
from pathlib import Path

from manifests.errors import LakeError


@dataclass(frozen=True)
class LakeAddress:
    """``catalog`` is what DuckLake attaches (without ``ducklake:``), ``data`` where its Parquet files are.

    ``folder`` is the lake's own folder for a local lake: home of the lease, the logs and crash notes.
    """

    catalog: str
    data: str
    folder: Path | None = None

    @property
    def is_local(self) -> bool:
        return self.catalog.startswith("sqlite:")

    def __str__(self) -> str:
        return str(self.folder) if self.folder else f"{without_password(self.catalog)} + {self.data}"


def local_lake(folder: Path | str) -> LakeAddress:
    """A folder with a SQLite catalog and Parquet data inside."""
    path = Path(folder).expanduser().absolute()
    return LakeAddress(f"sqlite:{path / 'manifest.sqlite'}", f"{path / 'data'}/", path)


def lake_address(lake: Path | str | LakeAddress, data: str | None = None) -> LakeAddress:
    """From what a user writes: a folder, or ``postgresql://...`` / ``postgres:...`` plus a data location."""
    if isinstance(lake, LakeAddress):
        return lake
    text = str(lake)
    if text.startswith(("postgres:", "postgresql:", "postgresql://", "postgres://")):
        if not data:
            raise LakeError(f"The catalog {without_password(text)} needs a data location: give --data (a folder or s3://bucket/prefix/).")
        rest = text if "://" in text else text.split(":", 1)[1]
        return LakeAddress(f"postgres:{rest}", data if data.endswith("/") else data + "/")
    if "://" in text:
        raise LakeError(f"{without_password(text)} is not a lake address: give a folder, or a postgresql:// catalog with a data location.")
    address = local_lake(text)
    return LakeAddress(address.catalog, data if data.endswith("/") else data + "/", address.folder) if data else address


def without_password(url: str) -> str:
    """The address with a password replaced, for messages."""
    head, at, tail = url.rpartition("@")
    if not at:
        return url
    scheme, slashes, user = head.rpartition("//")
    return f"{scheme}{slashes}{user.split(':')[0]}:***@{tail}"
