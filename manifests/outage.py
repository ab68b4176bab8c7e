"""The catalog's server goes away and comes back: writing waits for it, a bounded time, and does nothing twice."""

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import duckdb

from manifests.connection import ALIAS
from manifests.errors import LakeError, SqlError
from manifests.lease import Lease

if TYPE_CHECKING:
    from manifests.store import Lake

P = ParamSpec("P")
R = TypeVar("R")
OUTAGE_S = 300.0
"""So long a run waits for a catalog that cannot be reached."""

log = logging.getLogger("goldsieve")


def outlast(lease: Lease | None, work: Callable[[], R]) -> R:
    """The result of ``work``, which is done again from its beginning when the catalog went away meanwhile. Hold the lease.

    Whether it went away is asked of the lease: its connection is to the same server. Any other error is raised as it is; so is one
    of a catalog that stays away for `OUTAGE_S`.
    """
    while True:
        try:
            return work()
        except (duckdb.Error, SqlError) as error:
            if lease is None or not came_back(lease, error):
                raise


def outlasting(method: Callable[Concatenate["Lake", P], None]) -> Callable[Concatenate["Lake", P], None]:
    """For a method of `Lake`, or a function that takes one first, that is one transaction: it is repeated unless its commit arrived
    before the catalog went away."""

    @functools.wraps(method)
    def run(lake: "Lake", /, *args: P.args, **kwargs: P.kwargs) -> None:
        while True:
            try:
                return method(lake, *args, **kwargs)
            except duckdb.Error as error:
                if lake.lease is None or not came_back(lake.lease, error):
                    raise
            if outlast(lake.lease, lambda: committed(lake)):
                return None

    return run


def came_back(lease: Lease, error: Exception) -> bool:
    """Whether the server had gone and is there again. Raises `LakeError` when it stays away."""
    if lease.held():
        return False
    log.warning(f"The catalog cannot be reached. Trying again for up to {OUTAGE_S:.0f} s; what workers measure meanwhile is kept.")
    try:
        lease.renew(OUTAGE_S)
    except LakeError as why:
        raise why from error
    log.warning("The catalog is there again.")
    return True


def committed(lake: "Lake") -> bool:
    """Whether the lake's last transaction is among its snapshots."""
    query = f"SELECT count(*) FROM ducklake_snapshots('{ALIAS}') WHERE commit_extra_info = ?"
    row = lake.connection.execute(query, [lake.transaction_id]).fetchone()
    return row is not None and row[0] > 0
