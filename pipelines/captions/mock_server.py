"""An OpenAI-compatible server that answers by rule and fails as asked: for tests, benchmarks, and trying a recipe offline.

    python -m pipelines.captions.mock_server --port 8000 --latency 0.2 --fault rate_limit=0.1 --fault hang=0.01

It knows no pictures and rewrites nothing: an answer to ``rephrase`` is the caption as a sentence. ``GET /stats`` tells what it was asked.
"""

import argparse
import asyncio
import inspect
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

FAULTS = ("rate_limit", "server_error", "malformed", "truncated", "refusal", "hang")
REASONS = {200: "OK", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests", 500: "Internal Server Error"}
Answer = Callable[[Mapping[str, Any]], Any]
"""Request body -> the answer's text, or the whole ``message``; or an awaitable of one."""


def question(body: Mapping[str, Any]) -> dict[str, Any]:
    """The data object of a request's last message."""
    content = body["messages"][-1]["content"]
    text = content if isinstance(content, str) else content[0]["text"]
    found: dict[str, Any] = json.loads(text)
    return found


def as_sentence(body: Mapping[str, Any]) -> str:
    """The caption as a sentence; as a structured one when a JSON schema is asked for."""
    caption = question(body)["caption"].strip().rstrip(" .") or "a picture"
    if "response_format" in body:
        return json.dumps({"subject": caption, "scene": "", "events": [caption]})
    return caption[:1].upper() + caption[1:] + "."


@dataclass
class MockServer:
    """``faults``: chance of each kind; ``key``: the bearer token it wants, empty: none. Counts what it did in ``stats``."""

    latency_s: float = 0.0
    faults: Mapping[str, float] = field(default_factory=dict)
    retry_after_s: float = 1.0
    answer: Answer = as_sentence
    key: str = ""
    seed: int = 0
    stats: Counter[str] = field(default_factory=Counter)
    bodies: list[dict[str, Any]] | None = None
    under_way: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._servers: list[asyncio.Server] = []

    async def start(self, port: int = 0) -> int:
        """Listen on the loopback address; returns the port."""
        self._servers.append(await asyncio.start_server(self._connection, "127.0.0.1", port, limit=1 << 24, backlog=1024))
        return int(self._servers[-1].sockets[0].getsockname()[1])

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
                data = await reader.readexactly(int(headers.get("content-length", 0)))
                status, body, more = await self._respond(lines[0], headers, data)
                text = body if isinstance(body, bytes) else json.dumps(body).encode()
                extra = "".join(f"{k}: {v}\r\n" for k, v in more.items())
                head_back = (
                    f"HTTP/1.1 {status} {REASONS[status]}\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n{extra}\r\n"
                )
                writer.write(head_back.encode() + text)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _respond(self, line: str, headers: Mapping[str, str], data: bytes) -> tuple[int, Any, dict[str, str]]:
        if line.startswith("GET"):
            return 200, dict(self.stats), {}
        self.stats["requests"] += 1
        self.under_way += 1
        self.stats["most_under_way"] = max(self.stats["most_under_way"], self.under_way)
        try:
            return await self._complete(headers, data)
        finally:
            self.under_way -= 1

    async def _complete(self, headers: Mapping[str, str], data: bytes) -> tuple[int, Any, dict[str, str]]:
        if self.key and headers.get("authorization") != f"Bearer {self.key}":
            return 401, {"error": {"message": f"Incorrect API key provided: {headers.get('authorization')}", "type": "auth"}}, {}
        body = json.loads(data)
        if self.bodies is not None:
            self.bodies.append(body)
        fault = self._fault()
        self.stats[fault or "answered"] += 1
        await asyncio.sleep(3600 if fault == "hang" else self.latency_s)
        if fault == "rate_limit":
            return 429, {"error": {"message": "Rate limit reached", "type": "requests"}}, {"retry-after": f"{self.retry_after_s:g}"}
        if fault == "server_error":
            return 500, {"error": {"message": "The server had an error", "type": "server_error"}}, {}
        message: Any = self.answer(body)
        message = await message if inspect.isawaitable(message) else message
        message = {"role": "assistant", "content": message} if isinstance(message, str) else dict(message)
        if fault == "truncated":
            message["content"] = message["content"][: len(message["content"]) // 2]
        if fault == "refusal":
            message["content"] = "I'm sorry, but I can't help with that."
        tokens = {"prompt_tokens": len(data) // 4, "completion_tokens": len(message.get("content") or "") // 4 + 1}
        reply = {
            "id": "mock",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "length" if fault == "truncated" else "stop"}],
            "usage": tokens | {"total_tokens": sum(tokens.values())},
        }
        return 200, json.dumps(reply)[:-9].encode() if fault == "malformed" else reply, {}

    def _fault(self) -> str:
        draw = self._random.random()
        for name in FAULTS:
            draw -= self.faults.get(name, 0.0)
            if draw < 0:
                return name
        return ""

    def close(self) -> None:
        """Stop listening; connections end by themselves."""
        for server in self._servers:
            server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--retry-after", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fault", action="append", default=[], help=f"NAME=SHARE; names: {', '.join(FAULTS)}")
    given = parser.parse_args()
    faults = {name: float(share) for name, _, share in (text.partition("=") for text in given.fault)}

    async def serve() -> None:
        port = await MockServer(given.latency, faults, given.retry_after, seed=given.seed).start(given.port)
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
