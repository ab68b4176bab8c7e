"""Finds copies that hashes miss, among the pictures that `near_duplicates` kept by hash: the path ``strong`` and ``turned`` switch on.

Candidates come from a wider radius of ``phash``, from the nearest embeddings and from the hashes of other orientations;
`near_rule` decides each pair. What a candidate search misses, a neighbour of a neighbour may still bring in: it is decided
by the same rule, so no chain joins unlike pictures.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from operators.cells import nearest_pairs
from operators.hamming import neighbour_blocks, pair_blocks
from operators.near_rule import Float32, Index, Rows, Rule

WIDE_RADIUS = 14
NEAREST, MIN_COSINE = 16, 0.6
MOST_NEIGHBOURS = 32
"""Neighbours of a picture whose neighbours are tried as well."""

Pairs = npt.NDArray[np.int64]
"""(n, 2) rows, the better one first, ascending, each pair once."""


def regroup(leader: Index, rows: Rows, rule: Rule, embeddings: tuple[Float32, Index] | None) -> Index:
    """The kept row of every row (best first), given the one that hashes gave it (itself if kept).

    A row that was kept joins the best kept row it is linked with. Those that had joined it follow only if they are
    linked with the new one themselves; otherwise they are kept. ``embeddings``: (k, d) and the rows they belong to.
    """
    kept = np.flatnonzero(leader == np.arange(len(leader)))
    among = rows.take(kept)
    pairs = linked_pairs(candidates(among, rule, kept, embeddings), among, rule)
    pairs = closed(pairs, among, rule)
    new = kept[greedy(len(kept), pairs)]
    final = np.empty_like(leader)
    final[kept] = new
    followers = np.flatnonzero((leader != np.arange(len(leader))) & (final[leader] != leader))
    followers_ok = rows.linked(followers, final[leader[followers]], rule)
    others = leader != np.arange(len(leader))
    final[others] = final[leader[others]]
    final[followers[~followers_ok]] = followers[~followers_ok]
    return final


def candidates(rows: Rows, rule: Rule, kept: Index, embeddings: tuple[Float32, Index] | None) -> Iterator[Pairs]:
    """Pairs worth deciding, some of them more than once."""
    if rule.points:
        for left, right, _ in pair_blocks(rows.phash, max(WIDE_RADIUS, rule.radius)):
            yield np.stack([left, right], axis=1).astype(np.int64)
    if rule.points and embeddings is not None:
        vectors, owners = embeddings
        at = np.searchsorted(kept, owners)
        mine = np.flatnonzero(kept[np.minimum(at, len(kept) - 1)] == owners) if len(kept) else np.zeros(0, np.int64)
        for pairs, _ in nearest_pairs(vectors[mine], NEAREST, MIN_COSINE):
            yield at[mine][pairs]
    if rows.turned is not None:
        n = len(rows)
        hashes = np.concatenate([rows.phash, rows.turned[:, :, 0].T.reshape(-1)])
        checks = np.concatenate([rows.dhash, rows.turned[:, :, 1].T.reshape(-1)])
        for left, right, _ in neighbour_blocks(hashes, rule.radius, np.arange(len(hashes)) < n, checks, rule.check_radius):
            yield np.stack([left, right % n], axis=1).astype(np.int64)[right >= n]


def linked_pairs(blocks: Iterator[Pairs], rows: Rows, rule: Rule) -> Pairs:
    """The candidates that the rule links."""
    found = [np.zeros((0, 2), np.int64)]
    for block in blocks:
        pairs = distinct(block)
        found.append(pairs[rows.linked(pairs[:, 0], pairs[:, 1], rule)])
    return distinct(np.concatenate(found))


def distinct(pairs: Pairs) -> Pairs:
    ordered = np.sort(pairs, axis=1)
    codes = np.unique((ordered[:, 0] << 32) | ordered[:, 1])
    made: Pairs = np.stack([codes >> 32, codes & 0xFFFFFFFF], axis=1)
    return made[made[:, 0] < made[:, 1]]


def closed(pairs: Pairs, rows: Rows, rule: Rule) -> Pairs:
    """The pairs, and those that link neighbours of a common neighbour."""
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    middles, starts, counts = np.unique(both[:, 0], return_index=True, return_counts=True)
    more = [np.zeros((0, 2), np.int64)]
    for _, start, count in zip(middles.tolist(), starts.tolist(), counts.tolist(), strict=True):
        ends = both[start : start + min(count, MOST_NEIGHBOURS), 1]
        if len(ends) > 1:
            i, j = np.triu_indices(len(ends), 1)
            more.append(np.stack([ends[i], ends[j]], axis=1))
    tried = distinct(np.concatenate(more))
    return distinct(np.concatenate([pairs, tried[rows.linked(tried[:, 0], tried[:, 1], rule)]]))


def greedy(n: int, pairs: Pairs) -> Index:
    """For every row, best first, the first kept row it is paired with, itself if there is none and it is therefore kept."""
    leader = np.arange(n)
    for better, worse in pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))].tolist():
        if leader[better] == better and leader[worse] == worse:
            leader[worse] = better
    return leader
