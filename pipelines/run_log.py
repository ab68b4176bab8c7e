"""A run's log: one JSON object a line in the lake's folder, ``logs/RUN.jsonl``, through Python's ``logging``.

Every line has ``time`` (UTC), ``event`` and what belongs to it. No keys, passwords or captions: addresses are shown without passwords.
"""

import contextlib
import json
import logging
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from manifests import Lake
from manifests.address import without_password

log = logging.getLogger("goldsieve")


class JsonLines(logging.Handler):
    """Appends records to a file; a disk that is full costs the log, not the run."""

    def __init__(self, path: Path) -> None:
        super().__init__(logging.INFO)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(path, "a", encoding="utf-8")  # noqa: SIM115 (closed by close)

    def emit(self, record: logging.LogRecord) -> None:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        facts = getattr(record, "facts", None)
        said = {"event": record.getMessage(), **facts} if facts is not None else {"event": "message", "text": record.getMessage()}
        shown = {name: without_password(value) if isinstance(value, str) else value for name, value in said.items()}
        with contextlib.suppress(OSError):
            self.file.write(json.dumps({"time": moment, **shown}, default=str, ensure_ascii=False) + "\n")
            self.file.flush()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.file.close()
        super().close()


def event(name: str, /, **facts: Any) -> None:
    """Note something in the log of the run that is on, if there is one."""
    log.info(name, extra={"facts": facts})


@contextlib.contextmanager
def run_log(lake: Lake, run_id: uuid.UUID, **facts: Any) -> Iterator[None]:
    """Write the events of the body to the run's log. A lake without a folder of its own has none."""
    folder = lake.address.folder
    handlers: list[logging.Handler] = []
    warnings = logging.StreamHandler(sys.stderr)
    warnings.setLevel(logging.WARNING)
    handlers.append(warnings)
    if folder is not None:
        with contextlib.suppress(OSError):  # a disk that is full is reported by who needs it more
            handlers.append(JsonLines(folder / "logs" / f"{run_id}.jsonl"))
    level = log.level
    for handler in handlers:
        log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        event("run begins", run_id=str(run_id), lake=str(lake.address), **facts)
        yield
    except BaseException as error:
        event("run failed", error=type(error).__name__, reason=str(error).split("\n", 1)[0][:500])
        raise
    else:
        event("run ends")
    finally:
        log.setLevel(level)
        for handler in handlers:
            log.removeHandler(handler)
            handler.close()
