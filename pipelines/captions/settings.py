"""A recipe's ``captions``: which samples, which models, which rule sends a sample to which model, and the limits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pydantic

from manifests.errors import UsageError
from operators.captions.checks import CHECK_NAMES, CheckSettings
from operators.captions.prompts import MODES, Mode
from pipelines.captions.hours import Hours
from quality.sql_guard import check_syntax
from quality.sql_tree import nearest

FORBID = pydantic.ConfigDict(extra="forbid")
CLEAN, KEEP = "clean", "keep"
"""Targets of routes that need no model: cleaning by rule, and leaving the caption as it is."""
ELSE = "else"


@dataclass(frozen=True)
class EndpointSpec:
    """One server. ``key``: the environment variable that holds its key; empty: none is needed."""

    url: str
    key: str = ""
    weight: float = 1.0
    """Share of the requests it gets, against the model's other endpoints."""

    __pydantic_config__ = FORBID


@dataclass(frozen=True)
class ModelSpec:
    """One model: how it is called, what it costs, where it runs (``url`` and ``key``, or ``endpoints``)."""

    model: str
    url: str = ""
    key: str = ""
    endpoints: tuple[EndpointSpec, ...] = ()
    mode: Mode = "rephrase"
    temperature: float = 0.2
    max_tokens: int = 256
    seed: int | None = None
    image_side: int = 512
    """Longer side in pixels of the pictures that are sent."""
    frames: int = 4
    """Frames of a video that are sent."""
    input_price: float = 0.0
    """Per million tokens, in your currency."""
    output_price: float = 0.0
    cached_price: float | None = None
    """Per million input tokens that the server had cached; None: as the others."""
    timeout_s: float = 60.0
    json_mode: str = "schema"
    """How a structured answer is asked for: "schema" (strict JSON schema), "object" (any JSON), "none" (by the prompt alone)."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """More keys of the request's body, for example {chat_template_kwargs: {enable_thinking: false}}."""

    __pydantic_config__ = FORBID

    @property
    def servers(self) -> tuple[EndpointSpec, ...]:
        return self.endpoints or (EndpointSpec(self.url, self.key),)

    def parameters(self) -> dict[str, Any]:
        """What decides the answer, beside prompt and content; the addresses do not."""
        shared = {"temperature": self.temperature, "max_tokens": self.max_tokens, "seed": self.seed, **self.extra}
        pictures = {"image_side": self.image_side, "frames": self.frames}
        return shared | (pictures if self.mode != "rephrase" else {}) | ({"json_mode": self.json_mode} if self.mode == "structured" else {})

    def cost(self, tokens_in: int, tokens_out: int, cached: int = 0) -> float:
        cached_price = self.input_price if self.cached_price is None else self.cached_price
        return ((tokens_in - cached) * self.input_price + cached * cached_price + tokens_out * self.output_price) / 1e6


@dataclass(frozen=True)
class BudgetSpec:
    """Limits of one run; None: none. A run that reaches one stops cleanly and can be run again."""

    max_cost: float | None = None
    max_tokens: int | None = None
    max_requests: int | None = None

    __pydantic_config__ = FORBID


@dataclass(frozen=True)
class CaptionSettings:
    """All of ``captions``. Without models every caption is cleaned by rule."""

    tiers: tuple[str, ...] = ()
    """Samples of these tiers; empty: every readable sample."""
    where: str = ""
    models: Mapping[str, ModelSpec] = field(default_factory=dict)
    routes: Mapping[str, str] = field(default_factory=dict)
    """Name -> "SQL -> model" or "SQL -> model mode"; the last one may be called ``else`` and has no SQL."""
    escalate: tuple[str, ...] = ()
    """The order in which models are tried after a failed check; empty: that of ``models``."""
    facts: tuple[str, ...] = ()
    """Columns of ``wide`` that models are told."""
    checks: CheckSettings = field(default_factory=CheckSettings)
    prompts: Mapping[str, str] = field(default_factory=dict)
    """Mode -> a prompt file of your own."""
    concurrency: int = 16
    """Requests under way at any moment."""
    retries: int = 6
    """After a request that failed for a reason that may pass."""
    hedge: bool = True
    """Send a request that takes far longer than the others a second time when slots are free, which they are at the end of a run."""
    budget: BudgetSpec = field(default_factory=BudgetSpec)
    active_hours: str = ""
    """Local time in which requests are sent: "22:00-07:00"; empty: always."""
    cache: str = ""
    """SQLite file of answers; empty: in the lake's folder."""

    __pydantic_config__ = FORBID

    def __post_init__(self) -> None:
        for name, spec in self.models.items():
            if name in (CLEAN, KEEP) or not re.fullmatch(r"[\w.-]+", name):
                raise UsageError(f"a model cannot be called {name!r}: use letters, digits, '.', '-' and '_', and neither clean nor keep.")
            if not spec.endpoints and not spec.url:
                raise UsageError(f"the model {name} needs a url (http://host:8000/v1) or endpoints.")
            for server in spec.servers:
                if not re.match(r"https?://", server.url):
                    raise UsageError(f"the model {name}: {server.url!r} is not an address. Write http://host:8000/v1.")
                if re.search(r"://[^/]*@", server.url):
                    raise UsageError(
                        f"the model {name} has a password in its address. Put it into an environment variable and name that as key."
                    )
                if server.weight <= 0:
                    raise UsageError(f"the model {name}: an endpoint's weight is {server.weight}; it must be above 0.")
            if spec.json_mode not in ("schema", "object", "none"):
                raise UsageError(f"the model {name}: json_mode is {spec.json_mode!r}; it can be schema, object or none.")
            if spec.max_tokens < 1 or spec.timeout_s <= 0 or spec.image_side < 16 or spec.frames < 1:
                raise UsageError(f"the model {name}: max_tokens, timeout_s, frames must be above 0, image_side at least 16.")
        for mode in self.prompts:
            if mode not in MODES:
                raise UsageError(f"prompts: there is no mode {mode!r}.{nearest(mode, MODES)}")
        for name in self.escalate:
            if name not in self.models:
                raise UsageError(f"escalate: there is no model {name!r}.{nearest(name, self.models)}")
        for name in self.checks.off:
            if name not in CHECK_NAMES:
                raise UsageError(f"checks.off: there is no check {name!r}.{nearest(name, CHECK_NAMES)}")
        if self.concurrency < 1 or self.retries < 0:
            raise UsageError("concurrency must be at least 1 and retries at least 0.")
        Hours.parse(self.active_hours)
        if self.where:
            check_syntax(self.where, "captions.where")
        for route in routes_of(self):
            if route.condition:
                check_syntax(route.condition, f"route {route.name}")

    def chain(self, target: str) -> tuple[str, ...]:
        """The target and the models that are tried after it."""
        if target in (CLEAN, KEEP):
            return (target,)
        order = self.escalate or tuple(self.models)
        return (target, *order[order.index(target) + 1 :]) if target in order else (target,)


@dataclass(frozen=True)
class Route:
    """``condition``: SQL over ``wide``, empty for the last. ``mode``: None takes the model's own."""

    name: str
    condition: str
    target: str
    mode: Mode | None = None


def routes_of(settings: CaptionSettings) -> tuple[Route, ...]:
    """The routes in order, always ending with one that takes all. Raises `UsageError`."""
    found: list[Route] = []
    for name, text in settings.routes.items():
        condition, _, target = text.rpartition("->")
        words = target.split()
        if not words or len(words) > 2 or (len(words) == 2 and words[1] not in MODES):
            raise UsageError(f"the route {name} is {text!r}; write: SQL -> model, or SQL -> model mode ({', '.join(MODES)}).")
        if words[0] not in (*settings.models, CLEAN, KEEP):
            raise UsageError(f"the route {name}: there is no model {words[0]!r}.{nearest(words[0], [*settings.models, CLEAN, KEEP])}")
        if (name == ELSE) == bool(condition.strip()):
            raise UsageError(f"the route {name}: {'else takes no condition' if name == ELSE else 'a condition is missing: SQL -> model'}.")
        found.append(Route(name, condition.strip(), words[0], next((mode for mode in MODES if mode in words[1:]), None)))
    if [route.name for route in found[:-1]].count(ELSE):
        raise UsageError("the route else must be the last one.")
    if not found or found[-1].name != ELSE:
        found.append(Route(ELSE, "", KEEP if found else next(iter(settings.models), CLEAN)))
    return tuple(found)
