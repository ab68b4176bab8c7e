"""Did a node of the cluster go, or did a worker process die? The first says nothing about the samples it was measuring."""

import time
from typing import Any

NOTICE_S = 20.0
"""The head takes so long, with Ray's settings, to declare a node dead that fell silent; one that was ended shows at once."""
GONE = ("node has died", "node died", "node is dead", "terminated unexpectedly", "was preempted", "Node failure")


def alive(ray: Any) -> frozenset[str]:
    """Ids of the nodes that are up."""
    return frozenset(node["NodeID"] for node in ray.nodes() if node["Alive"])


def node_lost(ray: Any, before: frozenset[str], error: BaseException) -> bool:
    """Whether a node that was up is down. Waits for the head to notice only when the error leaves it open."""
    if before - alive(ray):
        return True
    if len(before) < 2:  # this node still runs us
        return False
    names = ray.exceptions
    open_question = isinstance(error, names.ActorUnavailableError | names.ObjectLostError | names.NodeDiedError)
    if not open_question and not any(sign in str(error) for sign in GONE):
        return False
    until = time.monotonic() + NOTICE_S
    while time.monotonic() < until:
        if before - alive(ray):
            return True
        time.sleep(0.5)
    return isinstance(error, names.NodeDiedError)
