"""Counts of what workers did, through Ray's metrics: Prometheus reads them from each node (see docs/operations.md)."""

from typing import Any

from pipelines.worker import BlockResult


class Metrics:
    """Made in a worker process of Ray."""

    def __init__(self) -> None:
        from ray.util import metrics

        tags = {"tag_keys": ("operator",)}
        self.samples: Any = metrics.Counter("goldsieve_samples_measured", "Results by operator.", **tags)
        self.errors: Any = metrics.Counter("goldsieve_errors", "Failed results by operator.", **tags)
        self.seconds: Any = metrics.Counter("goldsieve_operator_seconds", "Seconds by operator and step, over all threads.", **tags)
        self.memory: Any = metrics.Gauge("goldsieve_worker_peak_bytes", "The most memory that a worker process held.")

    def add(self, result: BlockResult) -> None:
        for outcome in result.outcomes:
            tag = {"operator": outcome.operator}
            if outcome.rows:
                self.samples.inc(outcome.rows, tag)
            if outcome.errors:
                self.errors.inc(outcome.errors, tag)
        for name, took in result.timing.seconds.items():
            if took > 0:
                self.seconds.inc(took, {"operator": name})
        if result.timing.memory:
            self.memory.set(result.timing.memory)
