"""One server: sends a request and tells an answer from a fault. No retries here, and nothing about captions."""

import asyncio
import json
import math
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from manifests.errors import UsageError
from pipelines.captions.pictures import PictureRef, with_pictures
from pipelines.captions.settings import EndpointSpec
from pipelines.retry_after import retry_after

FaultKind = Literal["rate limit", "server error", "timeout", "connection", "malformed answer", "refused request", "set-up"]
SECRET = re.compile(r"(?i)(bearer\s+|api[_-]?key\W{1,3}|\b)(sk-|pk-|key-)?[A-Za-z0-9_\-.]{24,}")
SHORT = 200


@dataclass(frozen=True)
class Call:
    """One request: ``body`` as the API takes it, without pictures, which are read and added where it is sent."""

    body: Mapping[str, Any]
    pictures: tuple[PictureRef, ...] = ()
    timeout_s: float = 60.0


@dataclass(frozen=True)
class Reply:
    """A server's answer. ``seconds``: from sending to the last byte."""

    text: str
    finish_reason: str
    tool_calls: bool
    tokens_in: int
    tokens_out: int
    cached: int
    seconds: float
    model: str = ""


@dataclass(frozen=True)
class Fault:
    """Why there is no answer. ``retry_after``: seconds the server asks to wait, None: it did not say."""

    kind: FaultKind
    message: str
    retry_after: float | None = None

    @property
    def may_pass(self) -> bool:
        return self.kind not in ("refused request", "set-up")


class Endpoint:
    """A connection pool to one server. Make it inside a running event loop; `close` it there."""

    def __init__(self, spec: EndpointSpec, connections: int) -> None:
        import httpx2
        import openai

        self.spec = spec
        self._hide = secret(spec)
        self._url = httpx2.URL(f"{spec.url.rstrip('/')}/chat/completions")
        # The SDK's transport without its client on top: what that does with every request takes longer than the request itself.
        self._http = openai.DefaultAioHttpClient(
            headers={"Authorization": f"Bearer {self._hide or 'none'}", "Content-Type": "application/json"},
            limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
            follow_redirects=False,
            timeout=None,  # `ask` has one over all
        )

    async def ask(self, call: Call) -> Reply | Fault:
        """The answer, or why there is none. Never raises for what a server does."""
        started = time.monotonic()
        try:
            body = await with_pictures(call.body, call.pictures)
        except Exception as error:  # whatever a hostile picture or a lost disk raises
            return Fault("refused request", f"the picture cannot be sent: {error}"[:SHORT])
        request = self._http.build_request("POST", self._url, content=json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))
        try:
            async with asyncio.timeout(call.timeout_s):
                response = await self._http.send(request)
        except TimeoutError:
            return Fault("timeout", f"no answer within {call.timeout_s:g} s")
        except Exception as error:  # the transport's own, aiohttp's, or the system's
            return Fault("connection", self._plain(str(error) or type(error).__name__))
        if not response.is_success:
            return self._status(response)
        try:
            data = response.json()
            if isinstance(data, dict) and data.get("error") and not data.get("choices"):  # gateways pass a provider's fault on as a success
                return Fault("server error", self._plain(json.dumps(data["error"], ensure_ascii=False)))
            return read_reply(data, time.monotonic() - started)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            return Fault("malformed answer", self._plain(f"no chat completion as the API defines it ({type(error).__name__}: {error})"))

    def _status(self, response: Any) -> Fault:
        code, text = response.status_code, response.text
        message = self._plain(text)
        if code == 429 and "insufficient_quota" not in text:
            return Fault("rate limit", f"{code}: {message}", retry_after(response.headers))
        if code in (408, 409, 425) or code >= 500:
            return Fault("server error", f"{code}: {message}", retry_after(response.headers))
        if code in (401, 402, 403, 404, 405, 429) or 300 <= code < 400:
            return Fault("set-up", f"{self.spec.url} says {code}: {message}")
        return Fault("refused request", f"{code}: {message}")

    def _plain(self, text: str) -> str:
        """Short, and without anything that may be a key: servers repeat headers in their errors."""
        text = text.replace(self._hide, "***") if self._hide else text
        return " ".join(SECRET.sub("***", text).split())[:SHORT]

    async def close(self) -> None:
        await self._http.aclose()


def secret(spec: EndpointSpec) -> str:
    """The key of an endpoint from the environment. Raises `UsageError` naming the variable that is not set."""
    if not spec.key:
        return ""
    value = os.environ.get(spec.key, "").strip()
    if not value:
        raise UsageError(f"The key for {spec.url} is expected in the environment variable {spec.key}, which is not set.")
    return value


def read_reply(data: Any, seconds: float) -> Reply:
    """A chat completion as a `Reply`. Raises `ValueError` and its kin for anything else."""
    choice = data["choices"][0]
    message, usage = choice["message"], data.get("usage") or {}
    text = message.get("content") or ""
    if isinstance(text, list):
        text = "".join(part["text"] for part in text if part["type"] == "text")
    if not isinstance(text, str):
        raise ValueError("the answer is not text")
    if message.get("refusal"):
        text = str(message["refusal"])
    details = usage.get("prompt_tokens_details") or {}
    return Reply(
        text=text,
        finish_reason=str(choice.get("finish_reason") or "stop"),
        tool_calls=bool(message.get("tool_calls") or message.get("function_call")),
        tokens_in=_count(usage.get("prompt_tokens")),
        tokens_out=_count(usage.get("completion_tokens")),
        cached=_count(details.get("cached_tokens")),
        seconds=seconds,
        model=str(data.get("model") or ""),
    )


def _count(said: Any) -> int:
    """A count that a server may state as it likes: an answer is not lost for it."""
    return int(said) if isinstance(said, int | float) and math.isfinite(said) else 0
