"""Balance on Flickr8k with the concepts of the starter: caps, order of the input, the best kept. Point 5.

    python -m benchmarks.balance [--folder DIR] [--all] [--cap 20]

Needs the evaluation data. Default: its val and test pictures (870); --all: the train pictures too. With --folder the lake stays there.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.common import DATA, Checks
from manifests import Lake, create_lake, open_lake
from pipelines.ingest import ingest
from pipelines.progress import Reporter
from pipelines.run import default_uses, measure_with, recorded_run
from pipelines.sources import SourceSpec
from quality.rule_reader import parse_tiers
from quality.tiers import compile_tiers

OPERATORS = ("image_embedding", "aesthetic", "concept")
COLUMNS = 'sample_id, concept, aesthetic, concept_score, "error"'


def build(lake_path: Path, names: list[str]) -> None:
    with create_lake(lake_path) as lake, recorded_run(lake, "measure", None, "inline") as (run_id, _):
        for name in names:
            ingest(lake, SourceSpec(str(DATA / "flickr8k" / name), "webdataset", None), Reporter(quiet=True), again=False)
        measure_with(lake, default_uses(OPERATORS), "inline", None, run_id, Reporter(quiet=True))


def chosen(lake: Lake, relation: str, rules: dict[str, object]) -> set[str]:
    compiled = compile_tiers(lake.connection, parse_tiers({"gold": rules}), relation)
    rows = lake.rows(f"SELECT CAST(sample_id AS VARCHAR) AS id FROM ({compiled.select_sql}) WHERE tier = 'gold'")
    return {row["id"] for row in rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--cap", type=int, default=20)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="balance-"))
    names = sorted(p.name for p in (DATA / "flickr8k").glob("*.tar") if options.all or not p.name.startswith("train"))
    build(folder / "lake", names)
    checks = Checks()
    with open_lake(folder / "lake") as lake:
        for name, order in (("sorted", "sample_id"), ("backwards", "sample_id DESC"), ("shuffled", "hash(sample_id)")):
            lake.connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {COLUMNS} FROM wide ORDER BY {order}")
        total, concepts = lake.connection.execute("SELECT count(*), count(DISTINCT concept) FROM sorted").fetchone() or (0, 0)
        print(f"{total:,} pictures, {concepts} concepts; the largest:")
        for row in lake.rows("SELECT concept, count(*) AS n FROM sorted GROUP BY 1 ORDER BY n DESC LIMIT 8"):
            print(f"  {row['concept']:<20}{row['n']:>6}")
        rules: dict[str, object] = {"balance": {"by": "concept", "cap": options.cap, "prefer": "aesthetic"}}
        kept = chosen(lake, "sorted", rules)
        lake.connection.execute(f"CREATE OR REPLACE TEMP TABLE kept AS SELECT CAST(unnest({sorted(kept)!r}) AS UUID) AS sample_id")
        over = lake.value(
            f"""SELECT count(*) FROM (SELECT concept, count(*) AS n, count(k.sample_id) AS k FROM sorted s
            LEFT JOIN kept k USING (sample_id)             WHERE concept IS NOT NULL GROUP BY 1) WHERE k <> least(n, {options.cap})"""
        )
        checks("concepts that do not have exactly min(cap, their number)", over, "= 0", (over) == 0)
        worse = lake.value(
            """SELECT count(*) FROM sorted a JOIN sorted b USING (concept)
            WHERE a.sample_id IN (FROM kept) AND b.sample_id NOT IN (FROM kept)
            AND (b.aesthetic > a.aesthetic OR b.aesthetic = a.aesthetic AND b.sample_id < a.sample_id)"""
        )
        checks("pairs in which the worse scored one was kept", worse, "= 0", (worse) == 0)
        checks(
            "kept of the same pictures backwards",
            len(kept ^ chosen(lake, "backwards", rules)),
            "= 0",
            (len(kept ^ chosen(lake, "backwards", rules))) == 0,
        )
        checks(
            "kept of the same pictures shuffled",
            len(kept ^ chosen(lake, "shuffled", rules)),
            "= 0",
            (len(kept ^ chosen(lake, "shuffled", rules))) == 0,
        )
        mixed = chosen(lake, "sorted", {"mix": {"where": "concept_score < 0.2", "max_share": 0.1, "prefer": "aesthetic"}})
        lake.connection.execute(f"CREATE OR REPLACE TEMP TABLE mixed AS SELECT CAST(unnest({sorted(mixed)!r}) AS UUID) AS sample_id")
        share = lake.value("SELECT avg((concept_score < 0.2)::INT) FROM sorted WHERE sample_id IN (FROM mixed)")
        checks("share of the limited kind is at most 0.1", bool(share <= 0.1), "= True", bool(share <= 0.1))
        print(f"      it is {share:.4f}; {len(kept):,} of {total:,} kept by the cap")
    checks.end()


if __name__ == "__main__":
    main()
