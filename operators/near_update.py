"""Brings the groups of `near_duplicates` up to date when pictures were added, without comparing the old ones again."""

import numpy as np

from operators.hamming import neighbour_blocks
from operators.near_rule import Index, Mask, Rows, Rule, nodes


def updated(leader: Index, known: Mask, rows: Rows, rule: Rule) -> Index:
    """The kept row of every row, best first, as `operators.near_duplicates.kept_rows` gives it.

    ``leader``: the kept rows found before the rows that are not ``known`` came.

    A row is kept if no better kept row is near it, and belongs to the best kept row near it. So only a new row, a neighbour of
    one, and the neighbours of rows that became kept or stopped being kept can change; these are judged again, best first.
    Rows with equal hashes are one; it is new when its best row is.
    """
    node, best = nodes(rows.phash, rows.dhash)
    old = known[best]
    found = np.where(old, node[leader[best]], np.arange(len(best)))
    phash, dhash = rows.phash[best], rows.dhash[best]
    asked = np.zeros(len(best), np.bool_)  # nodes whose neighbours were looked up
    edges: dict[int, list[int]] = {}
    unsettled = ~old
    while True:
        wanted = unsettled & ~asked
        for left, right, _ in neighbour_blocks(phash, rule.radius, wanted, dhash, rule.check_radius):
            for i, j in zip(left.tolist(), right.tolist(), strict=True):
                edges.setdefault(i, []).append(j)
        asked |= wanted
        reached = np.zeros(len(best), np.bool_)
        for row in np.flatnonzero(wanted & ~old).tolist():
            reached[edges.get(row, [])] = True
        if not (reached & ~unsettled).any():
            for row in settle(found, np.flatnonzero(unsettled), edges):
                reached[edges.get(row, [])] = True
            if not (reached & ~unsettled).any():
                break
        unsettled |= reached
    kept: Index = best[found[node]]
    return kept


def settle(found: Index, rows: Index, edges: dict[int, list[int]]) -> list[int]:
    """Judge some rows again, best first, in place; those that became kept or stopped being kept."""
    changed = []
    for row in rows.tolist():
        better = [other for other in edges.get(row, []) if other < row and found[other] == other]
        new = min(better, default=row)
        if (new == row) != (found[row] == row):
            changed.append(row)
        found[row] = new
    return changed
