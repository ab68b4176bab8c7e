"""One URL of the list: asked for, checked, and described."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from pipelines.download.body import Body, read_body
from pipelines.download.client import Client, parse_url
from pipelines.download.faults import Fault, without_secrets
from pipelines.download.opt_out import opted_out
from pipelines.download.retries import with_retries
from pipelines.download.robots import Robots

ALGORITHMS = {32: "md5", 64: "sha256"}
"""Of an expected hash, by its length in hexadecimal digits."""


@dataclass(frozen=True)
class Fetched:
    """What a URL gave: a body or None, and what is known about the request, for the sample's metadata."""

    body: Body | None
    facts: Mapping[str, Any]


class Fetcher:
    """Asks robots.txt, the server and the response's headers, in this order."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._settings = client.settings
        self._robots = Robots(client) if client.settings.respect_opt_out else None

    async def fetch(self, text: str, expected: str | None) -> Fetched:
        """Never raises for what a list or a server says; `GoldsieveError` when this machine fails.

        ``expected``: MD5 or SHA-256 of the body, in hexadecimal.
        """
        algorithm = ALGORITHMS.get(len(expected or ""))
        if expected and (algorithm is None or not _is_hex(expected)):
            return failed(Fault("hash", "the list expects a hash that is neither MD5 nor SHA-256 in hexadecimal"))
        try:
            url = parse_url(text)
        except ValueError:
            return failed(Fault("url", "not a valid URL"))
        host = url.host or ""
        seen: list[str] = []
        attempts = 0

        async def read(response: aiohttp.ClientResponse) -> Body | Fault:
            said = opted_out(
                response.headers.getall("X-Robots-Tag", ()), response.headers.getall("TDM-Reservation", ()), self._settings.agents
            )
            if said:
                seen.append(said)
                if self._settings.respect_opt_out:
                    return Fault("opt-out", said, response.status)
            wanted = {"sha256", algorithm} if algorithm else {"sha256"}
            body = await read_body(response, self._settings.max_bytes, self._settings.types, sorted(wanted), self._client.folder)
            if isinstance(body, Body) and expected and algorithm and body.digests[algorithm] != expected.lower():
                body.close()
                return Fault("hash", f"its {algorithm.upper()} is {body.digests[algorithm]}, the list expects {expected.lower()}", 200)
            return body

        async def attempt() -> Any:
            nonlocal attempts
            attempts += 1
            return await self._client.get(url, read, self._robots.check if self._robots else None)

        answer = await with_retries(attempt, self._settings)
        if not isinstance(answer, Fault) or answer.tried:
            self._client.hosts.note(host, isinstance(answer, Fault) and answer.of_host)
        if isinstance(answer, Fault):
            return failed(answer, attempts)
        body: Body = answer.content
        facts = {
            "final_url": without_secrets(str(answer.url)),
            "status": 200,
            "content_type": answer.headers.get("Content-Type"),
            "etag": answer.headers.get("ETag"),
            "last_modified": answer.headers.get("Last-Modified"),
            "sha256": body.digests["sha256"],
            "bytes": body.size,
            "redirects": answer.redirects,
            "attempts": attempts,
            "fetched_at": _now(),
            "opt_out": seen[-1] if seen else None,
        }
        return Fetched(body, {name: value for name, value in facts.items() if value is not None})


def failed(fault: Fault, attempts: int = 0) -> Fetched:
    """What a URL without a body leaves."""
    return Fetched(None, {**fault.facts(), "attempts": attempts, "fetched_at": _now()})


def _is_hex(text: str) -> bool:
    return all(character in "0123456789abcdefABCDEF" for character in text)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
