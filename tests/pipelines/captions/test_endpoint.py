"""What one request comes to: the answer, or the kind of fault."""

import asyncio
import socket

import pytest

from pipelines.captions.endpoint import Call, Endpoint, read_reply
from pipelines.captions.mock_server import MockServer
from pipelines.captions.settings import EndpointSpec

BODY = {"model": "m", "messages": [{"role": "user", "content": '{"caption": "a dog \ud800"}'}]}


def ask(*urls: str, timeout_s: float = 5.0) -> list:
    async def run() -> list:
        found = []
        for url in urls:
            endpoint = Endpoint(EndpointSpec(url), 2)
            found.append(await endpoint.ask(Call(BODY, timeout_s=timeout_s)))
            await endpoint.close()
        return found

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("rate_limit", "rate limit", "429"),
        ("server_error", "server error", "500"),
        ("malformed", "malformed answer", "JSONDecodeError"),
        ("hang", "timeout", "no answer within 0.3 s"),
    ],
)
def test_kinds_of_faults(serving, fault, kind, words):
    url = serving(MockServer(faults={fault: 1.0}, retry_after_s=7))
    [found] = ask(url, timeout_s=0.3)
    assert (found.kind, found.retry_after) == (kind, 7 if kind == "rate limit" else None)
    assert words in found.message


def test_content_in_parts_is_text():
    message = {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "A dog "}, {"type": "text", "text": "runs."}]}
    assert read_reply({"choices": [{"message": message}]}, 0.0).text == "A dog runs."


def test_an_answer_is_not_lost_for_an_odd_count():
    usage = {"prompt_tokens": "many", "completion_tokens": 7.0}
    reply = read_reply({"choices": [{"message": {"content": "A dog runs."}}], "usage": usage}, 0.0)
    assert (reply.text, reply.tokens_in, reply.tokens_out) == ("A dog runs.", 0, 7)


def test_a_fault_that_a_gateway_calls_a_success(serving, monkeypatch):
    async def complete(*_):
        return 200, {"error": {"message": "Provider returned error", "code": 502}}, {}

    monkeypatch.setattr(MockServer, "_complete", complete)
    [found] = ask(serving(MockServer()))
    assert found.kind == "server error"
    assert "Provider returned error" in found.message


def test_an_address_may_end_with_a_slash(serving):
    assert [reply.text for reply in ask(serving(MockServer()) + "/")] == ["A dog ?."]


def test_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        [found] = ask(f"http://127.0.0.1:{free.getsockname()[1]}/v1")
    assert found.kind == "connection"
    assert found.may_pass


def test_redirects_are_not_followed():
    with socket.create_server(("127.0.0.1", 0)) as server:

        async def answer(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 302 Found\r\nlocation: http://example.com/\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
            writer.close()

        async def run():
            async with await asyncio.start_server(answer, sock=server):
                endpoint = Endpoint(EndpointSpec(f"http://127.0.0.1:{server.getsockname()[1]}/v1"), 1)
                found = await endpoint.ask(Call(BODY))
                await endpoint.close()
                return found

        assert asyncio.run(run()).kind == "set-up"


def test_requests_go_through_the_proxy_of_the_environment(serving, monkeypatch):
    server = MockServer()
    monkeypatch.setenv("HTTP_PROXY", serving(server).removesuffix("/v1"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    [reply] = ask("http://example.invalid/v1")
    assert reply.text == "A dog ?."
    assert server.stats["requests"] == 1
