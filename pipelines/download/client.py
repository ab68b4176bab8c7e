"""One safe GET: every hop of a redirect is checked as if it were the URL itself. No retries here.

aiohttp, because it resolves and connects through functions of our own (`addresses`), never decompresses unasked, gives the body
in pieces, and takes about a ninth of httpx's processor time a request; it is a dependency already.
"""

import re
import resource
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

import aiohttp
from yarl import URL

from manifests.errors import UsageError
from pipelines.download.addresses import CheckedResolver, Lookup, check_url, checked_socket, system_lookup
from pipelines.download.faults import Fault, fault_of
from pipelines.download.hosts import Hosts
from pipelines.download.settings import DownloadSettings
from pipelines.retry_after import retry_after

IDLE_S = 5.0
"""Connections without a request are closed after so long: a list may name thousands of hosts a minute."""
REDIRECTS = (301, 302, 303, 307, 308)
PASSING = (408, 425, 429, 500, 502, 503, 504)

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
UNSAFE = re.compile(r"""[^!#-;=?-\[\]_a-z~]""")
"""What cannot stand in a URL as it is (RFC 3986): others are sent as they are written."""

T = TypeVar("T")
Read = Callable[[aiohttp.ClientResponse], Awaitable[T | Fault]]
Allowed = Callable[[URL], Awaitable[Fault | None]]


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What was read, from where, after how many redirects."""

    content: T
    url: URL
    redirects: int
    headers: Mapping[str, str]


def parse_url(text: str) -> URL:
    """A URL as a list has it: signed URLs keep every character, others are quoted. Raises `ValueError`."""
    text = text.strip()
    if CONTROL.search(text):
        raise ValueError("control characters in it")
    url = URL(text, encoded=not UNSAFE.search(text)).with_fragment(None)
    str(url.host), url.port  # yarl looks at them when it is asked, and raises only then
    return url


def user_agent(settings: DownloadSettings) -> str:
    contact = f" ({settings.contact})" if settings.contact else ""
    return f"{settings.agents[0]}/{version('goldsieve')}{contact}"


class Client:
    """Use as ``async with``. ``lookup``: names to addresses, for tests. ``folder``: where large bodies wait, by default the system's."""

    def __init__(self, settings: DownloadSettings, lookup: Lookup = system_lookup, folder: Path | None = None) -> None:
        self.folder = folder
        self.settings = settings
        self.hosts = Hosts(settings.concurrency, settings.per_host)
        self._lookup = lookup

    async def __aenter__(self) -> "Client":
        s = self.settings
        _raise_file_limit(2 * s.concurrency + 100)
        connector = aiohttp.TCPConnector(
            limit=0,  # `Hosts` counts
            use_dns_cache=False,
            resolver=CheckedResolver(s.allow_private, self._lookup),
            socket_factory=checked_socket(s.allow_private),
            keepalive_timeout=IDLE_S,
            ssl=ssl.create_default_context() if s.check_certificates else False,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=s.total_s, sock_connect=s.connect_s, sock_read=s.read_s),
            headers={"User-Agent": user_agent(s), "Accept": "*/*", "Accept-Encoding": "identity"},
            max_line_size=32768,
            max_field_size=32768,
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._session.close()

    async def get(self, url: URL, read: Read[T], allowed: Allowed | None = None) -> Answer[T] | Fault:
        """What ``read`` makes of the answer (of status 200), or why there is none. Never raises for what a server does.

        ``allowed``: asked before every hop. Raises `GoldsieveError` when this machine fails.
        """
        s = self.settings
        try:
            for hop in range(s.max_redirects + 1):
                if wrong := check_url(url, s.port_allowed, s.allow_private):
                    return Fault(*wrong)
                if allowed and (fault := await allowed(url)):
                    return fault
                async with self.hosts.slot(url.host or "") as given_up:
                    found = given_up or await self._request(url, read, hop)
                if not isinstance(found, URL):
                    return found
                url = found
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return fault_of(error)
        return Fault("redirect", f"redirected more than {s.max_redirects} times")

    async def _request(self, url: URL, read: Read[T], hop: int) -> Answer[T] | Fault | URL:
        """One request; a URL is where it redirects to."""
        async with self._session.get(url, allow_redirects=False) as response:
            status = response.status
            if status in REDIRECTS:
                response.close()  # what it says besides is not read
                return _location(url, response) or Fault("redirect", "redirected to nowhere", status)
            if status == 200:
                content = await read(response)
                if isinstance(content, Fault):
                    response.close()
                    return content
                return Answer(content, url, hop, response.headers)
            response.close()
        wait = retry_after(response.headers) if status in (429, 503) else None
        if wait is not None:
            self.hosts.pause(url.host or "", min(wait, self.settings.max_wait_s))
        return Fault("status", f"the server answered {status}", status, status in PASSING, wait)


def _location(url: URL, response: aiohttp.ClientResponse) -> URL | None:
    """Where a redirect leads, without a user name and password: those were for the first host."""
    target = response.headers.get("Location", "").strip()
    return url.with_user(None).join(parse_url(target)) if target else None


def _raise_file_limit(needed: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise UsageError(f"concurrency needs {needed} open files and this machine allows {hard}: lower it, or raise ulimit -n.")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
