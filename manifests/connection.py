"""DuckDB connections to a lake: extensions, attaching, read-only guard."""

import contextlib
import shlex
import tempfile
import uuid
from collections.abc import Iterable
from pathlib import Path

import duckdb

from manifests.address import LakeAddress
from manifests.errors import LakeError, LakeMissingError, UsageError, first_line
from manifests.storage import ATTEMPTS, is_remote, secret_sql

ALIAS = "lake"
"""Name the lake has inside every connection."""
_checked: set[str] = set()
"""Extensions whose signatures were checked in this process."""


def load_extension(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load a DuckDB extension: what is installed, else the wheel, else DuckDB's own repository.

    Raises `LakeError` naming the three ways when none works.
    """
    try:
        connection.execute(f"LOAD {name}")
        return
    except duckdb.Error as error:
        reasons = [f"installed: {first_line(error)}"]
    try:
        import duckdb_extensions

        duckdb_extensions.import_extension(name, con=connection)
        connection.execute(f"LOAD {name}")
        return
    except (ImportError, OSError, RuntimeError, ValueError, duckdb.Error) as error:
        reasons.append(f"wheel: {first_line(error)}")
    try:
        connection.execute(f"INSTALL {name}")
        connection.execute(f"LOAD {name}")
        return
    except duckdb.Error as error:
        reasons.append(f"repository: {first_line(error)}")
    raise LakeError(
        f"The DuckDB extension '{name}' cannot be loaded into DuckDB {duckdb.__version__} ({'; '.join(reasons)}). "
        f"Install the wheel of the same version (pip install duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}), "
        f"or run INSTALL {name} once where DuckDB's extension repository can be reached."
    )


def connect(address: LakeAddress, *, read_only: bool, create: bool = False, at: int | None = None) -> duckdb.DuckDBPyConnection:
    """A connection whose default catalog is the lake; ``at`` pins a snapshot.

    Raises `LakeError` when there is no lake at the address, or it is of a version this DuckDB cannot read.
    """
    if address.is_local and not create and not address.catalog_file.exists():
        raise LakeMissingError(f"There is no lake at {address}. Create one with: goldsieve init {shlex.quote(str(address))}")
    connection = _with_extensions(address)
    _bound_memory(connection)
    if is_remote(address.data):
        connection.execute(f"SET http_retries = {ATTEMPTS}")
        if address.data.startswith("s3://"):
            connection.execute(secret_sql())
    else:  # the system keeps pages of local files; DuckDB's own copy of every file it reads grew with each commit of a long run
        connection.execute("SET enable_external_file_cache = false")
    # A lake folder may have been moved or copied: its files are recorded relative to the data path.
    options = [f"DATA_PATH {quote(address.data)}", "OVERRIDE_DATA_PATH true"]
    if create:
        options = [f"DATA_PATH {quote(address.data)}"]
    if read_only:
        options.append("READ_ONLY")
    if at is not None:
        options.append(f"SNAPSHOT_VERSION {int(at)}")
    try:
        connection.execute(f"ATTACH {quote('ducklake:' + address.catalog)} AS {ALIAS} ({', '.join(options)})")
    except duckdb.Error as error:
        connection.close()
        if "does not exist - and creating a new DuckLake is explicitly disabled" in str(error):
            raise LakeMissingError(f"There is no lake at {address}. Create it: goldsieve init LAKE --catalog ... --data ...") from error
        if at is not None and "No snapshot found" in str(error):
            raise UsageError(f"The lake at {address} has no snapshot {at}. `goldsieve snapshots LAKE` lists them.") from error
        raise LakeError(f"The lake at {address} cannot be opened: {first_line(error)}") from error
    connection.execute(f"USE {ALIAS}")
    connection.execute("SET python_enable_replacements = false")  # SQL must not reach Python variables
    connection.execute("SET autoinstall_known_extensions = false")  # a typo in a query must not go to the network
    connection.execute("SET TimeZone = 'UTC'")
    # Commands show their own progress.
    with contextlib.suppress(duckdb.InvalidInputException):  # inside Jupyter without ipywidgets there is no bar to switch off
        connection.execute("SET enable_progress_bar = false")
    return connection


def _with_extensions(address: LakeAddress) -> duckdb.DuckDBPyConnection:
    """A new database with the extensions that the lake needs. DuckDB checks the signature of each, which takes longer than all else
    about opening a lake: so once a process, and not for every connection. SQL can load no unsigned ones in any of them."""
    names = ["ducklake", "sqlite_scanner" if address.is_local else "postgres_scanner"]
    names += ["httpfs"] if is_remote(address.data) else []
    names += ["aws"] if address.data.startswith("s3://") else []
    if _checked.issuperset(names):
        connection = duckdb.connect(":memory:", config={"allow_unsigned_extensions": True})
        try:
            for name in names:
                connection.execute(f"LOAD {name}")
            connection.execute("SET allow_unsigned_extensions = false")  # and DuckDB refuses to set it to true again
            return connection
        except duckdb.Error:  # it was there a moment ago; the long way finds another one, or says what is wrong
            connection.close()
    connection = duckdb.connect(":memory:")
    for name in names:
        load_extension(connection, name)
    _checked.update(names)
    return connection


def _bound_memory(connection: duckdb.DuckDBPyConnection) -> None:
    """Half of the memory instead of DuckDB's four fifths, as workers need the other half; what is larger spills to the system's
    temporary folder instead of one in the current directory."""
    row = connection.execute("SELECT current_setting('memory_limit')").fetchone()
    size, unit = str(row[0]).split() if row else ("8", "GiB")
    connection.execute(f"SET memory_limit = '{float(size) * 0.5 / 0.8:.2f}{unit}'")
    connection.execute(f"SET temp_directory = {quote(str(Path(tempfile.gettempdir()) / f'goldsieve-{uuid.uuid4().hex}'))}")


def confine(connection: duckdb.DuckDBPyConnection, address: LakeAddress) -> None:
    """No file or network access but the lake's own data, for SQL that somebody else wrote. Cannot be undone."""
    folder = address.data.rstrip("/") + "/"
    connection.execute(f"SET allowed_directories = [{quote(folder)}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def quote(text: str) -> str:
    """An SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def id_literal(value: object) -> str:
    """An id (UUID) as SQL; None as NULL. Not a parameter: the first one makes DuckDB's client import pandas, a third of a second."""
    return "NULL" if value is None else f"CAST({quote(str(value))} AS UUID)"


def id_list(values: Iterable[object]) -> str:
    """Ids as the right side of IN, each once; without any one that matches nothing."""
    known = sorted({str(value) for value in values if value is not None})
    return f"({', '.join(map(id_literal, known))})" if known else "(NULL)"


def identifier(name: str) -> str:
    """A quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
