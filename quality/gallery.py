"""A lake to leaf through: its samples as one flat table beside it, read by many threads at once, with bounds on every query.

The view ``wide`` joins a dozen tables; a page that must come in less than a second reads it from a copy instead, sorted by
sample_id, in a temporary DuckDB file. The copy is made anew, in the background, when the lake's signals or tiers have changed.
SQL that people type sees that copy under the name ``wide``, can only read, and is interrupted when it takes too long.
"""

import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from manifests import Lake, open_lake
from manifests.address import LakeAddress
from manifests.changes import inputs_version
from manifests.connection import ALIAS, id_list, identifier, quote
from manifests.errors import SqlError, UsageError
from manifests.wide import EVIDENCE, current_operators, wide_columns
from quality.flat import copy_wide, flat_columns
from quality.percentiles import places
from quality.sql_guard import check_expression, check_order, check_query, relation_columns
from quality.sql_tree import plain_message
from quality.why import Story, caption_history, latest_rules, verdicts, why

PAGE = 60
MOST_PAGES = 2_000
SECONDS = 8.0
"""A query that takes longer is stopped."""
LOOK_AGAIN = 5.0
PART = 50_000
"""Samples that percentiles are counted among: exact in smaller lakes, else within about half a per cent."""
MOST_ROWS, MOST_TEXT = 200, 2_000
"""Rows of a result that is no gallery, and characters of one cell of it."""


@dataclass(frozen=True)
class Page:
    """``total`` samples; ``rows`` of this page. A result without sample_id has ``columns`` and is shown as a table."""

    total: int
    rows: list[dict[str, Any]]
    columns: tuple[str, ...] = ()


class Gallery:
    """Open it once; any thread may ask. Close it to remove the copy."""

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
        self._building.acquire(timeout=SECONDS)  # a look at the lake that is under way ends first, and none begins any more
        self.lake.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # the copy

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
            self._operators, self._rules = current_operators(cursor), latest_rules(lake)
            self._said = _labels(cursor)
            self._choices = {
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
                with self._cursor() as cursor:
                    changed = inputs_version(Lake(self.lake.address, cursor), None) != self._version
                    self._said = _labels(cursor)
                if changed:
                    self._build()
            except (duckdb.Error, SqlError):
                pass  # the lake is busy or gone; the next look will tell
            finally:
                self._building.release()

        threading.Thread(target=look, name="gallery-refresh", daemon=True).start()

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """This thread's connection, in which ``wide`` is the copy; interrupted after `SECONDS`."""
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

    # questions

    def page(self, where: str = "", order: str = "", fixed: Mapping[str, str] | None = None, number: int = 1) -> Page:
        """Samples for which ``where`` is true, in ``order``. ``fixed``: tier, source, rule -> value.

        Raises `UsageError` for a page that is too far, `SqlError` for what does not fit.
        """
        offset = self._offset(number)
        conditions, values = [], []
        for name, value in (fixed or {}).items():
            if value:
                conditions.append(FIXED[name])
                values.append(value)
        with self._cursor() as cursor:
            if where.strip():
                check_expression(cursor, where, "wide", "BOOLEAN", "filter")
                conditions.append(f"TRY(({where}\n))")
            if order.strip():
                check_order(cursor, order, "wide", "order")
            by = f"{order}\n, " if order.strip() else ""
            filtered = f"FROM wide WHERE {' AND '.join(conditions) or 'true'}"
            # With a filter one scan tells rows and number: a condition on a million captions takes longer than all else.
            number_too = ", count(*) OVER ()" if where.strip() else ""
            rows = cursor.execute(
                f"SELECT sample_id{number_too} {filtered} ORDER BY {by}sample_id LIMIT {PAGE} OFFSET {offset}", values
            ).fetchall()
            counted = rows[:1] if number_too else []
            counted = counted or [(None, *(cursor.execute(f"SELECT count(*) {filtered}", values).fetchone() or (0,)))]
            return Page(int(counted[0][1]), self._cards(cursor, [str(row[0]) for row in rows]))

    def result(self, sql: str, number: int = 1) -> Page:
        """A page of a query's result: samples when it has a column sample_id, else plain rows."""
        offset = self._offset(number)
        with self._cursor() as cursor:
            check_query(cursor, sql)
            columns = relation_columns(cursor, f"({sql}\n)")
            total = int((cursor.execute(f"SELECT count(*) FROM ({sql}\n)").fetchone() or (0,))[0])
            if columns.get("sample_id") in ("UUID", "VARCHAR"):
                ids = cursor.execute(f"SELECT TRY_CAST(sample_id AS UUID) FROM ({sql}\n) LIMIT {PAGE} OFFSET {offset}").fetchall()
                return Page(total, self._cards(cursor, [str(row[0]) for row in ids if row[0] is not None]))
            rows = cursor.execute(f"SELECT * FROM ({sql}\n) LIMIT {MOST_ROWS} OFFSET {(number - 1) * MOST_ROWS}").fetchall()
            shown = [{name: _text(value) for name, value in zip(columns, row, strict=True)} for row in rows]
            return Page(total, shown, tuple(columns))

    def sample(self, sample_id: str) -> dict[str, Any] | None:
        """What is needed to draw and name one sample."""
        with self._cursor() as cursor:
            found = self._cards(cursor, [sample_id])
        return found[0] if found else None

    def labels(self, ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """id -> label -> its last value."""
        said = self._said
        return {i: said[i] for i in ids if i in said}

    def note_label(self, sample_id: str, label: str, value: str) -> None:
        """What was just stored, so that it is seen before the next look."""
        self._said = {**self._said, sample_id: {**self._said.get(sample_id, {}), label: value}}

    def story(self, sample_id: str) -> Story:
        """What `quality.why.why` tells, from the copy (without embeddings, hashes and the runs that measured); percentiles are
        counted among the samples of the lake, or `PART` of them. Raises `UsageError` for an id that is not there."""
        with self._cursor() as cursor:
            found = Lake(self.lake.address, cursor).rows("SELECT * FROM wide WHERE sample_id = CAST(? AS UUID)", [sample_id])
            if not found:
                raise UsageError(f"The lake has no sample {sample_id}.")
            (row,) = found
            lake = Lake(self.lake.address, cursor)
            captions = caption_history(lake, sample_id, f"served.captions_{self._generation}")
            copies = lake.rows(COPIES, [row["duplicate_group"]]) if row["duplicate_group"] else []
            signals: dict[str, dict[str, Any]] = {}
            for name, (operator, _) in wide_columns(self._operators).items():
                if name in row:
                    signals.setdefault(operator, {})[name] = row[name]
            found_places = places(cursor, f"served.part_{self._generation}", {n: v for one in signals.values() for n, v in one.items()})
        measured = {name: values for name, values in signals.items() if any(value is not None for value in values.values())}
        lineage = [
            {"operator": o.name, "fingerprint": o.fingerprint, "state": "measured" if o.name in measured else "nothing measured"}
            for o in self._operators
            if o.name in signals
        ]
        by_operator = {o: {name: found_places[name] for name in values if name in found_places} for o, values in measured.items()}
        said = tuple({"label": label, "value": value} for label, value in self.labels([sample_id]).get(sample_id, {}).items())
        return Story(row, measured, verdicts(self._rules, row), tuple(copies), tuple(lineage), by_operator, captions, said)

    def choices(self) -> dict[str, list[tuple[str, int]]]:
        """Values of the fixed filters with their counts."""
        return self._choices

    def whole_story(self, sample_id: str) -> Story:
        """`quality.why.why` itself."""
        with self.lake.connection.cursor() as cursor:
            cursor.execute(f"USE {ALIAS}")
            return why(Lake(self.lake.address, cursor), sample_id)

    @staticmethod
    def _offset(number: int) -> int:
        if not 1 <= number <= MOST_PAGES:
            raise UsageError(f"Page {number} is out of reach: pages 1 to {MOST_PAGES:,} can be seen. Filter or order differently.")
        return (number - 1) * PAGE

    @staticmethod
    def _cards(cursor: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> list[dict[str, Any]]:
        if not ids:
            return []
        names = ["id", *CARD]
        rows = cursor.execute(
            f"""SELECT CAST(sample_id AS VARCHAR), {", ".join(map(identifier, CARD))} FROM wide WHERE sample_id IN {id_list(ids)}"""
        )
        by_id = {row[0]: dict(zip(names, row, strict=True)) for row in rows.fetchall()}
        return [by_id[i] for i in ids if i in by_id]


CARD = (
    *("key", "source", "modality", "uri", "byte_offset", "byte_length", "caption", "format", "width", "height", "tier", "failed_rules"),
    *("is_duplicate", "duplicate_kind", "error", "clip_score", "aesthetic", "aigc_score"),
)
CHOICES = {
    "tier": "SELECT coalesce(tier, 'no tier'), count(*) FROM {} GROUP BY 1 ORDER BY 2 DESC",
    "source": "SELECT source, count(*) FROM {} GROUP BY 1 ORDER BY 2 DESC LIMIT 50",
    "rule": "SELECT rule, count(*) FROM (SELECT unnest(failed_rules) AS rule FROM {}) GROUP BY 1 ORDER BY 2 DESC LIMIT 60",
}
COPIES = f"""SELECT sample_id, source, key, width, height, duplicate_kind, is_duplicate, COLUMNS(c -> c IN
    ({", ".join(map(quote, EVIDENCE))})) FROM wide
    WHERE duplicate_group = CAST(? AS UUID) ORDER BY is_duplicate, key LIMIT 50"""
FIXED = {"tier": "coalesce(tier, 'no tier') = ?", "source": "source = ?", "rule": "list_contains(failed_rules, ?)"}


def _labels(cursor: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """id -> label -> last value, of all labels: people give thousands, not millions."""
    rows = cursor.execute("SELECT CAST(sample_id AS VARCHAR), label, arg_max(value, created_at) FROM labels GROUP BY ALL").fetchall()
    found: dict[str, dict[str, str]] = {}
    for sample_id, label, value in rows:
        found.setdefault(sample_id, {})[label] = value
    return found


def _text(value: Any) -> str:
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + " …"
