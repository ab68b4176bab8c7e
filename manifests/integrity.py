"""Is everything there that the catalog names, and can it be read? And what is to be done when it is not.

A file that is lost or broken is taken out of the current snapshot, as DuckLake does when all rows of a file are deleted: a new snapshot
in which it has ended. Rows of signals are then missing, and the next ``measure`` measures them again.
"""

import contextlib
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from manifests.address import LakeAddress
from manifests.catalog_copy import attach
from manifests.connection import load_extension
from manifests.digest import relations
from manifests.errors import first_line
from manifests.files import LakeFile, catalogued
from manifests.storage import filesystem
from manifests.store import Lake

AT_ONCE = 8
MADE_AGAIN = ("media", "tiers")
"""With the signal tables: what a run makes again from the samples."""


@dataclass(frozen=True)
class Fault:
    """A file and what is wrong with it."""

    file: LakeFile
    problem: str

    @property
    def remade(self) -> bool:
        """Whether a run makes its rows again."""
        return self.file.table.startswith("signal_") or self.file.table in MADE_AGAIN


def check_files(lake: Lake, *, quick: bool = False, on_file: Callable[[int, int], None] = lambda done, bad: None) -> list[Fault]:
    """Faults of all files that any snapshot names: lost, of another size, unreadable, of another number of rows.

    ``quick``: reads the ends of the files, where their structure is, and not their rows. Checksums of pages are compared where a file
    has them (parts that workers wrote do).
    """
    system, base = filesystem(lake.address.data)

    def check(file: LakeFile) -> Fault | None:
        problem = _problem(system, f"{base}/{file.path}" if file.below else file.path, file, quick)
        return Fault(file, problem) if problem else None

    faults = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for fault in pool.map(check, catalogued(lake.connection)):
            on_file(1, int(fault is not None))
            faults += [fault] if fault else []
    return faults


def _problem(system: pyarrow.fs.FileSystem, path: str, file: LakeFile, quick: bool) -> str:
    try:
        info = system.get_file_info(path)
        if info.type != pyarrow.fs.FileType.File:
            return "is gone"
        if info.size != file.size:
            return f"has {info.size} bytes, not {file.size}"
        with system.open_input_file(path) as source, pq.ParquetFile(source, page_checksum_verification=True) as parquet:
            rows = parquet.metadata.num_rows
            if rows != file.rows:
                return f"has {rows} rows, not {file.rows}"
            if not quick:
                for _ in parquet.iter_batches(batch_size=1024):
                    pass
    except (OSError, pa.ArrowException) as error:
        return f"cannot be read: {first_line(error)[:200]}"
    return ""


def check_rows(lake: Lake) -> list[str]:
    """Sentences about rows that should not be: samples or results that are there twice, results of nothing."""
    found = []
    twice = {"refs": "sample_id", "media": "ref_hash"}
    twice |= {name: "key, fingerprint" for name in relations(lake.connection) if name.startswith("signal_")}
    for table, key in twice.items():
        extra = lake.value(f'SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM "{table}" GROUP BY {key} HAVING n > 1)')
        if extra:
            found.append(f"{extra:,} rows of {table} are there twice")
    for table in ("labels", "captions", "tiers"):
        lost = lake.value(f"SELECT count(*) FROM {table} WHERE sample_id NOT IN (SELECT sample_id FROM refs)")
        if lost:
            step = "goldsieve tier RECIPE writes them anew" if table == "tiers" else "ingest the source of these samples again"
            found.append(f"{lost:,} rows of {table} belong to samples that the lake does not have; {step}")
    return found


def drop_files(lake: Lake, faults: Sequence[Fault], forget: Collection[str] = ()) -> dict[str, int]:
    """Take broken files out of the current snapshot: those of tables that a run makes again, and of the tables in ``forget``.

    Returns rows dropped by table. Files that only older snapshots need stay named: those snapshots cannot be read any more.
    Hold the lease; open the lake again afterwards.
    """
    chosen = [f for f in faults if f.file.current and (f.remade or f.file.table in forget)]
    if not chosen:
        return {}
    ids = sorted({f.file.data_file for f in chosen})
    listed = ", ".join(map(str, ids))
    whole = {f.data_file: f for f in catalogued(lake.connection) if not f.deletes and f.data_file in ids}
    _end_files(lake.address, listed)
    dropped: dict[str, int] = {}
    for file in whole.values():
        dropped[file.table] = dropped.get(file.table, 0) + file.rows
    return dropped


def forget_conclusions(lake: Lake, tables: Collection[str]) -> None:
    """What was concluded from dropped rows is concluded again: corpus operators and tiers."""
    with lake.transaction("doctor: conclude again") as connection:
        for table in tables:
            connection.execute("DELETE FROM corpus_runs WHERE name = ?", [table.removeprefix("signal_")])
        if "tiers" in tables:
            connection.execute("DELETE FROM tierings")
        if "refs" in tables:
            connection.execute("DELETE FROM listings")


def _end_files(address: LakeAddress, ids: str) -> None:
    with contextlib.closing(duckdb.connect(":memory:")) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        load_extension(connection, "sqlite_scanner" if address.is_local else "postgres_scanner")
        attach(connection, address.catalog, "catalog")
        connection.execute("BEGIN")
        (last,) = connection.execute("SELECT max(snapshot_id) FROM catalog.ducklake_snapshot").fetchone() or (0,)
        tables = connection.execute(f"SELECT DISTINCT table_id FROM catalog.ducklake_data_file WHERE data_file_id IN ({ids})").fetchall()
        changes = ",".join(f"deleted_from_table:{table}" for (table,) in tables)
        connection.execute(
            f"INSERT INTO catalog.ducklake_snapshot SELECT {last + 1}, now(), schema_version, next_catalog_id, next_file_id "
            f"FROM catalog.ducklake_snapshot WHERE snapshot_id = {last}"
        )
        connection.execute(
            f"INSERT INTO catalog.ducklake_snapshot_changes VALUES ({last + 1}, '{changes}', 'goldsieve', 'doctor: broken files', NULL)"
        )
        for table in ("ducklake_data_file", "ducklake_delete_file"):
            connection.execute(
                f"UPDATE catalog.{table} SET end_snapshot = {last + 1} WHERE data_file_id IN ({ids}) AND end_snapshot IS NULL"
            )
        connection.execute("COMMIT")
