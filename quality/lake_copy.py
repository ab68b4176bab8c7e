"""A copy of a lake's samples as one flat table beside it, for many threads to read at once, with a bound on every query.

The view ``wide`` joins a dozen tables; a page that must come in less than a second reads it from this copy instead, sorted by
sample_id, in a temporary DuckDB file. The copy is made anew, in the background, when the lake's signals or tiers have changed.
"""

import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb

from manifests import Lake, open_lake
from manifests.address import LakeAddress
from manifests.changes import inputs_version
from manifests.connection import ALIAS, identifier, quote
from manifests.errors import SqlError
from manifests.wide import current_operators
from quality.flat import copy_wide, flat_columns
from quality.sql_tree import plain_message
from quality.why import latest_rules

SECONDS = 8.0
"""A query that takes longer is stopped."""
LOOK_AGAIN = 5.0
"""Seconds between two looks whether the lake has changed."""
PART = 50_000
"""Samples that percentiles are counted among: exact in smaller lakes, else within about half a per cent."""
CHOICES = {
    "tier": "SELECT coalesce(tier, 'no tier'), count(*) FROM {} GROUP BY 1 ORDER BY 2 DESC",
    "source": "SELECT source, count(*) FROM {} GROUP BY 1 ORDER BY 2 DESC LIMIT 50",
    "rule": "SELECT rule, count(*) FROM (SELECT unnest(failed_rules) AS rule FROM {}) GROUP BY 1 ORDER BY 2 DESC LIMIT 60",
}
"""Values of the filters that a page offers, with their counts; ``{}`` stands for the copy."""


class LakeCopy:
    """Any thread may ask; ``labels`` (id -> label -> last value), ``operators``, ``rules`` and ``choices`` are as of the last look."""

    def __init__(self, lake: str | Path | LakeAddress, memory: str = "2GB") -> None:
        self.lake = open_lake(lake)
        self.folder = Path(tempfile.mkdtemp(prefix="goldsieve-serve-"))
        self._local = threading.local()
        self._building = threading.Lock()
        self._generation = 0
        self._looked = 0.0
        self._version = -1
        connection = self.lake.connection
        connection.execute(f"ATTACH {quote(str(self.folder / 'wide.duckdb'))} AS served")
        connection.execute(f"SET memory_limit = {quote(memory)}")
        connection.execute(f"SET temp_directory = {quote(str(self.folder / 'spill'))}")
        connection.execute(f"SET allowed_directories = [{quote(self.lake.address.data)}, {quote(str(self.folder) + '/')}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        self._build()

    def close(self) -> None:
        """Close the lake and remove the copy."""
        self._building.acquire(timeout=SECONDS)  # a look at the lake that is under way ends first, and none begins any more
        self.lake.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def table(self, kind: str) -> str:
        """The SQL name of the newest copy of ``wide``, ``part`` or ``captions``."""
        return f"served.{kind}_{self._generation}"

    def _build(self) -> None:
        with self.lake.connection.cursor() as cursor:
            cursor.execute(f"USE {ALIAS}")
            lake = Lake(self.lake.address, cursor)
            version = inputs_version(lake, None)
            columns = flat_columns(lake)
            new = self._generation + 1
            copy_wide(cursor, f"served.wide_{new}", columns, ", ".join(map(identifier, columns)), "ORDER BY sample_id")
            # Percentiles are told of a fixed part: a glance at all the rows of all columns would take a second.
            cursor.execute(
                f"CREATE TABLE served.part_{new} AS SELECT * FROM served.wide_{new} USING SAMPLE reservoir({PART} ROWS) REPEATABLE (7)"
            )
            cursor.execute(f"CREATE TABLE served.captions_{new} AS SELECT * FROM captions ORDER BY sample_id")
            self.operators, self.rules = current_operators(cursor), latest_rules(lake)
            self.labels = _labels(cursor)
            self.choices = {
                name: [(str(value), int(n)) for value, n in cursor.execute(sql.format(f"served.wide_{new}")).fetchall()]
                for name, sql in CHOICES.items()
            }
            self._version, self._generation = version, new
            for old in range(max(1, new - 3), new - 1):  # a page may still be reading the last one
                for table in ("wide", "part", "captions"):
                    cursor.execute(f"DROP TABLE IF EXISTS served.{table}_{old}")

    def refresh(self) -> None:
        """Look whether the lake has changed, at most every few seconds; if so, copy it anew while pages go on with the old copy."""
        if time.monotonic() - self._looked < LOOK_AGAIN or not self._building.acquire(blocking=False):
            return
        self._looked = time.monotonic()

        def look() -> None:
            try:
                with self.cursor() as cursor:
                    changed = inputs_version(Lake(self.lake.address, cursor), None) != self._version
                    self.labels = _labels(cursor)
                if changed:
                    self._build()
            except (duckdb.Error, SqlError):
                pass  # the lake is busy or gone; the next look will tell
            finally:
                self._building.release()

        threading.Thread(target=look, name="gallery-refresh", daemon=True).start()

    @contextlib.contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """This thread's connection, in which ``wide`` is the copy; interrupted after `SECONDS`. Raises `SqlError`."""
        mine: tuple[int, duckdb.DuckDBPyConnection] | None = getattr(self._local, "cursor", None)
        if mine is None or mine[0] != self._generation:
            generation, cursor = self._generation, self.lake.connection.cursor()
            cursor.execute(f"USE {ALIAS}")
            cursor.execute(f"CREATE OR REPLACE TEMP VIEW wide AS SELECT * FROM served.wide_{generation}")
            self._local.cursor = mine = (generation, cursor)
        timer = threading.Timer(SECONDS, mine[1].interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield mine[1]
        except duckdb.InterruptException as error:
            raise SqlError(f"The query took longer than {SECONDS:g} s and was stopped. Ask for less.") from error
        except duckdb.Error as error:
            raise SqlError(f"query: {plain_message(error)}") from error
        finally:
            timer.cancel()


def _labels(cursor: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """id -> label -> last value, of all labels: people give thousands, not millions."""
    rows = cursor.execute("SELECT CAST(sample_id AS VARCHAR), label, arg_max(value, created_at) FROM labels GROUP BY ALL").fetchall()
    found: dict[str, dict[str, str]] = {}
    for sample_id, label, value in rows:
        found.setdefault(sample_id, {})[label] = value
    return found
