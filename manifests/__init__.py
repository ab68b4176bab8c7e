"""What is known about the samples: a DuckLake catalog, its tables, and views over them."""

from manifests.store import Lake, create_lake, open_lake

__all__ = ["Lake", "create_lake", "open_lake"]
