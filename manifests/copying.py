"""A lake copied to another address, with its history, and proof that the copy is equal.

DuckLake's catalog is a set of SQL tables, and names its Parquet files relative to the data path. So a copy is: the files, then the
catalog's tables in one transaction. A copy that was stopped has no catalog yet: the next one goes on with the files that lack.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pyarrow.fs

from manifests.address import LakeAddress, without_password, write_pointer
from manifests.catalog_copy import copy_catalog
from manifests.connection import connect, load_extension
from manifests.digest import Digest, digest, relations
from manifests.errors import LakeError, LakeMissingError, UsageError
from manifests.files import catalogued
from manifests.lease import lease_of
from manifests.opening import new_catalog
from manifests.storage import filesystem, is_remote
from manifests.tables import require_current

MARK = "copying"
"""File in the data location while a copy is on its way: the lake it is of."""
AT_ONCE, CHUNK = 8, 4 << 20


@dataclasses.dataclass(frozen=True)
class Copied:
    """What a copy did: files and bytes copied now, files that were there, files of older snapshots that the old lake
    has lost, and the proof: relation -> its digest in both lakes."""

    files: int
    bytes: int
    there: int
    lost: int
    relations: dict[str, Digest]


def copy_lake(old: LakeAddress, new: LakeAddress, on_file: Callable[[int, int], None] = lambda done, of: None) -> Copied:
    """Copy ``old`` to ``new``, holding both leases. Run again after a stop, it goes on; when all is there, it only proves.

    Raises `UsageError` for a new lake that has something else in it, `LakeError` when the copy is not equal.
    """
    if (old.catalog, old.data) == (new.catalog, new.data) or old.data == new.data:
        raise UsageError(f"{new} has the data of {old}: give another place for the copy.")
    with contextlib.closing(connect(old, read_only=True)) as connection:
        require_current(connection, old)
    if new.folder:
        new.folder.mkdir(parents=True, exist_ok=True)
    with lease_of(old, "migrate"), lease_of(new, "migrate"):
        # A folder that leads to another lake must not be led elsewhere; but it leads to this one only when that is there.
        pointer = write_pointer(new)
        if pointer:
            pointer.unlink()
        done = (0, 0, 0, 0) if _has_lake(new) else _copy(old, new, on_file)
        proof = prove_equal(old, new)
        write_pointer(new)
    return Copied(*done, proof)


def prove_equal(old: LakeAddress, new: LakeAddress) -> dict[str, Digest]:
    """Digests of every table and view, equal in both lakes. Raises `LakeError` naming those that differ."""
    sides: list[dict[str, Digest]] = []
    for address in (old, new):
        with contextlib.closing(connect(address, read_only=True)) as connection:
            sides.append({name: digest(connection, name) for name in relations(connection)})
    one, two = sides
    if unlike := sorted(name for name in {*one, *two} if one.get(name) != two.get(name)):
        raise LakeError(
            f"{new} is not equal to {old}: {', '.join(unlike)} differ. If {new} has been written since, it is a lake of its own "
            "now; otherwise remove it and copy again."
        )
    return one


def _has_lake(address: LakeAddress) -> bool:
    if address.is_local and not address.catalog_file.exists():
        return False
    try:
        with contextlib.closing(connect(address, read_only=True)) as connection:
            return "refs" in relations(connection)  # an empty catalog is one whose copy was stopped
    except LakeMissingError:
        return False


def _copy(old: LakeAddress, new: LakeAddress, on_file: Callable[[int, int], None]) -> tuple[int, int, int, int]:
    source, target = filesystem(old.data), filesystem(new.data)
    wanted, lost = _wanted(old)
    with _marked(target, old, new):
        todo = [(name, size) for name, size in wanted.items() if _size(*target, name) != size]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for done, _ in enumerate(pool.map(lambda name: _copy_file(source, target, name, is_remote(new.data)), [n for n, _ in todo])):
                on_file(done + 1, len(todo))
        _write_catalog(old, new)
    return len(todo), sum(size for _, size in todo), len(wanted) - len(todo), lost


def _wanted(address: LakeAddress) -> tuple[dict[str, int], int]:
    """Size of every file that some snapshot of the lake knows, by its path below the data location; and how many older ones are lost."""
    with contextlib.closing(connect(address, read_only=True)) as connection:
        files = catalogued(connection)
    if outside := [file.path for file in files if not file.below]:
        raise LakeError(f"{address} has files outside its data location ({outside[0]}), which cannot be moved with it.")
    system, base = filesystem(address.data)
    wanted = {file.path: file.size for file in files if file.current or _size(system, base, file.path) == file.size}
    return wanted, len(files) - len(wanted)


@contextlib.contextmanager
def _marked(target: tuple[pyarrow.fs.FileSystem, str], old: LakeAddress, new: LakeAddress) -> Iterator[None]:
    """A data location that is empty, or has what an earlier copy of the same lake brought, is marked while the body runs."""
    system, base = target
    mark, name = f"{base}/{MARK}", f"{without_password(old.catalog)}\n{old.data}\n"
    if system.get_file_info(mark).type == pyarrow.fs.FileType.File:
        with system.open_input_stream(mark) as file:
            if file.read().decode() != name:
                raise UsageError(f"{new.data} holds an unfinished copy of another lake. Give an empty place, or remove that copy.")
    else:
        if next((i for i in system.get_file_info(pyarrow.fs.FileSelector(base, allow_not_found=True, recursive=True)) if i.is_file), None):
            raise UsageError(f"{new.data} is not empty: a lake's data needs a place of its own. Give another one.")
        system.create_dir(base, recursive=True)
        with system.open_output_stream(mark) as out:
            out.write(name.encode())
    yield
    system.delete_file(mark)


def _size(system: pyarrow.fs.FileSystem, base: str, name: str) -> int | None:
    size: int | None = system.get_file_info(f"{base}/{name}").size
    return size


def _copy_file(source: tuple[pyarrow.fs.FileSystem, str], target: tuple[pyarrow.fs.FileSystem, str], name: str, remote: bool) -> None:
    """An object store shows a file when it is complete; on a disk it gets its name only then."""
    folder, _, file = f"{target[1]}/{name}".rpartition("/")
    started = f"{folder}/{file}" if remote else f"{folder}/.part-{file}"
    target[0].create_dir(folder, recursive=True)
    try:
        read = source[0].open_input_stream(f"{source[1]}/{name}")
    except FileNotFoundError:
        raise LakeError(f"The lake lacks its file {source[1]}/{name}: goldsieve doctor LAKE --repair says what can be done.") from None
    with read, target[0].open_output_stream(started) as write:
        while chunk := read.read(CHUNK):
            write.write(chunk)
    if not remote:
        target[0].move(started, f"{folder}/{file}")


def _write_catalog(old: LakeAddress, new: LakeAddress) -> None:
    """A PostgreSQL catalog fills in one transaction; a SQLite one appears complete."""
    with contextlib.closing(duckdb.connect(":memory:")) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name in {"sqlite_scanner" if address.is_local else "postgres_scanner" for address in (old, new)}:
            load_extension(connection, name)
        if not new.is_local:
            _create_empty(new)
            copy_catalog(connection, old.catalog, new.catalog, new.data)
            return
        with new_catalog(new) as begun:
            _create_empty(begun)
            copy_catalog(connection, old.catalog, begun.catalog, new.data)
            connection.close()


def _create_empty(address: LakeAddress) -> None:
    connect(address, read_only=False, create=True).close()
