"""Runs the pages until Ctrl-C."""

import getpass
import secrets
import socket
from collections.abc import Callable

import uvicorn

from manifests.errors import UsageError
from pipelines.web.app import make_app
from pipelines.web.guard import is_loopback
from quality.gallery import Gallery


def run(lake: str, host: str, port: int, *, label: bool, author: str, token: str | None, tell: Callable[[str], None]) -> None:
    """Serve ``lake``. Raises `UsageError` when the address cannot be used."""
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise UsageError(f"{host}:{port} cannot be listened on: {error.strerror or error}. Give another --port or --host.") from error
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(24)
    tell(f"Reading {lake} (a million samples take about half a minute) ...")
    with listening, Gallery(lake) as gallery:
        app = make_app(gallery, token, label, author or getpass.getuser())
        shown = f"[{host}]" if ":" in host else host
        tell(f"http://{shown}:{listening.getsockname()[1]}/{f'?token={token}' if token else ''}   (Ctrl-C ends it)")
        # Limits: few at a time, no endless waiting, and no word about the software.
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", limit_concurrency=64, timeout_keep_alive=5, server_header=False, access_log=False)
        )
        server.run(sockets=[listening])
