"""What is in a lake and how far it got."""

import json
from typing import Any

from manifests import Lake
from manifests.connection import identifier, quote
from manifests.tables import signal_table
from manifests.wide import KEY_COLUMN, current_operators, narrow
from quality.timings import recorded_passes, slowest, timings

REASON_LENGTH = 120


def status(lake: Lake) -> dict[str, Any]:
    """Samples, sources, tiers, coverage of every operator, failed rules, errors by reason, the last runs and exports."""
    # Not ``wide`` itself, which joins every table there is.
    tiered, failing = narrow(lake.connection, "tier", "failed_rules"), narrow(lake.connection, "error")
    rules = lake.rows(
        f"""SELECT rule, count(*) AS samples FROM (SELECT unnest(failed_rules) AS rule FROM {tiered})
        GROUP BY rule ORDER BY samples DESC, rule"""
    )
    passes = recorded_passes(lake)
    return {
        "lake": str(lake.address),
        "snapshot": lake.snapshot(),
        "samples": lake.value("SELECT count(*) FROM refs WHERE NOT vanished"),
        "vanished": lake.value("SELECT count(*) FROM refs WHERE vanished"),
        "sources": lake.rows(
            f'SELECT source, count(*) AS samples, count("error") AS failed FROM {failing} GROUP BY source ORDER BY source'
        ),
        "tiers": lake.rows(
            f"SELECT coalesce(tier, 'no tier') AS tier, count(*) AS samples FROM {tiered} GROUP BY ALL ORDER BY samples DESC, tier"
        ),
        "operators": [coverage(lake, o.name, o.fingerprint, KEY_COLUMN[o.keyed_by]) for o in current_operators(lake.connection)],
        "failed_rules": rules,
        "errors": errors(lake),
        "runs": [
            row | {"counts": json.loads(row["counts"]) if row["counts"] else {}}
            for row in lake.rows(
                """SELECT CAST(run_id AS VARCHAR) AS run_id, command, recipe, engine, status,
                strftime(started_at, '%Y-%m-%d %H:%M:%S') AS started,
                strftime(finished_at, '%Y-%m-%d %H:%M:%S') AS finished, counts FROM runs ORDER BY started_at DESC LIMIT 10"""
            )
        ],
        "time": timings(passes),
        "slowest": slowest(lake, passes),
        "exports": lake.rows("SELECT tier, directory, samples, bytes, snapshot FROM exports ORDER BY finished_at DESC LIMIT 10"),
    }


def coverage(lake: Lake, operator: str, fingerprint: str, key: str) -> dict[str, Any]:
    """How many samples an operator measured, failed on, and has not seen."""
    table = identifier(signal_table(operator))
    (row,) = lake.rows(
        f"""SELECT count(t.key) - count(t."error") AS measured, count(t."error") AS failed, count(*) - count(t.key) AS missing
        FROM samples s LEFT JOIN (SELECT key, "error" FROM {table} WHERE fingerprint = {quote(fingerprint)}) t ON t.key = s.{key}
        WHERE NOT s.vanished"""
    )
    return {"operator": operator, **row}


def errors(lake: Lake, limit: int = 20) -> list[dict[str, Any]]:
    """Errors by kind, most frequent first, each with the first file it came from. Numbers in the text are ignored."""
    return lake.rows(
        f"""SELECT regexp_replace(left("error", {REASON_LENGTH}), '[0-9]+', 'N', 'g') AS reason, count(*) AS samples,
            min(key) AS first_key, any_value("error") AS example
        FROM {narrow(lake.connection, "error")} WHERE "error" IS NOT NULL
        GROUP BY reason ORDER BY samples DESC, reason LIMIT {int(limit)}"""
    )
