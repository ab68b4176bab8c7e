"""Answers by what was asked: a request that was answered once is never paid for again, whatever happened to the run."""

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def request_key(model: str, parameters: Mapping[str, Any], prompt_version: str, content: Mapping[str, Any]) -> str:
    """SHA-256 over all that decides an answer: model, parameters, prompt and content; addresses and keys are not in it."""
    text = json.dumps([model, parameters, prompt_version, content], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class AnswerCache:
    """A SQLite file in WAL mode: an answer is safe from ``kill -9`` as soon as `put` returns. One process writes at a time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, reply TEXT NOT NULL, made_at TEXT DEFAULT CURRENT_TIMESTAMP)"
        )

    def get(self, key: str) -> dict[str, Any] | None:
        row = self._db.execute("SELECT reply FROM answers WHERE key = ?", [key]).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, key: str, reply: Mapping[str, Any]) -> None:
        self._db.execute("INSERT OR REPLACE INTO answers (key, reply) VALUES (?, ?)", [key, json.dumps(reply, ensure_ascii=False)])

    def close(self) -> None:
        self._db.close()
