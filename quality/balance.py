"""Why a cap turned a sample away: its place among those with the same value."""

import re
from collections.abc import Sequence

from manifests import Lake
from manifests.connection import id_literal, quote
from manifests.wide import narrow
from quality.why_verdict import Verdict

CAP = re.compile(r"at most (\d+) for each (.+?)(?:, by highest (.+))?", re.DOTALL)
"""How `quality.rules.describe` writes a balance rule."""


def place_notes(lake: Lake, sample_id: str, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """The verdicts, with ``5,001st of 'dog'`` as the note of every cap that the sample failed."""
    return tuple(_noted(lake, sample_id, verdict) for verdict in verdicts)


def _noted(lake: Lake, sample_id: str, verdict: Verdict) -> Verdict:
    match = CAP.fullmatch(verdict.sql)
    if verdict.passed is not False or verdict.note or not match:
        return verdict
    cap, by, prefer = int(match[1]), match[2], match[3] or "0"
    rule = f"{verdict.tier}.{verdict.rule}"
    # Before it come the samples that the cap let in, and those it turned away with a higher preference (ties by sample_id).
    rows = lake.rows(
        f"""WITH turned AS (
            SELECT sample_id, TRY(({by}\n)) AS value, coalesce(TRY(({prefer}\n)), '-infinity'::DOUBLE) AS p
            FROM {narrow(lake.connection, by, prefer, "failed_rules", "sample_id")} AS wide WHERE list_contains(failed_rules, {quote(rule)})
        )
        SELECT CAST(mine.value AS VARCHAR) AS value, (
            SELECT count(*) FROM turned t WHERE t.value = mine.value AND (t.p > mine.p OR t.p = mine.p AND t.sample_id < mine.sample_id)
        ) AS before FROM turned mine WHERE sample_id = {id_literal(sample_id)}"""
    )
    if not rows:
        return verdict
    return Verdict(verdict.tier, verdict.rule, verdict.sql, False, f"{ordinal(cap + rows[0]['before'] + 1)} of '{rows[0]['value']}'")


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 5,001st."""
    last = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{last}"
