"""What the manifest remembers of exports."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from manifests.outage import outlasting
from manifests.store import Lake


@outlasting
def record_export(lake: Lake, export: Mapping[str, Any], shards: pa.Table) -> None:
    """One finished export and its shards (columns of the tables ``exports`` and ``shards``)."""
    with lake.transaction(f"export to {export['directory']}") as connection:
        names = ", ".join(export)
        connection.execute(f"INSERT INTO exports ({names}) VALUES ({', '.join('?' * len(export))})", list(export.values()))
        connection.register("new_shards", shards)
        connection.execute("INSERT INTO shards BY NAME SELECT * FROM new_shards")
        connection.unregister("new_shards")


@outlasting
def confirm_export(lake: Lake, export_id: str, snapshot: int) -> None:
    """An export that was made of an earlier snapshot is what this snapshot gives, too."""
    with lake.transaction("export is up to date") as connection:
        connection.execute("UPDATE exports SET snapshot = ? WHERE export_id = CAST(? AS UUID)", [snapshot, export_id])
