"""Requests that leave from Ray: async actors, spread over the nodes, read and encode pictures and hold the connections.

Routing, retries, budgets, checks and the cache stay with the driver, so they are the same as inline.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from manifests.errors import GoldsieveError, first_line
from pipelines.captions.endpoint import Call, Endpoint, Fault, Reply
from pipelines.captions.pool import Server
from pipelines.captions.settings import EndpointSpec, ModelSpec
from pipelines.engine_ray import RayEngine

REQUESTS_AN_ACTOR = 64
"""One process sends this many side by side before another one helps."""
MOST_ACTORS = 64


class RequestActor:
    """Sends requests to one endpoint; Ray runs its method up to ``connections`` times side by side."""

    def __init__(self, spec: EndpointSpec, connections: int) -> None:
        self._made: Endpoint | None = None
        self._spec, self._connections = spec, connections

    async def ask(self, call: Call) -> Reply | Fault:
        if self._made is None:  # here, not above: a connection pool belongs to the loop it is used in
            try:
                self._made = Endpoint(self._spec, self._connections)
            except GoldsieveError as error:
                return Fault("set-up", str(error))
        return await self._made.ask(call)


@dataclass
class RayActors:
    """`Connect` for Ray. ``address``: of a cluster; None: a local Ray.

    A key is read where the actor runs: what Ray carries as an argument or a runtime environment ends up in its logs.
    """

    address: str | None = None
    actors: list[Any] = field(default_factory=list)
    engine: RayEngine | None = None

    def servers(self, spec: ModelSpec, concurrency: int) -> Sequence[Server]:
        self.engine = self.engine or RayEngine(self.address)
        return [self._server(server, concurrency) for server in spec.servers]

    def _server(self, spec: EndpointSpec, concurrency: int) -> Server:
        import ray

        count = min(MOST_ACTORS, -(-concurrency // REQUESTS_AN_ACTOR))
        remote = ray.remote(RequestActor).options(
            num_cpus=0.1, max_concurrency=REQUESTS_AN_ACTOR, scheduling_strategy="SPREAD", max_restarts=-1, max_task_retries=0
        )
        made: list[Any] = [remote.remote(spec, REQUESTS_AN_ACTOR) for _ in range(count)]
        self.actors += made
        turn: itertools.cycle[Any] = itertools.cycle(made)

        async def ask(call: Call) -> Reply | Fault:
            try:
                answer: Reply | Fault = await next(turn).ask.remote(call)
            except ray.exceptions.RayActorError as error:  # its node died: the request is sent again from another one
                return Fault("connection", f"an actor died: {first_line(error)}"[:200])
            return answer

        return Server(spec.url, ask, spec.weight)

    async def close(self) -> None:
        import ray

        for actor in self.actors:
            ray.kill(actor)
        if self.engine:
            self.engine.close()
