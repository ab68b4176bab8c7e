"""What the rewriting loop needs from outside, and what it tells at its end."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol

from pipelines.captions.endpoint import Endpoint
from pipelines.captions.pool import Server
from pipelines.captions.settings import ModelSpec


class Connect(Protocol):
    """Makes the functions that send requests to a model's endpoints, and closes them."""

    def servers(self, spec: ModelSpec, concurrency: int) -> Sequence[Server]: ...
    async def close(self) -> None: ...


@dataclass
class Inline:
    """Requests leave from this process."""

    endpoints: list[Endpoint] = field(default_factory=list)

    def servers(self, spec: ModelSpec, concurrency: int) -> Sequence[Server]:
        made = [Endpoint(server, concurrency) for server in spec.servers]
        self.endpoints += made
        return [Server(endpoint.spec.url, endpoint.ask, endpoint.spec.weight) for endpoint in made]

    async def close(self) -> None:
        for endpoint in self.endpoints:
            await endpoint.close()


@dataclass
class Outcome:
    """What a run of rewriting did. ``stopped``: why it ended before all samples were done; empty: it did not."""

    samples: int = 0
    accepted: int = 0
    kept: int = 0
    failed: int = 0
    requests: int = 0
    from_cache: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    stopped: str = ""
    rejected_by: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def __add__(self, later: "Outcome") -> "Outcome":
        """The counts of two stretches of a run; ``stopped`` is the later one's. A `Counter` adds itself up."""
        both = {f.name: getattr(self, f.name) + getattr(later, f.name) for f in fields(self) if f.name != "stopped"}
        return Outcome(**both, stopped=later.stopped)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"rejected_by": dict(self.rejected_by.most_common()), "faults": dict(self.faults.most_common())}
