"""A loopback server for `benchmarks.download`: JPEGs made beforehand, at any path, as fast as one process can give them.

Prints its port. ``latency`` seconds pass before each answer, as they do on the internet.
"""

import asyncio
import io
from typing import cast

import numpy as np
import uvloop
from PIL import Image

PICTURES = 64


def pictures(side: int) -> list[bytes]:
    made = []
    for seed in range(PICTURES):
        small = np.random.default_rng(seed).integers(0, 255, (side // 8, side // 8, 3), dtype=np.uint8)
        out = io.BytesIO()
        Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
        made.append(out.getvalue())
    return made


class Server(asyncio.Protocol):
    """Answers GET requests; nothing of a request but its path is looked at."""

    def __init__(self, answers: list[bytes], latency: float) -> None:
        self.answers, self.latency, self.waiting = answers, latency, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while (end := self.waiting.find(b"\r\n\r\n")) >= 0:
            request, self.waiting = self.waiting[:end], self.waiting[end + 4 :]
            close = b"connection: close" in request.lower()
            path = request.split(b" ", 2)[1]
            if path == b"/robots.txt":
                answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
            else:
                answer = self.answers[int(path.rpartition(b"/")[2].partition(b".")[0]) % PICTURES]
            if self.latency:
                asyncio.get_running_loop().call_later(self.latency, self.answer, answer, close)
            else:
                self.answer(answer, close)

    def answer(self, answer: bytes, close: bool) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)
            if close:
                self.transport.close()


async def serve(side: int, latency: float) -> None:
    answers = [b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data) + data for data in pictures(side)]
    server = await asyncio.get_running_loop().create_server(lambda: Server(answers, latency), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main(side: int, latency: float) -> None:
    """Serve until the process is ended."""
    uvloop.run(serve(side, latency))
