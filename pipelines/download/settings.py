"""What a source of kind ``urls`` may say about downloading."""

from dataclasses import dataclass
from typing import Literal

from manifests.errors import UsageError

MB = 1_000_000
MOST_BYTES = 512 << 20
AGENT = "goldsieve"
"""The name by which robots.txt and X-Robots-Tag may address us."""


@dataclass(frozen=True)
class DownloadSettings:
    """How a list of URLs is downloaded. docs/sources.md explains each.

    ``to``: folder for the shards; empty: ``downloads/SOURCE`` in the lake's folder.
    ``concurrency``, ``per_host``: requests at a time. ``retries``: further attempts after a fault that may pass.
    ``connect_s``, ``read_s``, ``total_s``: seconds to connect, between two pieces of a body, and for one request in all.
    ``max_wait_s``: the longest pause before another attempt; a server that asks for more is given up for this run.
    ``types``: what a body may be, by its first bytes. ``max_bytes``: its largest size, decompressed.
    ``ports``: allowed besides none given; empty: 80 and 443, or any with ``allow_private``.
    ``allow_private``: addresses that are not public may be reached. ``respect_opt_out``: see `robots` and `opt_out`.
    ``agents``: names whose rules in robots.txt and X-Robots-Tag are obeyed; the first is also sent as User-Agent, with ``contact`` in it.
    ``hash_column``: column with the expected MD5 or SHA-256 in hex; empty: ``sha256`` or ``md5`` where the list has one.
    ``shard_rows``: rows of the list in one shard. ``processes``: 0 is one a core, at most four; they share the limits.
    Raises `UsageError` for values that cannot be meant.
    """

    to: str = ""
    concurrency: int = 256
    per_host: int = 16
    retries: int = 2
    connect_s: float = 10.0
    read_s: float = 20.0
    total_s: float = 120.0
    max_wait_s: float = 60.0
    max_redirects: int = 5
    max_bytes: int = 50 * MB
    types: tuple[Literal["image", "video"], ...] = ("image",)
    ports: tuple[int, ...] = ()
    allow_private: bool = False
    respect_opt_out: bool = True
    check_certificates: bool = True
    agents: tuple[str, ...] = (AGENT,)
    contact: str = ""
    hash_column: str = ""
    shard_rows: int = 10_000
    processes: int = 0

    def __post_init__(self) -> None:
        for name in ("concurrency", "per_host", "max_bytes", "shard_rows", "connect_s", "read_s", "total_s"):
            if not getattr(self, name) > 0:
                raise UsageError(f"download: {name} is {getattr(self, name)}; it must be above 0.")
        for name in ("processes", "retries", "max_wait_s", "max_redirects"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"download: {name} is {getattr(self, name)}; it cannot be below 0.")
        if self.shard_rows > 1_000_000:
            raise UsageError("download: shard_rows is above 1,000,000. Smaller shards are read better: 1,000 to 10,000 rows are usual.")
        if self.max_bytes > MOST_BYTES:
            raise UsageError(f"download: max_bytes is {self.max_bytes}; samples above {MOST_BYTES} bytes are not read later.")
        if not self.types or not self.agents or not all(agent.strip() for agent in self.agents):
            raise UsageError("download: types and agents need at least one entry each.")
        if any(not character.isprintable() for agent in (*self.agents, self.contact) for character in agent):
            raise UsageError("download: agents and contact are sent as a header; they can hold printable characters only.")

    def port_allowed(self, port: int) -> bool:
        return port in self.ports if self.ports else self.allow_private or port in (80, 443)
