"""Why a URL gave no sample, in words that never hold a query string, a password or a server's own text."""

import asyncio
import errno
import socket
import ssl
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from manifests.errors import GoldsieveError
from pipelines.download.addresses import BlockedAddressError

FaultKind = Literal[
    "list", "url", "address", "dns", "connection", "tls", "timeout", "status", "redirect", "type",
    "too large", "truncated", "encoding", "hash", "robots", "opt-out",
]  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """``may_pass``: another attempt in this run may help. ``retry_after``: seconds the server asks to wait, None: it did not say.

    ``tried``: False where the host was known to fail and was not asked.
    """

    kind: FaultKind
    message: str
    status: int | None = None
    may_pass: bool = False
    retry_after: float | None = None
    tried: bool = True

    @property
    def of_host(self) -> bool:
        """The host could not be reached at all."""
        return self.kind in ("connection", "dns", "timeout") and self.status is None

    def facts(self) -> dict[str, Any]:
        told = {"error": self.kind, "message": self.message}
        return told if self.status is None else told | {"status": self.status}


def without_secrets(url: str) -> str:
    """The URL without user and password."""
    try:
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else url
    except ValueError:
        return url.rpartition("@")[2]


def fault_of(error: Exception) -> Fault:
    """What an exception of a request means. Raises `GoldsieveError` when this machine is at fault, not the server."""
    cause = getattr(error, "os_error", None) or error
    if isinstance(cause, BlockedAddressError):
        return Fault("address", str(cause))
    if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        raise GoldsieveError(f"What is downloaded cannot be written: {cause.strerror}. Fix that and run the command again.")
    if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
        raise GoldsieveError("Too many open files: raise the limit (ulimit -n), or set a lower concurrency. What was fetched is kept.")
    match error:
        case asyncio.TimeoutError():
            phase = "connecting" if isinstance(error, aiohttp.ConnectionTimeoutError) else "reading"
            return Fault("timeout", f"no answer in time while {phase}", may_pass=True)
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError() | ssl.SSLError():
            return Fault("tls", f"no secure connection: {getattr(cause, 'verify_message', None) or type(cause).__name__}")
        case aiohttp.ClientConnectorDNSError():
            busy = getattr(cause, "errno", None) == socket.EAI_AGAIN
            return Fault("dns", "the host's name is not answered for now" if busy else "the host has no address", may_pass=busy)
        case aiohttp.ClientPayloadError():
            return Fault("truncated", "the body ended before its length was reached", may_pass=True)
        case aiohttp.InvalidURL() | ValueError():
            return Fault("url", "not a valid URL")
        case aiohttp.ClientResponseError():
            return Fault("connection", "the answer is not valid HTTP")
        case aiohttp.ClientConnectorError():
            return Fault("connection", f"cannot connect: {_reason(cause)}", may_pass=True)
        case _:
            return Fault("connection", f"the connection broke: {_reason(cause)}", may_pass=True)


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    return errno.errorcode.get(number, type(error).__name__) if isinstance(number, int) else type(error).__name__
