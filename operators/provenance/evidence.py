"""One piece of evidence about where a picture comes from, and what a file told in all."""

from dataclasses import dataclass, field
from typing import Literal

from operators.provenance.pieces import short

Strength = Literal["proof", "strong", "weak", "camera"]
STRENGTHS: tuple[Strength, ...] = ("proof", "strong", "weak")
"""Those that speak for a generator, strongest first."""


@dataclass(frozen=True)
class Evidence:
    """``kind``: what it is. ``location``: container and block. ``value``: what stood there, at most 200 characters."""

    kind: str
    location: str
    value: str
    strength: Strength

    def as_dict(self) -> dict[str, str]:
        return {"kind": self.kind, "location": self.location, "value": short(self.value), "strength": self.strength}


@dataclass(frozen=True)
class Found:
    """What one place told: evidence, and the generator, model, prompt and seed where it names them."""

    evidence: Evidence
    generator: str | None = None
    model: str | None = None
    prompt: str | None = None
    seed: int | None = None


@dataclass
class Told:
    """What a file told. ``state``: of its C2PA manifest, see `operators.provenance.content_credentials`."""

    found: list[Found] = field(default_factory=list)
    state: str | None = None
