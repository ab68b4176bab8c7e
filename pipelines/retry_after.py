"""How long a server asks its clients to wait."""

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime


def retry_after(headers: Mapping[str, str]) -> float | None:
    """``Retry-After`` in seconds or as a date (RFC 9110), or ``retry-after-ms``; at most an hour."""
    text = headers.get("retry-after-ms")
    try:
        if text:
            return min(float(text) / 1000, 3600.0)
        text = headers.get("retry-after")
        if not text:
            return None
        if re.fullmatch(r"\s*\d+(?:\.\d+)?\s*", text):
            return min(float(text), 3600.0)
        return min(max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0), 3600.0)
    except (ValueError, TypeError):
        return None
