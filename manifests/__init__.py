"""What is known about the samples: a DuckLake catalog, its tables, and views over them."""

from manifests.opening import create_lake, open_lake
from manifests.store import Lake

__all__ = ["Lake", "create_lake", "open_lake"]
