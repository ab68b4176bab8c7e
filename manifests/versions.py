"""Versions of operators: the manifest keeps all that ever measured, and ``wide`` shows the current one of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from duckdb import DuckDBPyConnection

from manifests.tables import ensure_signal_table
from manifests.wide import create_wide, current_operators


@dataclass(frozen=True)
class OperatorVersion:
    """One version of an operator. ``schema``: of its signal table; ``settings``: JSON; ``scope``: "batch" or "corpus"; ``keyed_by``: a
    key of `manifests.wide.KEY_COLUMN`."""

    name: str
    fingerprint: str
    keyed_by: str
    schema: pa.Schema
    version: str = "1"
    settings: str = "{}"
    scope: str = "batch"

    @property
    def columns(self) -> tuple[str, ...]:
        """What it adds to ``wide``."""
        return tuple(name for name in self.schema.names if name not in ("key", "fingerprint", "run_id", "error"))


def not_current(connection: DuckDBPyConnection, versions: Sequence[OperatorVersion]) -> list[OperatorVersion]:
    """Those of the versions that ``wide`` does not show yet."""
    shown = {(o.name, o.fingerprint, o.columns) for o in current_operators(connection)}
    return [version for version in versions if (version.name, version.fingerprint, version.columns) not in shown]


def make_current(connection: DuckDBPyConnection, versions: Sequence[OperatorVersion]) -> None:
    """Show these versions in ``wide``, inside the caller's transaction."""
    for one in versions:
        ensure_signal_table(connection, one.schema, one.name)
        connection.execute(
            f"INSERT INTO operator_versions VALUES (?, ?, ?, ?, ?, ?, ?, {after('recorded_at', 'operator_versions')})",
            [one.name, one.fingerprint, one.version, one.settings, one.scope, one.keyed_by, list(one.columns)],
        )
    create_wide(connection)


def after(column: str, table: str) -> str:
    """SQL of now, or of a moment after the latest there is: the last row stays the last when a clock was set back."""
    return f"(SELECT greatest(now(), coalesce(max({column}) + INTERVAL 1 MICROSECOND, now())) FROM {table})"
