"""Ranks of tier rules that look at several samples, as SQL."""

from manifests.connection import quote
from quality.rules import Balance, Mix, SetRule, Shares, Top

BILLION = 1_000_000_000
"""Shares are whole billionths in SQL: no count is ever rounded the wrong way."""


def rank(rule: SetRule, at: str, source: str) -> str:
    """Whether a sample of ``source`` passes a rule that looks at several samples; null where its value is unknown."""
    value = f"v{at}"
    match rule:
        case Top():
            # As whole numbers, so that 30 % of 10 is 3: percent has at most six decimals here.
            share = f"ceil((SELECT count({value}) FROM {source}) * {round(rule.percent * 1_000_000)}::HUGEINT / 100000000.0)"
            return f"CASE WHEN {value} IS NOT NULL THEN row_number() OVER (ORDER BY {value} DESC NULLS LAST, sample_id) <= {share} END"
        case Balance():
            return f"CASE WHEN {value} IS NOT NULL THEN {_place(rule, at)} <= {rule.cap} END"
        case Mix():
            if rule.max_share >= 1:
                return f"CASE WHEN {value} IS NOT NULL THEN true END"
            billionths = round(rule.max_share * BILLION)
            # m <= share * (m + others), in whole numbers.
            room = f"(SELECT count(*) FROM {source} WHERE NOT {value})::HUGEINT * {billionths} // {BILLION - billionths}"
            return f"CASE WHEN {value} IS NULL THEN NULL WHEN {value} THEN {_place(rule, at)} <= {room} ELSE true END"
        case Shares():
            # The scarcest value decides how many samples there can be: the largest n with share * n of each value at hand. Half a
            # billionth is taken off: two thirds, rounded up, would leave no place for two of three.
            wanted = ", ".join(f"({place}, {billionths}::HUGEINT)" for place, billionths in enumerate(_billionths(rule)) if billionths)
            held = f"(SELECT {value} AS place, count(*) AS n FROM {source} GROUP BY 1)"
            total = (
                f"(SELECT min(coalesce(held.n, 0) * {2 * BILLION}::HUGEINT // (2 * wanted.share - 1)) "
                f"FROM (VALUES {wanted}) wanted(place, share) LEFT JOIN {held} held ON held.place = wanted.place)"
            )
            share = f"(CASE {value} {' '.join(f'WHEN {place} THEN {b}' for place, b in enumerate(_billionths(rule)))} END)::HUGEINT"
            return f"CASE WHEN {value} IS NOT NULL THEN {_place(rule, at)} <= ({total} * {share} + {BILLION // 2}) // {BILLION} END"


def _place(rule: Balance | Mix | Shares, at: str) -> str:
    """The place of a sample among those with the same value, best first, from 1."""
    order = f"p{at} DESC NULLS LAST, sample_id" if rule.prefer else "sample_id"
    return f"row_number() OVER (PARTITION BY v{at} ORDER BY {order})"


def place_of(rule: Shares, value: str) -> str:
    """SQL: the place of ``value`` in ``rule.shares``, for any other value their number, null for null."""
    whens = " ".join(f"WHEN {quote(name)} THEN {place}" for place, (name, _) in enumerate(rule.shares))
    return f"CASE WHEN {value} IS NOT NULL THEN CASE CAST({value} AS VARCHAR) {whens} ELSE {len(rule.shares)} END END"


def _billionths(rule: Shares) -> list[int]:
    """The shares by place, in billionths."""
    return [round(share * BILLION) for share in (*(share for _, share in rule.shares), rule.rest)]
