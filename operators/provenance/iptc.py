"""IPTC-IIM: the data sets of record 2 that tell where a picture comes from. Source: IPTC-NAA IIM 4.2."""

from operators.provenance.pieces import decode

WANTED = {65: "Software", 110: "Credit", 115: "Source", 120: "description"}
MAX_SETS = 2000


def read(data: bytes) -> dict[str, str]:
    """Data set -> text, for those of `WANTED`."""
    found: dict[str, str] = {}
    at = 0
    for _ in range(MAX_SETS):
        if at + 5 > len(data) or data[at] != 0x1C:
            break
        record, number, size = data[at + 1], data[at + 2], int.from_bytes(data[at + 3 : at + 5], "big")
        if size & 0x8000:  # an extended length: no text we look for is that long
            break
        if record == 2 and number in WANTED:
            found.setdefault(WANTED[number], decode(data[at + 5 : at + 5 + size]))
        at += 5 + size
    return found
