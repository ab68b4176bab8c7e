"""A lake to leaf through: pages of samples and results of SQL, read from a copy (`quality.lake_copy`) by many threads at once.

SQL that people type sees that copy under the name ``wide``, can only read, and is interrupted when it takes too long.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from manifests import Lake
from manifests.address import LakeAddress
from manifests.connection import ALIAS, id_list, identifier, quote
from manifests.errors import UsageError
from manifests.wide import EVIDENCE, PLACE_COLUMNS, wide_columns
from quality.lake_copy import LakeCopy
from quality.percentiles import places
from quality.sql_guard import check_expression, check_order, check_query, relation_columns
from quality.why import Story, caption_history, verdicts, why

PAGE, MOST_PAGES = 60, 2_000
"""Samples of a page, and pages that can be seen."""
MOST_ROWS, MOST_TEXT = 200, 2_000
"""Rows of a result that is no gallery, and characters of one cell of it."""
CARD = (
    *("key", "source", *PLACE_COLUMNS, "caption", "format", "width", "height", "tier", "failed_rules"),
    *("is_duplicate", "duplicate_kind", "error", "clip_score", "aesthetic", "aigc_score"),
)
COPIES = f"""SELECT sample_id, source, key, width, height, duplicate_kind, is_duplicate, COLUMNS(c -> c IN
    ({", ".join(map(quote, EVIDENCE))})) FROM wide
    WHERE duplicate_group = CAST(? AS UUID) ORDER BY is_duplicate, key LIMIT 50"""
FIXED = {"tier": "coalesce(tier, 'no tier') = ?", "source": "source = ?", "rule": "list_contains(failed_rules, ?)"}


@dataclass(frozen=True)
class Page:
    """``total`` samples; ``rows`` of this page. A result without sample_id has ``columns`` and is shown as a table."""

    total: int
    rows: list[dict[str, Any]]
    columns: tuple[str, ...] = ()


class Gallery:
    """Open it once; any thread may ask. Close it to remove the copy."""

    def __init__(self, lake: str | Path | LakeAddress, memory: str = "2GB") -> None:
        self._copy = LakeCopy(lake, memory)
        self.lake = self._copy.lake
        self.refresh = self._copy.refresh

    def close(self) -> None:
        self._copy.close()

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
        with self._copy.cursor() as cursor:
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
        with self._copy.cursor() as cursor:
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
        with self._copy.cursor() as cursor:
            found = self._cards(cursor, [sample_id])
        return found[0] if found else None

    def labels(self, ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """id -> label -> its last value."""
        said = self._copy.labels
        return {i: said[i] for i in ids if i in said}

    def note_label(self, sample_id: str, label: str, value: str) -> None:
        """What was just stored, so that it is seen before the next look."""
        said = self._copy.labels
        self._copy.labels = {**said, sample_id: {**said.get(sample_id, {}), label: value}}

    def story(self, sample_id: str) -> Story:
        """What `quality.why.why` tells, from the copy (without embeddings, hashes and the runs that measured); percentiles are
        counted among the samples of the lake, or `quality.lake_copy.PART` of them. Raises `UsageError` for an id that is not there."""
        with self._copy.cursor() as cursor:
            found = Lake(self.lake.address, cursor).rows("SELECT * FROM wide WHERE sample_id = CAST(? AS UUID)", [sample_id])
            if not found:
                raise UsageError(f"The lake has no sample {sample_id}.")
            (row,) = found
            lake = Lake(self.lake.address, cursor)
            captions = caption_history(lake, sample_id, self._copy.table("captions"))
            copies = lake.rows(COPIES, [row["duplicate_group"]]) if row["duplicate_group"] else []
            signals: dict[str, dict[str, Any]] = {}
            for name, (operator, _) in wide_columns(self._copy.operators).items():
                if name in row:
                    signals.setdefault(operator, {})[name] = row[name]
            found_places = places(cursor, self._copy.table("part"), {n: v for one in signals.values() for n, v in one.items()})
        measured = {name: values for name, values in signals.items() if any(value is not None for value in values.values())}
        lineage = [
            {"operator": o.name, "fingerprint": o.fingerprint, "state": "measured" if o.name in measured else "nothing measured"}
            for o in self._copy.operators
            if o.name in signals
        ]
        by_operator = {o: {name: found_places[name] for name in values if name in found_places} for o, values in measured.items()}
        said = tuple({"label": label, "value": value} for label, value in self.labels([sample_id]).get(sample_id, {}).items())
        return Story(row, measured, verdicts(self._copy.rules, row), tuple(copies), tuple(lineage), by_operator, captions, said)

    def choices(self) -> dict[str, list[tuple[str, int]]]:
        """Values of the fixed filters with their counts."""
        return self._copy.choices

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


def _text(value: Any) -> str:
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + " …"
