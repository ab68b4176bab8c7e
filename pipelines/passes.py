"""Passes: which operators run together, in which order.

Operators that read the same thing (media, captions or pairs) share a pass, so media bytes are read and decoded once.
An operator runs after those whose columns it reads or its ``when`` mentions; cheap ones come first because nothing
that depends on nothing waits.
"""

import dataclasses
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from manifests.errors import RecipeError
from manifests.wide import DUPLICATE_COLUMNS, SAMPLE_COLUMNS
from operators.base import Operator, fingerprint
from operators.plugins import available, make

KeyedBy = Literal["media", "caption", "pair", "sample"]

_CAPTION_COLUMNS = {"caption", "captions", "caption_hash"}
_MEDIA_FACTS = {"format", "width", "height", "aspect", "byte_length", "media_hash", "duration_s", "fps"}
_DUPLICATE_OPERATORS = ("exact_duplicates", "near_duplicates")


@dataclass(frozen=True)
class OperatorUse:
    """An operator of a recipe. ``when``: SQL over ``wide``; samples for which it is not true are not measured.

    ``upstream``: the operators whose columns it reads, filled in by `plan_passes`.
    """

    operator: Operator
    when: str = ""
    upstream: tuple["OperatorUse", ...] = ()

    @property
    def name(self) -> str:
        return self.operator.name

    @property
    def fingerprint(self) -> str:
        """The operator's, and of those it reads: a score over other embeddings is another score."""
        own = fingerprint(self.operator)
        if not self.upstream:
            return own
        chain = ":".join([own, *sorted(use.fingerprint for use in self.upstream)])
        return hashlib.sha256(chain.encode()).hexdigest()[:16]

    @property
    def keyed_by(self) -> KeyedBy:
        """What a result belongs to: a corpus operator's to a sample, else to the content it was read from."""
        reads = self.operator.reads
        if self.operator.scope == "corpus":
            return "sample"
        owner = {column: use for use in self.upstream for column in use.operator.adds.names}
        kinds: set[KeyedBy] = {"media"} if reads.views else set()
        for column in reads.columns:
            if column in owner:
                kinds.add(owner[column].keyed_by)
            elif column in _CAPTION_COLUMNS:
                kinds.add("caption")
            else:
                kinds.add("media" if column in _MEDIA_FACTS else "sample")
        if "sample" in kinds:
            return "sample"
        return "pair" if len(kinds) > 1 else kinds.pop() if kinds else "sample"


@dataclass(frozen=True)
class Pass:
    """Operators that run together."""

    uses: tuple[OperatorUse, ...]
    keyed_by: KeyedBy

    @property
    def is_corpus(self) -> bool:
        return self.uses[0].operator.scope == "corpus"

    @property
    def reads_media(self) -> bool:
        return any(use.operator.reads.views for use in self.uses)

    @property
    def modality(self) -> str:
        """``image`` or ``video`` when it reads media, else empty."""
        return next((use.operator.reads.modality for use in self.uses if use.operator.reads.views), "")

    @property
    def gpus(self) -> float:
        return max(use.operator.gpus for use in self.uses)

    @property
    def name(self) -> str:
        return ", ".join(use.name for use in self.uses)


def plan_passes(uses: Sequence[OperatorUse]) -> list[Pass]:
    """Passes in running order. What an operator depends on and nobody asked for is added with its default settings.

    Raises `RecipeError` for operators that depend on each other in a circle.
    """
    owners = column_owners()
    chosen = {use.name: use for use in uses}
    queue = list(uses)
    while queue:
        for name in dependencies(queue.pop(), owners):
            if name not in chosen:
                chosen[name] = OperatorUse(make(name))
                queue.append(chosen[name])
    waiting = {name: (dependencies(use, owners) | after_clips(use)) & chosen.keys() for name, use in chosen.items()}
    passes: list[Pass] = []
    while waiting:
        ready = [name for name, needs in waiting.items() if not needs & waiting.keys()]
        if not ready:
            raise RecipeError(f"These operators depend on each other in a circle: {', '.join(sorted(waiting))}.")
        for name in ready:
            columns = set(chosen[name].operator.reads.columns)
            upstream = [chosen[needed] for needed in sorted(waiting[name]) if columns & set(chosen[needed].operator.adds.names)]
            chosen[name] = dataclasses.replace(chosen[name], upstream=tuple(upstream))
        passes += _group([chosen[name] for name in ready])
        for name in ready:
            del waiting[name]
    return passes


def dependencies(use: OperatorUse, owners: Mapping[str, str]) -> set[str]:
    """Names of the operators whose columns this one reads, orders by, or mentions in its ``when``; ``owners`` is `column_owners`."""
    words = set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", f"{use.when} {use.operator.reads.order_by}")) | set(use.operator.reads.columns)
    words -= set(SAMPLE_COLUMNS) | {"aspect", "error", "tier"}
    needed = {owners[word] for word in words if word in owners}
    if words & set(DUPLICATE_COLUMNS):
        needed |= set(_DUPLICATE_OPERATORS)
    if use.operator.scope == "corpus" and use.operator.reads.columns and _MEDIA_FACTS & set(use.operator.reads.columns) and not needed:
        # Content hashes and sizes are known once the bytes were read; reading is done by any media pass.
        needed.add("media_facts")
    return needed - {use.name}


def after_clips(use: OperatorUse) -> set[str]:
    """What must have run before so that the clips of videos are samples: they are made by the operator `clips`."""
    reads = use.operator.reads
    return {"clips"} if use.operator.scope == "corpus" or (reads.modality == "video" and reads.videos != "whole") else set()


def column_owners() -> Mapping[str, str]:
    """The operator that adds a column, by the column's name."""
    owners: dict[str, str] = {}
    for name, cls in available().items():
        for column in cls.adds.names:  # type: ignore[attr-defined]  # a class attribute on every operator class
            owners.setdefault(column, name)
    return owners


def _group(uses: Sequence[OperatorUse]) -> list[Pass]:
    """One pass for each kind of key and of reading, media first; corpus operators and GPU operators stand alone."""
    passes: list[Pass] = []
    shared: dict[tuple[bool, str, KeyedBy], list[OperatorUse]] = {}
    for use in uses:
        if use.operator.scope == "corpus" or use.operator.gpus:
            passes.append(Pass((use,), use.keyed_by))
        else:
            shared.setdefault((bool(use.operator.reads.views), use.operator.reads.modality, use.keyed_by), []).append(use)
    together = [Pass(tuple(found), keyed_by) for (_, _, keyed_by), found in sorted(shared.items(), reverse=True)]
    return together + passes
