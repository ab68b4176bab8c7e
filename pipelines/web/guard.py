"""Who may ask what of the server: host names, tokens, the origin of writes, sizes. Everything else is refused before it is looked at.

On loopback the Host header must name this machine, so that a page elsewhere cannot reach the server through a name of its own
(DNS rebinding). On any other address a token is needed. Writes must come from a page of this server.
"""

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

COOKIE = "goldsieve_token"
MOST_URL, MOST_BODY = 8_000, 4_096
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
Next = Callable[[Request], Awaitable[Response]]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """``token`` None: loopback, no token needed. ``labels``: whether writes are possible at all."""

    def __init__(self, token: str | None, labels: bool) -> None:
        self.token = token
        self.labels = labels

    async def __call__(self, request: Request, go_on: Next) -> Response:
        refused = self.refuse(request)
        if refused is None and self.token is not None:
            given = request.query_params.get("token")
            if given is not None:
                refused = self._sign_in(request, given)
            elif not self._same(request.cookies.get(COOKIE, "")):
                refused = PlainTextResponse("A token is needed: open the address that `goldsieve serve` printed.", 401)
        response = refused if refused is not None else await go_on(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    def refuse(self, request: Request) -> Response | None:
        """An answer for requests that no page of this server makes."""
        if request.method not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("Only GET, HEAD and POST are answered.", 405)
        if len(str(request.url)) > MOST_URL:
            return PlainTextResponse("The address is too long.", 414)
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        if self.token is None and not is_loopback(host):
            return PlainTextResponse("This server answers to localhost only.", 421)
        if request.method == "POST":
            if not self.labels:
                return PlainTextResponse("Read-only: start with --label to store labels.", 403)
            length = request.headers.get("content-length", "")
            if not (length.isascii() and length.isdigit() and len(length) < 9) or int(length) > MOST_BODY:
                return PlainTextResponse("The request is too large.", 413)
            if urlsplit(request.headers.get("origin", "")).netloc != request.headers.get("host"):
                return PlainTextResponse("Labels are taken from this server's own pages only.", 403)
        return None

    def _sign_in(self, request: Request, given: str) -> Response:
        if not self._same(given):
            return PlainTextResponse("The token is wrong.", 401)
        there = request.url.remove_query_params("token")
        response = RedirectResponse(there.path + (f"?{there.query}" if there.query else ""), 303)
        response.set_cookie(COOKIE, given, httponly=True, samesite="strict")
        return response

    def _same(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), (self.token or "").encode())
