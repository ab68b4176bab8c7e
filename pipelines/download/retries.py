"""Another attempt after a fault that may pass: exponential backoff with full jitter, and what the server asks for."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pipelines.download.faults import Fault
from pipelines.download.settings import DownloadSettings

FIRST_S = 1.0

T = TypeVar("T")


def pause_s(attempt: int, fault: Fault, max_wait_s: float) -> float | None:
    """Seconds before attempt ``attempt`` + 1, counted from 0; None when the server asks for more than is waited.

    Jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    if fault.retry_after is not None and fault.retry_after > max_wait_s:
        return None
    backoff = min(FIRST_S * 2.0**attempt, max_wait_s) * random.uniform(0.5, 1.0)
    return max(backoff, fault.retry_after or 0.0)


async def with_retries(attempt: Callable[[], Awaitable[T | Fault]], settings: DownloadSettings) -> T | Fault:
    """The first result that is no fault, or the last fault."""
    for number in range(settings.retries + 1):
        result = await attempt()
        if not isinstance(result, Fault) or not result.may_pass or number == settings.retries:
            return result
        pause = pause_s(number, result, settings.max_wait_s)
        if pause is None:
            return result
        await asyncio.sleep(pause)
    raise AssertionError("the loop ends with its last attempt")
