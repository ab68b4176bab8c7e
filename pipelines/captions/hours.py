"""Hours in which requests are sent: big jobs run when servers are idle or cheap."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from manifests.errors import UsageError


@dataclass(frozen=True)
class Hours:
    """Minutes of the day, local time; ``start`` may be later than ``end`` (over midnight), and both equal mean always."""

    start: int = 0
    end: int = 0

    @staticmethod
    def parse(text: str) -> "Hours":
        """``22:00-07:00``; empty: always. Raises `UsageError`."""
        if not text.strip():
            return Hours()
        match = re.fullmatch(r"\s*(\d{1,2}):(\d{2})\s*[-–]\s*(\d{1,2}):(\d{2})\s*", text)
        if match is None or int(match[1]) > 24 or int(match[3]) > 24 or int(match[2]) > 59 or int(match[4]) > 59:
            raise UsageError(f"active_hours is {text!r}; write two times of the day: 22:00-07:00.")
        return Hours((int(match[1]) * 60 + int(match[2])) % 1440, (int(match[3]) * 60 + int(match[4])) % 1440)

    def open_at(self, now: datetime) -> bool:
        minute = now.hour * 60 + now.minute
        if self.start == self.end:
            return True
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def opens_in(self, now: datetime) -> float:
        """Seconds until the hours begin; 0 within them."""
        if self.open_at(now):
            return 0.0
        begin = now.replace(hour=self.start // 60, minute=self.start % 60, second=0, microsecond=0)
        return ((begin if begin > now else begin + timedelta(days=1)) - now).total_seconds()
