"""What a lake no longer needs: failed results that are to be measured again, files that no snapshot knows."""

from collections.abc import Sequence
from pathlib import Path

from manifests.connection import ALIAS, identifier, quote
from manifests.storage import is_remote
from manifests.store import Lake
from manifests.tables import signal_table
from manifests.wide import current_operators


def failed_sql(error: str = "") -> str:
    """Condition on a failed result; ``error``: text that its error has, numbers in it as they are or as N."""
    text = quote(error.lower())
    kind = f" AND (contains(lower(\"error\"), {text}) OR contains(lower(regexp_replace(\"error\", '[0-9]+', 'N', 'g')), {text}))"
    return '"error" IS NOT NULL' + (kind if error else "")


def forget_failures(lake: Lake, operators: Sequence[str] | None = None, error: str = "") -> int:
    """Remove failed results, so that the next run measures them again; returns how many. None: all operators and reads."""
    total = 0
    names = [o.name for o in current_operators(lake.connection)]
    with lake.transaction("retry") as connection:
        tables = [signal_table(n) for n in names if operators is None or n in operators]
        for table in tables + (["media"] if operators is None else []):
            total += int(lake.value(f"SELECT count(*) FROM {identifier(table)} WHERE {failed_sql(error)}") or 0)
            connection.execute(f"DELETE FROM {identifier(table)} WHERE {failed_sql(error)}")
        if operators is None:
            connection.execute("DELETE FROM listings")  # what listing could not read may be readable now
    return total


def collect_garbage(lake: Lake, *, dry_run: bool = False) -> list[str]:
    """Delete files in the data path that no snapshot knows, and parts that were merged; returns their names. Hold the lease."""
    removed = []
    for collect in ("ducklake_cleanup_old_files", "ducklake_delete_orphaned_files"):
        call = f"CALL {collect}('{ALIAS}', cleanup_all => true, dry_run => {str(dry_run).lower()})"
        removed += [str(row[0]) for row in lake.connection.execute(call).fetchall()]
    if not is_remote(lake.address.data):
        unfinished = [str(p) for p in Path(lake.address.data).glob("**/.part-*.parquet")]
        if lake.address.folder and lake.address.is_local:
            unfinished += [str(p) for p in lake.address.folder.glob(f".{lake.address.catalog_file.name}.*")]
        if not dry_run:
            for path in unfinished:
                Path(path).unlink(missing_ok=True)
        removed += [p for p in unfinished if p not in removed]
    return removed
