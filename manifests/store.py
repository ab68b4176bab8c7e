"""The lake: the only writer of the manifest, and the way to read it."""

import contextlib
import json
import os
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import duckdb
import pyarrow as pa
from duckdb import DuckDBPyConnection

from manifests.address import LakeAddress
from manifests.captions import caption_table
from manifests.compaction import compact
from manifests.connection import ALIAS, quote
from manifests.errors import SqlError
from manifests.explode import Exploded, explode_clips
from manifests.ingest import IngestResult, ingest_references
from manifests.lease import Lease, lease_of
from manifests.outage import outlast, outlasting
from manifests.parts import Part
from manifests.registration import register
from manifests.storage import is_remote
from manifests.tables import signal_table
from manifests.versions import OperatorVersion, after, make_current, not_current
from manifests.wide import create_wide

R = TypeVar("R")


class Lake:
    """One open lake. Not for several threads at once; every process opens its own."""

    def __init__(self, address: LakeAddress, connection: DuckDBPyConnection) -> None:
        self.address = address
        self.connection = connection
        self.lease: Lease | None = None
        self.transaction_id = ""

    def __enter__(self) -> "Lake":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.connection.close()

    @property
    def notes(self) -> str | None:
        """Where workers note what they are measuring (`pipelines.journal`); None for a lake without a place that they share."""
        if is_remote(self.address.data):
            return f"{self.address.data}inflight"
        return str(self.address.folder / "inflight") if self.address.folder else None

    # reading

    def query(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None, at: int | None = None) -> pa.Table:
        """Rows of a query over the manifest; ``at`` reads as of a snapshot. Raises `SqlError` with DuckDB's reason."""
        if at is not None:
            from manifests.opening import open_lake  # which makes lakes of this class

            with open_lake(self.address, at=at) as past:
                return past.query(sql, parameters)
        try:
            return self.connection.execute(sql, parameters).to_arrow_table()
        except duckdb.Error as error:
            raise SqlError(str(error)) from error

    def rows(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """A small result as dictionaries."""
        rows: list[dict[str, Any]] = self.query(sql, parameters).to_pylist()
        return rows

    def value(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> Any:
        """The first value of the first row, or None."""
        row = self.connection.execute(sql, parameters).fetchone()
        return row[0] if row else None

    @contextlib.contextmanager
    def one_snapshot(self) -> Iterator[None]:
        """All queries of the body see the lake as it is now, and look up its catalog once."""
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            self.connection.execute("ROLLBACK")

    def snapshot(self) -> int:
        """Number of the current snapshot."""
        return int(self.value(f"SELECT max(snapshot_id) FROM ducklake_snapshots('{ALIAS}')"))

    # writing

    def outlast(self, work: Callable[[], R]) -> R:
        """Do something that may be done again from its beginning; a shared catalog that goes away meanwhile is waited for."""
        return outlast(self.lease, work)

    @contextlib.contextmanager
    def writing(self, purpose: str, wait_s: float = 0.0) -> Iterator[None]:
        """Hold the lake's writer lease. Raises `LakeBusyError` naming the holder."""
        with lease_of(self.address, purpose, wait_s) as self.lease:
            try:
                yield
            finally:
                self.lease = None

    @contextlib.contextmanager
    def transaction(self, message: str) -> Iterator[DuckDBPyConnection]:
        """One snapshot: all of the body or nothing. ``message`` is shown by ``goldsieve snapshots``."""
        self.connection.execute("BEGIN")
        try:
            self.transaction_id = str(uuid.uuid4())
            told = f"{quote(message)}, extra_info => {quote(self.transaction_id)}"
            self.connection.execute(f"CALL ducklake_set_commit_message('{ALIAS}', 'goldsieve', {told})")
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(duckdb.Error):  # a failed COMMIT has already rolled back
                self.connection.execute("ROLLBACK")
            raise

    def ingest(self, source: str, scope: str, batches: Iterator[pa.RecordBatch]) -> IngestResult:
        """Bring the manifest in line with a listing of one source (see `manifests.ingest`)."""
        with self.transaction(f"ingest {source}") as connection:
            connection.execute("DELETE FROM listings WHERE source = ? AND listed_in = ?", [source, scope])
            return ingest_references(connection, source, scope, batches)

    def explode(self, fingerprint: str) -> Exploded:
        """Make samples of the clips that the operator `clips` found (see `manifests.explode`)."""
        with self.transaction("explode clips") as connection:
            return explode_clips(connection, fingerprint)

    def protect(self, source: str) -> None:
        """Mark a source as one whose samples, and whose copies, no tier may hold and no export may have."""
        if source not in self.protected():
            with self.transaction(f"protect {source}") as connection:
                connection.execute("INSERT INTO protected VALUES (?, now())", [source])
                create_wide(connection)  # a lake of an earlier format has a view that does not know of it

    def protected(self) -> list[str]:
        """The names of the protected sources."""
        return [row["source"] for row in self.rows("SELECT DISTINCT source FROM protected ORDER BY source")]

    def add_labels(self, labels: Sequence[tuple[str, str, str, str]]) -> None:
        """Add what people said: (sample_id, label, value, author). Of several values under one label the last one counts."""
        with self.transaction("labels") as connection:
            connection.executemany("INSERT INTO labels VALUES (CAST(? AS UUID), ?, ?, ?, now())", labels)

    def remember_listing(self, source: str, scope: str, digest: str) -> None:
        """Note what the containers of a listed source were like, if all its samples lie inside them (see `listed_before`)."""
        with self.transaction(f"listed {source}") as connection:
            connection.execute("INSERT INTO listings VALUES (?, ?, ?, now())", [source, scope, digest])

    def listed_before(self, source: str, scope: str, digest: str) -> IngestResult | None:
        """What ingesting would find, when the containers are as they were when the source was last listed."""
        if not self.value("SELECT count(*) FROM listings WHERE source = ? AND listed_in = ? AND digest = ?", [source, scope, digest]):
            return None
        counts = self.connection.execute(
            'SELECT count(*), count("error") FROM refs WHERE source = ? AND listed_in = ? AND NOT vanished', [source, scope]
        ).fetchone()
        samples, errors = counts or (0, 0)
        return IngestResult(source, 0, 0, samples, 0, errors)

    @outlasting
    def set_current(self, *versions: OperatorVersion) -> None:
        """Make these versions of operators the ones ``wide`` shows."""
        if new := not_current(self.connection, versions):
            with self.transaction(f"operator {', '.join(f'{one.name} {one.version}' for one in new)}") as connection:
                make_current(connection, new)

    @outlasting
    def commit(self, parts: Iterable[Part], message: str) -> None:
        """Register parts in one transaction. A key that is already there, or twice in the parts, is kept once."""
        by_table: dict[str, list[str]] = defaultdict(list)
        for part in parts:
            by_table[part.table].append(part.path)
        rewritten: list[str] = []
        with self.transaction(message) as connection:
            for table, paths in by_table.items():
                rewritten += register(connection, table, paths)
        for path in rewritten:
            with contextlib.suppress(OSError):  # what stays behind is collected by gc
                os.unlink(path)

    @outlasting
    def replace_signal(self, operator: str, parts: Sequence[Part], fingerprint: str, input_digest: str, run_id: uuid.UUID) -> None:
        """A corpus operator's new answer takes the place of its old one."""
        with self.transaction(f"measure {operator}") as connection:
            connection.execute(f"DELETE FROM {signal_table(operator)}")
            for part in parts:
                connection.execute(f"CALL ducklake_add_data_files('{ALIAS}', {quote(part.table)}, {quote(part.path)})")
            connection.execute("DELETE FROM corpus_runs WHERE name = ?", [operator])
            snapshot = self.snapshot()
            connection.execute("INSERT INTO corpus_runs VALUES (?, ?, ?, ?, ?)", [operator, fingerprint, input_digest, snapshot, run_id])

    @outlasting
    def write_tiers(
        self, recipe: str, digest: str, rules: Mapping[str, Any], select_sql: str, run_id: uuid.UUID, data_version: int
    ) -> None:
        """Replace the recipe's tiers by ``select_sql`` (sample_id, tier, failed_rules)."""
        with self.transaction(f"tier {recipe}") as connection:
            connection.execute("DELETE FROM tiers WHERE recipe = ?", [recipe])
            # Sorted, so that the row of one sample is found without reading all of them.
            connection.execute(
                f"INSERT INTO tiers SELECT sample_id, tier, failed_rules, ?, ? FROM ({select_sql}) ORDER BY sample_id", [recipe, digest]
            )
            later = after("applied_at", "tierings")
            connection.execute("DELETE FROM tierings WHERE recipe = ?", [recipe])
            connection.execute(
                f"INSERT INTO tierings VALUES (?, ?, ?, ?, ?, {later})", [recipe, digest, json.dumps(rules), data_version, run_id]
            )

    @outlasting
    def add_captions(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append attempts at captions (columns of the table ``captions``)."""
        if not rows:
            return
        with self.transaction(f"{len(rows):,} captions") as connection:
            connection.register("new_captions", caption_table(rows))
            connection.execute("INSERT INTO captions BY NAME SELECT * FROM new_captions")
            connection.unregister("new_captions")

    def compact(self) -> list[str]:
        """Merge small parts (see `manifests.compaction`); returns the tables that had many. Hold the lease."""
        return compact(self.connection)
