"""Brings the groups of `near_duplicates` up to date when pictures were added, without comparing the old ones again."""

import numpy as np

from operators.hamming import neighbour_blocks
from operators.near_rule import Index, Mask, Rows, Rule, nodes


def updated(leader: Index, known: Mask, rows: Rows, rule: Rule) -> Index:
    """The kept row of every row, best first, as `operators.near_duplicates.kept_rows` gives it.

    ``leader``: the kept rows found before the rows that are not ``known`` came.

    A row is kept if no better kept row is near it, and belongs to the best kept row near it. So new rows are compared with the kept
    ones alone. A new row that is kept takes what is near it and belonged to a worse one; those whose kept row was itself
    taken are judged again like new ones. Rows with equal hashes are one row; it is new when its best one is.
    """
    node, best = nodes(rows.phash, rows.dhash)
    old = known[best]
    found = np.where(old, node[leader[best]], np.arange(len(best)))
    few = Rows(rows.phash[best], rows.dhash[best])
    place, unsettled = np.arange(len(best)), ~old
    while unsettled.any():
        kept = (found == place) & ~unsettled
        settle(found, unsettled, kept, few, rule)
        take(found, unsettled & (found == place), few, rule)
        unsettled = (found != place) & (found[found] != found)
    final: Index = best[found[node]]
    return final


def edges(queries: Mask, among: Mask, rows: Rows, rule: Rule) -> tuple[Index, Index]:
    """(better, worse) rows that are near each other: of ``queries`` with all of ``among``."""
    some = np.flatnonzero(among)
    better, worse = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for i, j, _ in neighbour_blocks(rows.phash[some], rule.radius, queries[some], rows.dhash[some], rule.check_radius):
        better.append(some[np.minimum(i, j)])
        worse.append(some[np.maximum(i, j)])
    return np.concatenate(better), np.concatenate(worse)


def settle(found: Index, unsettled: Mask, kept: Mask, rows: Rows, rule: Rule) -> None:
    """Judge the unsettled rows, best first, and the kept ones that are near a better one of them."""
    better, worse = edges(unsettled, unsettled | kept, rows, rule)
    order = np.argsort(worse, kind="stable")
    better, worse = better[order], worse[order]
    found[unsettled] = np.flatnonzero(unsettled)
    for row, start, count in zip(*(a.tolist() for a in np.unique(worse, return_index=True, return_counts=True)), strict=True):
        near = better[start : start + count]
        near = near[found[near] == near]
        if len(near):
            found[row] = near.min()


def take(found: Index, newly: Mask, rows: Rows, rule: Rule) -> None:
    """Rows near a newly kept one that belonged to a worse one belong to it."""
    if newly.any():
        better, worse = edges(newly, np.ones(len(found), np.bool_), rows, rule)
        mine = newly[better] & (found[worse] != worse)
        np.minimum.at(found, worse[mine], better[mine])
