"""What one rule said of one sample."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """One rule of one tier. ``passed``: None when the sample has no tier yet."""

    tier: str
    rule: str
    sql: str
    passed: bool | None
    note: str = ""
