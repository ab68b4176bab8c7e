"""What a response's headers say against use as training data.

``X-Robots-Tag`` (https://developers.google.com/search/docs/crawling-indexing/robots-meta-tag) with ``noai``, ``noimageai``
(https://www.deviantart.com/team/journal/UPDATE-All-Deviations-Are-Opted-Out-of-AI-Datasets-934500371), ``noindex``, ``noimageindex``
or ``none``; and ``TDM-Reservation: 1`` (https://www.w3.org/community/reports/tdmrep/CG-FINAL-tdmrep-20240510/).
"""

from collections.abc import Iterable, Sequence

FORBID = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})
WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})


def opted_out(tags: Iterable[str], reservations: Iterable[str], agents: Sequence[str]) -> str | None:
    """The directive that forbids use, or None.

    ``tags``: values of X-Robots-Tag. A directive holds for all, or for the agent named before it (``somebot: noai, nofollow``):
    that name holds up to the end of the value or the next name. ``agents``: the names that we answer to.
    """
    mine = {agent.lower() for agent in agents} | {"*"}
    for value in tags:
        addressed = True
        for piece in value.lower().split(","):
            name, colon, rest = piece.partition(":")
            directive = piece.strip()
            if colon and name.strip() not in WITH_VALUE:
                addressed, directive = name.strip() in mine, rest.strip()
            if addressed and directive in FORBID:
                return f"X-Robots-Tag: {directive}"
    return "TDM-Reservation: 1" if any(value.strip() == "1" for value in reservations) else None
