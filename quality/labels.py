"""Labels that people gave, beside what was measured: a file or the lake's table ``labels``, joined to a signal."""

import glob
import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from manifests import Lake
from manifests.connection import identifier, quote
from manifests.errors import UsageError
from quality.curves import Bools, Floats
from quality.sql_guard import check_expression
from quality.sql_tree import nearest, plain_message

READERS = {
    ".csv": "read_csv(?, header = true, all_varchar = true)",
    ".tsv": "read_csv(?, header = true, all_varchar = true, delim = '\t')",
    ".jsonl": "read_json(?, format = 'newline_delimited')",
    ".ndjson": "read_json(?, format = 'newline_delimited')",
    ".json": "read_json(?)",
    ".parquet": "read_parquet(?)",
}
KEYS = ("sample_id", "key")
PAIRS = (
    *(("good", "bad"), ("1", "0"), ("true", "false"), ("yes", "no"), ("y", "n"), ("t", "f"), ("pass", "fail")),
    *(("keep", "drop"), ("accept", "reject"), ("positive", "negative"), ("match", "mismatch")),
)
"""(good, bad) values that are understood without being told."""


@dataclass(frozen=True)
class Labels:
    """One row a label, as texts: ``keys`` are sample ids or keys, by ``by``; ``source`` narrows a key down, where the file has it."""

    keys: tuple[str, ...]
    values: tuple[str, ...]
    by: str
    sources: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Labelled:
    """Scores of labelled samples, and what became of all labels. ``scores`` and ``good`` have one value a usable sample.

    ``unmatched``: keys that no sample of the lake has. ``ambiguous``: keys of several samples. ``contradictory``: sample
    keys with both labels. ``unmeasured``: keys of samples whose signal is unknown. ``unused``: labels that are neither
    good nor bad. ``good_values`` and ``bad_values``: what was taken for good and for bad.
    """

    scores: Floats
    good: Bools
    good_values: tuple[str, ...]
    bad_values: tuple[str, ...]
    unused: int
    unmatched: tuple[str, ...]
    ambiguous: tuple[str, ...]
    contradictory: tuple[str, ...]
    unmeasured: tuple[str, ...]


def read_labels(path: Path, key_column: str | None = None, label_column: str | None = None) -> Labels:
    """Labels from a CSV, TSV, JSON, JSONL or Parquet file.

    ``key_column``: by default ``sample_id`` or ``key``; its values are sample ids if it is named ``sample_id``.
    ``label_column``: by default ``label``, or the only other column. Raises `UsageError` naming the columns there are.
    """
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix not in READERS:
        raise UsageError(f"{path} is no table that can be read here. Give a file that ends with {', '.join(READERS)}.")
    if not path.is_file():
        raise UsageError(f"There is no file {path}. Give a table of labels, or 'lake' for those in the lake's table labels.")
    try:
        with duckdb.connect() as connection:
            rows = READERS[suffix].replace("?", quote(glob.escape(str(path))))
            names = [str(row[0]) for row in connection.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()]
            key = _column(path, names, key_column, KEYS, "--key-column")
            others = [name for name in names if name not in (key, "source")]
            label = _column(path, names, label_column, ("label", *(others if len(others) == 1 else ())), "--label-column")
            parts = [key, label, *(["source"] if "source" in names and key != "sample_id" else [])]
            texts = ", ".join(f"coalesce(CAST({identifier(name)} AS VARCHAR), '')" for name in parts)
            found = connection.execute(f"SELECT {texts} FROM {rows}").fetchall()
    except duckdb.Error as error:
        raise UsageError(f"{path} cannot be read as {suffix}: {plain_message(error)}") from error
    columns = list(zip(*found, strict=True)) or [() for _ in parts]
    return Labels(columns[0], columns[1], "sample_id" if key == "sample_id" else "key", columns[2] if len(parts) == 3 else None)


def _column(path: Path, names: Sequence[str], wanted: str | None, usual: Sequence[str], option: str) -> str:
    if wanted is not None:
        if wanted not in names:
            raise UsageError(f"{path} has no column {wanted!r}.{nearest(wanted, names)} It has: {', '.join(names)}.")
        return wanted
    found = next((name for name in usual if name in names), None)
    if found is None:
        raise UsageError(f"Which column of {path} is meant? It has: {', '.join(names)}. Name one with {option}.")
    return found


def given_labels(lake: Lake, labels: Path | str, key_column: str | None = None, label_column: str | None = None) -> Labels:
    """``"lake"``: the lake's table ``labels``; anything else is the path of a table."""
    return stored_labels(lake, label_column) if str(labels) == "lake" else read_labels(Path(labels), key_column, label_column)


def stored_labels(lake: Lake, label: str | None = None) -> Labels:
    """Labels in the lake's table ``labels``: the last value of each sample under the name ``label`` (not needed if there is one)."""
    names = [row["label"] for row in lake.rows("SELECT DISTINCT label FROM labels ORDER BY label")]
    if label is None and len(names) == 1:
        label = names[0]
    if not names:
        raise UsageError("The lake's table labels is empty: mark samples with `goldsieve serve LAKE --label`.")
    if label not in names:
        missing = f"has no labels {label!r}" if label else "has several kinds of labels"
        raise UsageError(f"The lake's table labels {missing}. It has: {', '.join(map(str, names))}. Name one with --label-column.")
    rows = lake.rows(
        """SELECT CAST(sample_id AS VARCHAR) AS id, coalesce(arg_max(value, created_at), '') AS value FROM labels
        WHERE label = ? GROUP BY sample_id ORDER BY id""",
        [label],
    )
    return Labels(tuple(row["id"] for row in rows), tuple(row["value"] for row in rows), "sample_id")


def join(lake: Lake, signal: str, labels: Labels, good: Sequence[str] = (), bad: Sequence[str] = ()) -> Labelled:
    """Labels beside the signal (a column of ``wide`` or a numeric SQL expression over it).

    ``good`` and ``bad`` are label values. Given one of them, every other label but the empty one is the other; given none,
    usual pairs (good/bad, 1/0, true/false, ...) are understood. Raises `UsageError`, `SqlError`.
    """
    check_expression(lake.connection, signal, "wide", "NUMBER", "signal")
    good_values, bad_values = classes(labels.values, good, bad)
    verdicts: dict[tuple[str, str | None], set[bool]] = defaultdict(set)
    unused = 0
    for i, (key, value) in enumerate(zip(labels.keys, labels.values, strict=True)):
        if (text := plain(value)) in good_values or text in bad_values:
            verdicts[_key(key, labels.by), labels.sources[i] if labels.sources else None].add(text in good_values)
        else:
            unused += 1
    asked = list(verdicts)
    table = pa.table(
        {
            "n": pa.array(range(len(asked)), pa.int64()),
            "name": [k for k, _ in asked],
            "source": pa.array([s for _, s in asked], pa.string()),
        }
    )
    lake.connection.register("goldsieve_labels", table)
    try:
        rows = lake.connection.execute(
            f"""SELECT l.n, count(w.sample_id), min(w.value) FROM goldsieve_labels l LEFT JOIN (
                SELECT sample_id, key, source, CAST(TRY(({signal}\n)) AS DOUBLE) AS value FROM wide
            ) w ON l.name = CAST(w.{labels.by} AS VARCHAR) AND (l.source IS NULL OR l.source = w.source) GROUP BY l.n ORDER BY l.n"""
        ).fetchall()
    finally:
        lake.connection.unregister("goldsieve_labels")
    lists: dict[str, list[str]] = {"unmatched": [], "ambiguous": [], "contradictory": [], "unmeasured": []}
    scores, verdict = [], []
    for n, matches, value in rows:
        name, said = asked[n][0], verdicts[asked[n]]
        if matches != 1:
            lists["ambiguous" if matches else "unmatched"].append(name)
        elif len(said) > 1:
            lists["contradictory"].append(name)
        elif value is None or not np.isfinite(value):
            lists["unmeasured"].append(name)
        else:
            scores.append(value)
            verdict.append(said == {True})
    return Labelled(
        np.array(scores, np.float64),
        np.array(verdict, np.bool_),
        good_values,
        bad_values,
        unused,
        *(tuple(names) for names in lists.values()),
    )


def classes(values: Sequence[str], good: Sequence[str] = (), bad: Sequence[str] = ()) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which of the label values are good and which bad, in plain spelling. Raises `UsageError` that lists the values."""
    counts = Counter(map(plain, values))
    ups, downs = tuple(map(plain, good)), tuple(map(plain, bad))
    shown = ", ".join(f"{value or '(empty)'} ({count:,})" for value, count in counts.most_common(10))
    if missing := [value for value in (*ups, *downs) if value not in counts]:
        raise UsageError(f"No label is {missing[0]!r}. The labels are: {shown}.")
    if both := set(ups) & set(downs):
        raise UsageError(f"The label {min(both)!r} is given as good and as bad.")
    rest = tuple(sorted(set(counts) - {*ups, *downs, ""}))
    if not ups and not downs:
        pair = next((pair for pair in PAIRS if set(rest) <= set(pair)), None)
        if pair is None or not rest:
            raise UsageError(f"Which label means good? Name it with --good. The labels are: {shown or 'none'}.")
        return (pair[0],), (pair[1],)
    return (ups or rest), (downs or rest)


def plain(value: str) -> str:
    """A label without case, spaces around it and a zero fraction: ``1.0`` is ``1``."""
    text = value.strip().casefold()
    return text[:-2] if text in ("1.0", "0.0") else text


def _key(key: str, by: str) -> str:
    """A sample id in its usual spelling; other keys as they are."""
    if by == "sample_id":
        try:
            return str(uuid.UUID(key.strip()))
        except ValueError:
            return key
    return key
