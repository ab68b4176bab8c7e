import gzip
import json
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests.errors import SqlError, UsageError
from quality.labels import Labels, classes, join, read_labels, stored_labels

ROWS = [{"key": "a.b", "label": "good"}, {"key": "c,d", "label": "bad"}, {"key": "日本", "label": ""}]


def write(path, rows):
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(r) for r in rows), encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        text = ",".join(rows[0]) + "\n" + "\n".join(",".join(f'"{v}"' for v in r.values()) for r in rows) + "\n"
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["l.csv", "l.csv.gz", "l.jsonl", "l.json", "l.parquet", "l [1] *.csv"])
def test_all_kinds_of_table(tmp_path, name):
    (tmp_path / "l 1 x.csv").write_text("key,label\nother,bad\n")  # what the name would match if it were a pattern
    assert read_labels(write(tmp_path / name, ROWS)) == Labels(("a.b", "c,d", "日本"), ("good", "bad", ""), "key")


def test_columns_are_guessed_or_named(tmp_path):
    path = write(tmp_path / "l.csv", [{"sample_id": "x", "ok": "1"}])
    assert read_labels(path) == Labels(("x",), ("1",), "sample_id")
    path = write(tmp_path / "l.jsonl", [{"name": "x", "source": "web", "match": True, "note": "n"}])
    with pytest.raises(UsageError, match="--key-column"):
        read_labels(path)
    with pytest.raises(UsageError, match=r"name, source, match, note.*--label-column"):
        read_labels(path, "name")
    with pytest.raises(UsageError, match="Did you mean 'match'"):
        read_labels(path, "name", "mtch")
    assert read_labels(path, "name", "match") == Labels(("x",), ("true",), "key", ("web",))


@pytest.mark.parametrize(("name", "content"), [("l.parquet", b"no parquet"), ("l.json", b"{"), ("l.csv.gz", b"no gzip")])
def test_broken_files_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=name):
        read_labels(tmp_path / name)


def test_files_that_are_not_there_or_no_tables(tmp_path):
    with pytest.raises(UsageError, match="no file"):
        read_labels(tmp_path / "l.csv")
    with pytest.raises(UsageError, match="no table that can be read"):
        read_labels(tmp_path / "l.txt")


def test_classes():
    assert classes(["Good", "bad ", ""]) == (("good",), ("bad",))
    assert classes(["1.0", "0.0"]) == (("1",), ("0",))
    assert classes(["true", "true"]) == (("true",), ("false",))
    assert classes(["cat", "dog", "cow", ""], good=["Cat"]) == (("cat",), ("cow", "dog"))
    assert classes(["", "blurred", "dark"], good=[""], bad=["blurred"]) == (("",), ("blurred",))
    with pytest.raises(UsageError, match=r"cat \(1\), dog \(1\)"):
        classes(["cat", "dog"])
    with pytest.raises(UsageError, match="No label is 'cow'"):
        classes(["cat", "dog"], good=["cow"])
    with pytest.raises(UsageError, match="as good and as bad"):
        classes(["cat"], ["cat"], ["cat"])
    with pytest.raises(UsageError, match="none"):
        classes([])


def test_what_cannot_be_used_is_named(scored):
    lake = scored({"a": 0.1, "b": 0.2, "c": None, "d": float("nan"), "e": 0.5})
    labels = Labels(("a", "b", "c", "d", "e", "e", "b", "nobody", "a"), ("1", "0", "1", "1", "1", "0", "0", "1", "?"), "key")
    found = join(lake, "clip_score", labels, good=["1"], bad=["0"])
    assert found.scores.tolist() == pytest.approx([0.1, 0.2])
    assert found.good.tolist() == [True, False]
    assert (found.unmatched, found.contradictory, found.unmeasured, found.unused) == (("nobody",), ("e",), ("c", "d"), 1)


def test_one_key_in_two_sources(scored):
    lake = scored({"a": 0.1, "b": 0.2}, sources=("web", "shop"))
    assert join(lake, "clip_score", Labels(("a", "b"), ("1", "0"), "key")).ambiguous == ("a", "b")
    shop = join(lake, "clip_score", Labels(("a", "b"), ("1", "0"), "key", ("shop", "shop")))
    assert (shop.ambiguous, shop.unmatched) == ((), ())


def test_sample_ids_in_any_spelling(scored):
    lake = scored({"a": 0.1, "b": 0.2})
    ids = [str(r["sample_id"]) for r in lake.rows("SELECT sample_id FROM wide ORDER BY key")]
    found = join(lake, "clip_score", Labels((ids[0].upper(), uuid.UUID(ids[1]).hex, "not an id"), ("1", "0", "1"), "sample_id"))
    assert found.scores.tolist() == pytest.approx([0.1, 0.2])
    assert found.unmatched == ("not an id",)


def test_signals_may_be_expressions_but_nothing_else(scored):
    lake = scored({"a": 0.1, "b": 0.2})
    labels = Labels(("a", "b"), ("1", "0"), "key")
    assert join(lake, "clip_score * 2", labels).scores.tolist() == pytest.approx([0.2, 0.4])
    for bad in ("clip_skore", "caption", "clip_score > 0", "(select 1)", "1) FROM wide; DROP TABLE refs; --"):
        with pytest.raises(SqlError):
            join(lake, bad, labels)


def test_labels_of_the_lake(scored):
    lake = scored({"a": 0.1, "b": 0.2})
    with pytest.raises(UsageError, match="empty"):
        stored_labels(lake)
    for key, value, when in [("a", "bad", "2026-01-01"), ("a", "good", "2026-01-02"), ("b", "bad", "2026-01-01")]:
        lake.connection.execute(
            "INSERT INTO labels SELECT sample_id, 'match', ?, 'me', CAST(? AS TIMESTAMPTZ) FROM wide WHERE key = ?", [value, when, key]
        )
    found = join(lake, "clip_score", stored_labels(lake))
    assert dict(zip(found.scores.round(3).tolist(), found.good.tolist(), strict=True)) == {0.1: True, 0.2: False}
    with pytest.raises(UsageError, match="It has: match"):
        stored_labels(lake, "other")
