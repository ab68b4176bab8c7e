"""Where the time of a lake's runs went: by operator and step, and the samples that took longest to read and decode."""

import json
from collections import defaultdict
from typing import Any

from manifests import Lake
from manifests.connection import id_list

RUNS = 20


Passes = list[dict[str, Any]]
"""What runs recorded of their passes (`pipelines.measure.PassResult.as_dict`)."""


def timings(passes: Passes) -> list[dict[str, Any]]:
    """Operators and steps, those that took longest first.

    ``seconds`` are added over all threads; ``samples`` are those of the passes in which the operator ran; ``share`` is of all seconds;
    ``memory_mb`` is the most that a worker process of such a pass held.
    """
    seconds: dict[str, float] = defaultdict(float)
    samples: dict[str, int] = defaultdict(int)
    memory: dict[str, int] = defaultdict(int)
    for one in passes:
        for name, took in one["timing"]["seconds"].items():
            seconds[name] += took
            samples[name] += one["samples"]
            memory[name] = max(memory[name], one["timing"]["memory"])
    total = sum(seconds.values()) or 1.0
    return [
        {
            "step": name,
            "seconds": round(took, 2),
            "share": round(took / total, 4),
            "samples": samples[name],
            "ms_a_sample": round(1000 * took / samples[name], 3) if samples[name] else None,
            "memory_mb": round(memory[name] / 1e6) or None,
        }
        for name, took in sorted(seconds.items(), key=lambda item: -item[1])
    ]


def slowest(lake: Lake, passes: Passes, limit: int = 10) -> list[dict[str, Any]]:
    """The samples of these passes that took longest to read and decode, with their keys."""
    took: dict[str, float] = {}
    for one in passes:
        for row in one["timing"]["slowest"]:
            took[row["sample_id"]] = max(row["seconds"], took.get(row["sample_id"], 0.0))
    first = dict(sorted(took.items(), key=lambda item: -item[1])[:limit])
    if not first:
        return []
    rows = lake.rows(
        f"SELECT CAST(sample_id AS VARCHAR) AS sample_id, key, uri, format, width, height FROM samples WHERE sample_id IN {id_list(first)}"
    )
    return sorted(({"seconds": first[row["sample_id"]], **row} for row in rows), key=lambda row: -float(row["seconds"]))


def recorded_passes(lake: Lake) -> Passes:
    """Of the last `RUNS` runs that measured."""
    rows = lake.rows(
        f"""SELECT CAST(counts AS VARCHAR) AS counts FROM runs WHERE json_array_length(counts, '$.passes') > 0
        ORDER BY started_at DESC LIMIT {RUNS}"""
    )
    return [one for row in rows for one in json.loads(row["counts"])["passes"] if "timing" in one]
