"""What an export leaves behind: its result, its index, and its row in the lake, by which the next run knows that it is done."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from manifests import Lake
from manifests.changes import inputs_version
from manifests.connection import quote
from manifests.exports import confirm_export, record_export
from pipelines.export_folder import ExportFolder
from pipelines.export_plan import (
    FORMAT,
    ExportPlan,
    ExportSettings,
    public_settings,
)
from pipelines.export_query import ExportQuery
from pipelines.shards import LeftOut, ShardRecord


@dataclass(frozen=True)
class ExportResult:
    """``left_out`` lists planned samples that could not be written; ``written`` counts shards this call wrote (0: nothing to do)."""

    directory: Path
    samples: int
    bytes: int
    shards: tuple[ShardRecord, ...]
    left_out: tuple[LeftOut, ...]
    written: int
    plan: str
    snapshot: int
    export_id: str


def index_of(plan: ExportPlan, query: ExportQuery, recipe: str, recipe_digest: str, records: Sequence[ShardRecord]) -> dict[str, Any]:
    """``index.json``: the same for the same data, recipe, seed and settings; no times, no snapshot."""
    written = [record for record in records if record.samples]
    extensions: dict[str, int] = {}
    for record in written:
        for name, count in record.extensions.items():
            extensions[name] = extensions.get(name, 0) + count
    return {
        "format": FORMAT,
        "plan": plan.digest,
        "recipe": recipe,
        "recipe_digest": recipe_digest,
        "settings": public_settings(query.settings),
        "columns": list(query.columns),
        "extensions": dict(sorted(extensions.items())),
        "planned": plan.samples,
        "samples": sum(record.samples for record in written),
        "left_out": sum(len(record.left_out) for record in records),
        "bytes": sum(record.bytes for record in written),
        "shards": [{"name": r.name, "samples": r.samples, "bytes": r.bytes, "sha256": r.sha256} for r in written],
    }


def remember_export(
    lake: Lake, settings: ExportSettings, result: ExportResult, recipe: str, recipe_digest: str, run_id: str | None, started: datetime
) -> None:
    """Add the export to the lake, once: its id is made of plan and folder. A known one is noted as true of this snapshot."""
    known = lake.query(f"SELECT count(*) AS n FROM exports WHERE export_id = CAST({quote(result.export_id)} AS UUID)")
    if known["n"][0].as_py():
        confirm_export(lake, result.export_id, result.snapshot)  # the next run need not plan it again
        return
    row = {
        "export_id": result.export_id,
        "run_id": run_id,
        "tier": settings.tier,
        "recipe": recipe,
        "recipe_digest": recipe_digest,
        "snapshot": result.snapshot,
        "seed": settings.seed,
        "directory": str(result.directory),
        "samples": result.samples,
        "bytes": result.bytes,
        "settings": json.dumps(public_settings(settings), sort_keys=True),
        "started_at": started,
        "finished_at": datetime.now(UTC),
    }
    shards = pa.table(
        {
            "export_id": pa.array([result.export_id] * len(result.shards), pa.string()),
            "name": pa.array([record.name for record in result.shards], pa.string()),
            "sha256": pa.array([record.sha256 for record in result.shards], pa.string()),
            "bytes": pa.array([record.bytes for record in result.shards], pa.int64()),
            "samples": pa.array([record.samples for record in result.shards], pa.int64()),
        }
    )
    record_export(lake, row, shards)


def finished_before(lake: Lake, settings: ExportSettings, recipe_digest: str) -> ExportResult | None:
    """The export that `pipelines.export.export` would find complete, when nothing in the lake changed since it was made; None: ask it.

    Spares planning, which reads every sample. Shards are looked at as `ExportFolder.finished_shards` does.
    """
    folder = ExportFolder(Path(settings.to).expanduser().resolve())
    plan = folder.plan()
    if plan is None or not folder.complete:
        return None
    export_id = export_id_of(plan, folder.path)
    rows = lake.rows(
        """SELECT snapshot, samples, bytes, (SELECT count(*) FROM shards s WHERE s.export_id = e.export_id) AS shards FROM exports e
        WHERE export_id = CAST(? AS UUID) AND recipe_digest = ? AND tier = ? AND snapshot >= ?""",
        [export_id, recipe_digest, settings.tier, inputs_version(lake, None)],
    )
    if not rows:
        return None
    records = [record for _, record in sorted(folder.finished_shards().items())]
    shards = tuple(record for record in records if record.samples)
    if len(shards) != rows[0]["shards"]:
        return None
    left_out = tuple(item for record in records for item in record.left_out)
    return ExportResult(folder.path, rows[0]["samples"], rows[0]["bytes"], shards, left_out, 0, plan, rows[0]["snapshot"], export_id)


def export_id_of(plan: str, path: Path) -> str:
    """The id (UUID) of an export: the same for the same plan in the same folder."""
    return str(uuid.uuid5(uuid.UUID(plan[:32]), str(path)))
