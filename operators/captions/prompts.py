"""Prompts of the rewriting modes: files with versions, a constant beginning, and examples."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from manifests.errors import UsageError

Mode = Literal["rephrase", "recaption", "structured"]
MODES: tuple[Mode, ...] = get_args(Mode)
READS_PICTURE: frozenset[str] = frozenset({"recaption", "structured"})
FOLDER = Path(__file__).parent / "prompts"


@dataclass(frozen=True)
class Prompt:
    """``prefix``: the messages every request begins with, byte for byte. ``version``: the file's own, with a hash of its content."""

    mode: Mode
    version: str
    prefix: tuple[Mapping[str, str], ...] = field(hash=False)
    examples: tuple[str, ...]
    """What the examples answer: an answer that equals one of them was copied."""

    @cached_property
    def size(self) -> int:
        """Of the prefix's texts, in bytes of UTF-8."""
        return sum(len(message["content"].encode()) for message in self.prefix)

    @property
    def system(self) -> str:
        return self.prefix[0]["content"]


@lru_cache(maxsize=32)
def load_prompt(mode: Mode, path: str | None = None) -> Prompt:
    """The prompt that comes with Goldsieve, or one of your own in the same form (keys mode, version, system, examples).

    Raises `UsageError` for a file that cannot be read or says something else.
    """
    file = Path(path) if path else FOLDER / f"{mode}.yaml"
    try:
        text = file.read_text(encoding="utf-8")
        data = yaml.safe_load(text)
        given, version, system = data["mode"], str(data["version"]), data["system"]
        pairs = [(user_json(item["input"]), str(item["output"]).strip()) for item in data.get("examples") or []]
    except OSError as error:
        raise UsageError(f"The prompt {file} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"The prompt {file} is not a YAML file with mode, version, system and examples (input, output).") from error
    if given != mode or not isinstance(system, str) or not system.strip():
        raise UsageError(f"The prompt {file} is for the mode {given!r} and cannot be used for {mode!r}, or its system text is empty.")
    prefix: list[Mapping[str, str]] = [{"role": "system", "content": system.strip()}]
    for user, answer in pairs:
        prefix += [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]
    digest = hashlib.sha256(json.dumps(prefix, ensure_ascii=False).encode()).hexdigest()[:8]
    return Prompt(mode, f"{mode}/{version}-{digest}", tuple(prefix), tuple(answer for _, answer in pairs))


def user_json(data: Mapping[str, Any]) -> str:
    """The variable part of a request. As JSON a caption cannot end its quotation, whatever is in it."""
    return json.dumps(data, ensure_ascii=False, sort_keys=True, default=str)
