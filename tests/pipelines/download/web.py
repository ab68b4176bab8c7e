"""A web server on loopback that behaves as the worst of them do."""

import gzip
import io
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import numpy as np
from PIL import Image


def jpeg(number: int) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "JPEG")
    return out.getvalue()


BOMB = gzip.compress(jpeg(1)[:200] + bytes(40_000_000), 9)
"""About 40 kB that stand for 40 MB."""


class Server(ThreadingHTTPServer):
    """``hits``: requests by path. ``robots``: text, a status, or None for 404. ``latency``: seconds before each answer."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), Handler)
        self.hits: Counter[str] = Counter()
        self.hosts: list[str] = []
        self.agents: set[str] = set()
        self.authorized: list[str | None] = []
        self.active = self.most_active = 0
        self.robots: str | int | None = None
        self.latency = 0.0
        self.mended = False
        self.stopped = threading.Event()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """Clients hang up; that is what they are tested for."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def send(self, body: bytes = b"", status: int = 200, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            for each in value.split("|"):
                self.send_header(name.replace("_", "-"), each)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        with self.server.lock:
            self.server.hits[path] += 1
            self.server.hosts.append(self.headers["Host"])
            self.server.agents.add(self.headers["User-Agent"])
            self.server.authorized.append(self.headers["Authorization"])
            self.server.active += 1
            self.server.most_active = max(self.server.most_active, self.server.active)
        try:
            time.sleep(self.server.latency)
            self.answer(path)
        finally:
            with self.server.lock:
                self.server.active -= 1

    def answer(self, path: str) -> None:
        _, kind, *rest = path.split("/")
        last = rest[-1] if rest else ""
        match kind:
            case "p":
                number = last.partition(".")[0]
                self.send(jpeg(int(number)), Content_Type="image/jpeg", ETag=f'"{number}"', Last_Modified="Mon, 05 Jan 2026 00:00:00 GMT")
            case "robots.txt":
                match self.server.robots:
                    case int(status):
                        self.send(status=status)
                    case str(text):
                        self.send(text.encode(), Content_Type="text/plain")
                    case _:
                        self.send(status=404)
            case "status":
                self.send(b"no", status=int(last))
            case "busy":  # too many requests, until the second attempt
                if self.server.hits[path] < 2:
                    self.send(status=int(rest[0]), Retry_After=last)
                else:
                    self.send(jpeg(1))
            case "flaky":
                self.send(jpeg(2)) if self.server.mended else self.send(status=500)
            case "hang":
                self.server.stopped.wait(30)
            case "drip" | "endless":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(jpeg(1)[:200])
                while not self.server.stopped.wait(0.05 if kind == "drip" else 0):
                    self.wfile.write(b"x" * (1 if kind == "drip" else 65536))
            case "huge":
                self.send(jpeg(1), length=10_000_000_000)
            case "loop":
                self.send(status=302, Location="/loop")
            case "nowhere":
                self.send(status=302)
            case "chain":
                self.send(jpeg(3)) if last == "0" else self.send(status=301, Location=f"/chain/{int(last) - 1}")
            case "to":
                self.send(status=307, Location=self.path.partition("?")[2])
            case "html":
                self.send(b"<!DOCTYPE html><p>log in", Content_Type="image/jpeg")
            case "mislabelled":
                self.send(jpeg(4), Content_Type="text/html")
            case "truncated":
                self.send(jpeg(5)[:300], length=len(jpeg(5)))
                self.close_connection = True
            case "reset":
                self.close_connection = True
            case "garbage":
                self.wfile.write(b"\x00\x01\x02 not http\r\n\r\n")
                self.close_connection = True
            case "bomb":
                self.send(BOMB, Content_Encoding="gzip")
            case "gzip":
                self.send(gzip.compress(jpeg(6)), Content_Encoding="gzip")
            case "half-gzip":
                self.send(gzip.compress(jpeg(6))[:-20], Content_Encoding="gzip")
            case "brotli":
                self.send(b"anything", Content_Encoding="br")
            case "tagged":
                self.send(jpeg(7), X_Robots_Tag=unquote(self.path.partition("?")[2]))
            case "reserved":
                self.send(jpeg(7), TDM_Reservation="1")
            case "empty":
                self.send()
            case "video":
                self.send(b"\x00\x00\x00\x18ftypisom" + bytes(4000))
            case _:
                self.send(status=404)
