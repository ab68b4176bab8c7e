"""Time to sort a manifest by rules: 1,000,000 samples x 15 signals in Parquet, ``wide`` a view with 15 joins, 9 rules.

python benchmarks/tiers.py [SAMPLES] [THREADS]
"""

import sys
import tempfile
import time
from pathlib import Path

import duckdb

from quality.funnel import funnel, movement
from quality.rule_reader import parse_tiers
from quality.tiers import compile_tiers

SIGNALS = ("aesthetic", "clip_score", "aigc_score", "sharpness", "brightness", "contrast", "entropy", "nsfw", "text_area", "faces", "phash")
RULES = {
    "silver": {
        "readable": "error is null",
        "big enough": "least(width, height) >= 256",
        "matches": "clip_score >= 0.26",
        "unique": "not is_duplicate",
    },
    "gold": {
        "from": "silver",
        "pretty": "aesthetic >= 0.5",
        "real": "style <> 'photo' or aigc_score < 0.5",
        "top": "90% by aesthetic",
        "balance": {"by": "concept", "cap": 500, "prefer": "aesthetic"},
        "mix": {"where": "aigc_score >= 0.5", "max_share": 0.10},
    },
}


def build(con: duckdb.DuckDBPyConnection, folder: Path, samples: int) -> None:
    """Synthetic Parquet tables keyed by hash, and the view that joins them."""
    extra = {
        "style": "['photo', 'art', 'sketch'][1 + (random() * 2)::INT]",
        "concept": "'concept ' || (random() * 200)::INT",
        "is_duplicate": "random() < 0.1",
        "caption_words": "(random() * 40)::INT",
    }
    con.execute("SELECT setseed(0.5)")
    con.execute(
        f'COPY (SELECT uuid() AS sample_id, uuid() AS media_hash, NULL::VARCHAR AS "error", (random() * 1000)::INT AS width, '
        f"(random() * 1000)::INT AS height, 'caption number ' || i AS caption FROM range({samples}) t(i)) TO '{folder}/samples.parquet'"
    )
    joins = []
    for name in (*SIGNALS, *extra):
        value = extra.get(name, "random()::FLOAT")
        con.execute(f"COPY (SELECT media_hash AS key, {value} AS {name} FROM '{folder}/samples.parquet') TO '{folder}/{name}.parquet'")
        joins.append(f"LEFT JOIN '{folder}/{name}.parquet' AS t_{name} ON t_{name}.key = s.media_hash")
    columns = ", ".join(f"t_{name}.{name}" for name in (*SIGNALS, *extra))
    con.execute(f"CREATE VIEW wide AS SELECT s.*, {columns} FROM '{folder}/samples.parquet' AS s {' '.join(joins)}")


def main() -> None:
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    con = duckdb.connect()
    con.execute(f"SET threads = {threads}")
    con.execute("SET enable_progress_bar = false")
    with tempfile.TemporaryDirectory() as folder:
        build(con, Path(folder), samples)
        started = time.perf_counter()
        compiled = compile_tiers(con, parse_tiers(RULES))
        print(f"compile   {time.perf_counter() - started:6.2f} s   reads {', '.join(compiled.columns)}")
        for attempt in range(3):
            started, cpu = time.perf_counter(), time.process_time()
            con.execute(f"CREATE OR REPLACE TEMP TABLE answer AS {compiled.select_sql}")
            took, worked = time.perf_counter() - started, time.process_time() - cpu
            print(f"select {attempt}  {took:6.2f} s   {worked:6.2f} s of processor time   {samples:,} samples, {threads} threads")
        started = time.perf_counter()
        rows = funnel(con, compiled)
        print(f"funnel    {time.perf_counter() - started:6.2f} s   {len(rows)} rows")
        changed = {**RULES, "gold": {**RULES["gold"], "pretty": "aesthetic >= 0.6"}}
        started = time.perf_counter()
        moves = movement(con, compile_tiers(con, parse_tiers(changed)), "SELECT sample_id, tier FROM answer")
        print(f"movement  {time.perf_counter() - started:6.2f} s   {sum(move.count for move in moves):,} samples would move")
        print(con.execute("SELECT tier, count(*) FROM answer GROUP BY tier ORDER BY 2 DESC").fetchall())


if __name__ == "__main__":
    main()
